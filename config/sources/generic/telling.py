"""A run in our words, from the object that the platform tells of it: an answer, an element of a list, or an event."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from config.contracts.errors import Permanent, WorkError
from config.contracts.reasons import Reason
from config.contracts.run import Run
from config.sources.generic.options import Config, ListShape, read_in_run
from config.sources.generic.reading import odd, part
from config.wire.moments import NEVER_SAID, iso, seconds
from config.wire.places import at, first, steps

#: Most bytes of what is kept of a run: the ledger holds it as long as its history goes.
FIELDS = 1024 * 1024

Trouble = Callable[[str], WorkError]


class Telling:
    """Reads runs as `run` in the file says."""

    def __init__(self, source: str, config: Config) -> None:
        self.source = source
        self._shape = config.run
        self._items, self._files = config.items is not None, config.files is not None
        self._words = frozenset(config.run.succeeded), frozenset(config.run.failed)
        #: The words with which runs end; none if any word is an end.
        self.statuses = self._words[0] | self._words[1]
        self._omitted = frozenset(config.run.omit) | _listed_elsewhere(config)
        #: The platform's word for a run that came to its own end.
        self.success = next(iter(config.run.succeeded), "succeeded")

    def answered(self, run_id: str, body: bytes, now: float) -> Run:
        """From the answer to `run.fetch`. now: when it came, Unix seconds.

        Raises Transient if it is not what the file says; Permanent (source_refused) if it is too large to be kept.
        """
        fields = self._kept(part(body, steps(self._shape.at) if self._shape.at else ()))
        if len(msgspec.json.encode(fields)) > FIELDS:
            raise Permanent(
                Reason.SOURCE_REFUSED,
                "the run is larger than 1 MiB: name its large fields in `run.omit`, and read them with `items.fetch`",
            )
        return self._told(run_id, fields, self._word(fields), now, odd)

    def listed(self, run_id: str, fields: dict[str, Any], now: float) -> Run:
        """From an element of a list of runs. Raises Transient if it is not what the file says."""
        return self._told(run_id, fields, self._word(fields), now, odd)

    def said(self, run_id: str, event: dict[str, Any], kind: str, now: float) -> Run:
        """From an event. kind: what happened, which stands for a status.

        Raises Permanent (source_refused) if it is not what the file says: the same event would come again.
        """
        fields = at(event, steps(self._shape.at)) if self._shape.at else event
        if not isinstance(fields, dict):
            raise _unlike(f"has no object at `{self._shape.at}`, where `run.at` has the run")
        kept = {name: value for name, value in fields.items() if name not in self._omitted}
        return self._told(run_id, kept, self._word(kept) or kind, now, _unlike)

    def goes_on(self, event: dict[str, Any], kind: str) -> str | None:
        """The word of an event that says that its run goes on; None if its run has ended."""
        fields = at(event, steps(self._shape.at)) if self._shape.at else event
        word = self._word(fields) or kind
        return None if self._ended(word) else word

    def _kept(self, body: bytes) -> dict[str, Any]:
        """The object without what is left out of it, which is not even read."""
        where = f" at `{self._shape.at}`" if self._shape.at else ""
        try:
            raw = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
            return {name: msgspec.json.decode(text) for name, text in raw.items() if name not in self._omitted}
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise odd(f"has no JSON object{where} for the run") from None

    def _told(self, run_id: str, fields: dict[str, Any], word: str, now: float, trouble: Trouble) -> Run:
        ended = self._ended(word)
        life, finished = self._finish(fields, trouble) if ended else ("", 0.0)
        program = _text(first(fields, self._shape.program or ()))
        return Run(
            id=run_id,
            source=self.source,
            status=word or (self.success if ended else "unknown"),
            terminal=ended,
            succeeded=ended and (word in self._words[0] or not any(self._words)),
            life=life,
            finished=finished or (now if ended else 0.0),
            cost=_usd(first(fields, self._shape.cost or ())),
            account="",
            actor_id=program,
            actor=program,
            datasets={"default": run_id},
            stores={"default": run_id} if self._files else {},
            fields=fields,
        )

    def _word(self, fields: Any) -> str:
        return _text(first(fields, self._shape.status or ()))

    def _ended(self, word: str) -> bool:
        succeeded, failed = self._words
        return word in succeeded or word in failed or not (succeeded or failed)

    def _finish(self, fields: dict[str, Any], trouble: Trouble) -> tuple[str, float]:
        """The moment it ended, as text and in Unix seconds. Of a run that does not tell it there is only one end, for
        told of again it is still the same; by the clock, 0.0, it is ours to say."""
        for place in self._shape.finished or ():
            if (written := at(fields, steps(place))) is not None:
                return moment(written, place, "run.finished", trouble)
        return NEVER_SAID, 0.0


def moment(written: Any, place: str, key: str, trouble: Trouble) -> tuple[str, float]:
    """A moment in ISO 8601 and in Unix seconds. key: where the file has the place."""
    try:
        return iso(written), seconds(written)
    except (ValueError, OverflowError):
        raise trouble(f"has something at `{place}`, where `{key}` looks, that is no moment") from None


def _unlike(what: str) -> Permanent:
    return Permanent(Reason.SOURCE_REFUSED, f"the event {what}")


def _listed_elsewhere(config: Config) -> frozenset[str]:
    """First steps to lists that are asked for by themselves, for an answer that brings them along is large; what is
    read there all the same stays."""
    lists: Iterable[ListShape | None] = (config.items, config.files)
    found = {steps(one.at)[0] for one in lists if one and one.fetch and one.at}
    return frozenset(found - {steps(place)[0] for _, place in read_in_run(config)})


def _text(value: Any) -> str:
    """Words, numbers and truth values as words; anything else is none."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)[:200] if isinstance(value, str | int) else ""


def _usd(value: Any) -> float | None:
    """Also written as text, as money often is."""
    try:
        usd = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        return None
    return usd if math.isfinite(usd) else None
