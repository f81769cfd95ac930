"""A run that a test makes up: what its datasets, records and the rest come to on their way to a target.

Pure, apart from what somebody's own code does."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from config.cases import GivenShape
from config.contracts.errors import Permanent
from config.contracts.reasons import Reason
from config.contracts.sink import Batch
from config.contracts.source import Source
from config.language.template import Template
from config.route import Only, Read, Route, Target
from workers.routing.changes import Known, compare, keyed
from workers.routing.clean import clean
from workers.routing.match import wants_key
from workers.routing.paths import fenced
from workers.routing.shaping import Shaped, Shaper, chosen

Scope = Mapping[str, Any]
Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Way:
    """One target, and what of the run goes there.

    Attributes:
        streams: as a delivery has them.
        scope: the names that its templates know.
    """

    route: Route
    target: Target
    streams: Sequence[str]
    scope: Scope


class MadeUp:
    """What there is of the run."""

    def __init__(self, source: Source, given: GivenShape) -> None:
        self.source, self.given = source, given
        self.datasets = {"default": given.items, **given.datasets}

    def yields(self, read: Read, streams: Sequence[str], scope: Scope) -> Iterator[tuple[Shaped, int]]:
        """What `read` makes of each dataset, and how many items it had. Raises Permanent."""
        for stream in streams:
            kind, _, alias = stream.partition(":")
            if kind == "items":
                rows = self._rows(alias)
                yield self._shaped(rows, Shaper([read.transform], {**scope, "dataset": alias}), read.clean), len(rows)

    def sent(self, way: Way) -> list[Any]:
        """Items, or the keys of documents. Raises Permanent where the delivery would."""
        return [one for stream in way.streams for one in self._of_stream(way, stream)]

    def paths(self, way: Way, template: Template) -> list[str]:
        """Where each file or document of it goes. Raises Permanent."""
        return [str(fenced(template.render(scope))) for stream in way.streams for scope in self._files(way, stream)]

    def text(self, way: Way, template: Template) -> str:
        """What is said. Raises Permanent."""
        return template.render({**way.scope, "log_tail": self.given.log_tail})

    def _of_stream(self, way: Way, stream: str) -> list[Any]:
        kind, _, name = stream.partition(":")
        scope, step, read = {**way.scope, "dataset": name}, way.target.transform, way.route.read
        match kind, name:
            case "items", alias:
                shaper = Shaper([read.transform, step], scope)
                return _items(_new(way.target.only, self._shaped(self._rows(alias), shaper, read.clean).batch))
            case "requests", _:
                return _items(_new(way.target.only, self._shaped(self.given.requests, Shaper([step], scope)).batch))
            case "rows", "records":
                return _items(self._shaped(self._read_records(read), Shaper([step], scope, under="record")).batch)
            case "rows", _:
                return _items(self._shaped([{}], Shaper([step], scope)).batch)
            case "records", _:
                return [record["key"] for record in self._records(way, scope)]
        return [{"run": "run.json", "log": "log.txt"}[kind]]

    def _files(self, way: Way, stream: str) -> Iterator[Scope]:
        kind, _, name = stream.partition(":")
        scope = {**way.scope, "dataset": name}
        if kind == "records":
            yield from ({**scope, "record": record} for record in self._records(way, scope))
        else:
            count = len(self._of_stream(way, stream))
            yield {**scope, "batch": {"index": 0, "number": f"{0:08}", "offset": 0, "count": count}}

    def _rows(self, alias: str) -> list[Any]:
        if alias not in self.datasets:
            raise Permanent(Reason.DATA_EXPIRED, f"the run has no dataset `{alias}`: the test gives none")
        return self.datasets[alias]

    def _shaped(self, rows: Sequence[Any], shaper: Shaper, clean_: bool = False) -> Shaped:
        lines = b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
        batch = Batch(0, 0, lines, len(rows))
        return shaper.shape(clean(batch)[0] if clean_ else batch)

    def _read_records(self, read: Read) -> list[Record]:
        """Those that the route reads, as expressions see them."""
        return [
            {"key": key, "size": given.size, "contentType": given.type}
            for key, given in self.given.records.items()
            if wants_key(read.records or ("*",), key, ordinary=self.source.ordinary(key))
        ]

    def _records(self, way: Way, scope: Scope) -> list[Record]:
        return [one for one in self._read_records(way.route.read) if chosen(way.target.transform, one, scope)]


def _items(batch: Batch) -> list[Any]:
    return [msgspec.json.decode(line) for line in batch.items()]


def _new(only: Only | None, batch: Batch) -> Batch:
    """What of it is sent, if nothing ever was."""
    if only is None:
        return batch
    items, _ = keyed(batch, only.key, named=False)
    nothing = Known()
    nothing.buckets = defaultdict(dict)
    return compare(batch, items, nothing, nothing, only.change).batch
