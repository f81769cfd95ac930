"""What a run may have left, and a platform that gives it away only reluctantly: an `Api` in the same process that
speaks Apify, and lags, breaks off and changes its mind as it is told."""

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any, Literal, cast

import pytest
from hypothesis import strategies as st

from config.contracts.api import Answer, Api, TooLarge
from config.contracts.errors import NotYet, Transient
from config.contracts.reasons import Reason
from config.contracts.run import Run
from config.contracts.sink import Batch
from config.route import BatchSize
from config.sources.apify import ApifySource, Config, connect
from workers.fetch import reader as reader_module
from workers.fetch.budget import Budget
from workers.fetch.reader import DatasetReader
from workers.routing.clean import clean

FINISHED = 1_795_348_800.0
QUIET = 10.0
RUN = Run(id="r", source="apify", status="SUCCEEDED", terminal=True, life="l", finished=FINISHED, account="a")
JSON_LINES = "application/jsonl; charset=utf-8"
Fault = Literal["", "fewer", "breaks", "error page", "counts lag", "empty"]


@dataclass
class Platform:
    """One dataset behind `Api.get`. All times are the platform's own.

    Attributes:
        rows: JSON texts as stored.
        visible: how many of them pages show; `grow` more at each request.
        behind: how many rows `itemCount` lacks until the platform is quiet.
        faults: what goes wrong with the pages to come, one each.
        tick: seconds that pass at each request.
        newline: what stands behind the last row of a page.
    """

    rows: list[bytes]
    visible: int
    grow: int = 0
    behind: int = 0
    faults: deque[Fault] = field(default_factory=deque)
    at: float = FINISHED
    tick: float = 1.0
    newline: bytes = b"\n"
    asked: list[str] = field(default_factory=list)

    @property
    def quiet(self) -> bool:
        return self.at >= FINISHED + QUIET

    async def get(self, path: str, params: Mapping[str, str | int] | None = None, *, most: int | None = None) -> Answer:
        self.at += self.tick
        self.visible = min(self.visible + self.grow, len(self.rows))
        if not path.endswith("/items"):
            self.asked.append("count")
            counted = len(self.rows) if self.quiet else max(len(self.rows) - self.behind, 0)
            return self._answer(json.dumps({"data": {"itemCount": counted}}).encode(), "application/json")
        given = params or {}
        self.asked.append(f"{given['offset']}+{given['limit']}")
        answer = self._items(int(given["offset"]), int(given["limit"]), cleaned=bool(given.get("clean")))
        if most is not None and len(answer.body) > most:
            raise TooLarge(len(answer.body))
        return answer

    def _items(self, offset: int, limit: int, *, cleaned: bool) -> Answer:
        fault = self.faults.popleft() if self.faults else ""
        if fault == "breaks":
            raise Transient(Reason.SOURCE_UNAVAILABLE, "the body broke off")
        if fault == "error page":
            return self._answer(b"<html>Bad gateway</html>\n", "text/html")
        if fault == "empty":
            return self._page([], 0, total=offset)
        found = self.rows[: self.visible][offset : offset + limit]
        sent = [row for row in found if row != b"{}"] if cleaned else found
        if fault == "counts lag":
            return self._page(sent, len(found) // 2, total=offset // 2)
        return self._page(sent[1:] if fault == "fewer" else sent, len(found), total=self.visible)

    def _page(self, rows: list[bytes], scanned: int, total: int) -> Answer:
        """`scanned`: the platform counts before it filters (API reference, pagination headers)."""
        body = b"\n".join(rows) + (self.newline if rows else b"")
        counts = {"count": scanned, "total": total}
        return self._answer(body, JSON_LINES, {f"x-apify-pagination-{name}": str(n) for name, n in counts.items()})

    def _answer(self, body: bytes, kind: str, headers: Mapping[str, str] | None = None) -> Answer:
        return Answer(200, {"content-type": kind, "date": formatdate(self.at, usegmt=True), **(headers or {})}, body)


@dataclass(frozen=True)
class Way:
    """How a dataset is read: the sizes, how far ahead, and when somebody else goes on."""

    size: BatchSize
    page_bytes: int
    ahead: int
    cut: bool
    budget: int
    turns: tuple[int, ...]


@dataclass
class Complete:
    """A read that goes on after whatever happens, as a delivery does."""

    platform: Platform
    way: Way
    batches: list[Batch] = field(default_factory=list)
    end: int | None = None
    expected: int | None = None

    @property
    def lines(self) -> bytes:
        return b"".join(batch.lines for batch in self.batches)

    @property
    def offset(self) -> int:
        return sum(batch.count for batch in self.batches)

    async def go(self) -> None:
        turns, budget = list(self.way.turns), Budget(self.way.budget)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(reader_module, "PAGE_BYTES", self.way.page_bytes)
            for _ in range(2000):
                try:
                    done = await self.turn(budget, turns.pop() if turns else 0)
                except (NotYet, Transient):
                    done = False
                assert budget.free == budget.most, "a reader that ended holds nothing"
                if done:
                    return
        raise AssertionError("the read never came to its end")

    async def turn(self, budget: Budget, most: int) -> bool:
        way, taken = self.way, 0
        reader = DatasetReader(
            apify(), cast(Api, self.platform), RUN, "d", way.size, self._settled, budget, cut=way.cut, ahead=way.ahead
        )
        async with reader:
            async for batch in reader.batches(self.offset, len(self.batches), self.end):
                self.batches.append(batch)
                taken += 1
                if taken == most:
                    return False
        return True

    async def _settled(self, end: int, expected: int) -> None:
        self.end, self.expected = end, expected


def apify() -> ApifySource:
    return connect("apify", Config.model_validate({"token": "t", "webhook": {"secrets": ["s"]}}))


def cleaned(batches: list[Batch]) -> list[bytes]:
    return [row for batch in batches for row in clean(batch)[0].items()]


def as_written(row: bytes) -> Any:
    """The value of a JSON text with its fields in order and its numbers as text."""
    number = "number ".__add__
    return json.loads(
        row.decode("utf-8", "surrogatepass"), parse_int=number, parse_float=number, object_pairs_hook=_Fields
    )


class _Fields(list[tuple[str, Any]]):
    """The fields of an object in order."""


def visible(value: Any) -> Any:
    """What `clean: true` leaves of a row, told in the plainest way."""
    if isinstance(value, _Fields):
        return _Fields((name, inner) for name, inner in value if not name.startswith("#"))
    return value


# What Actors store.

_numbers = st.integers().map(str) | st.sampled_from(
    ["1.50", "-0", "-0.0", "1E+5", "1e999", "0.1e-9", "12345678901234567890123", "9" * 400, "0.30000000000000004"]
)
_texts = st.text(st.characters(exclude_categories=()), max_size=12) | st.sampled_from(
    ["\ud83d", "\u2028", "\x00", "#", "😀", "a\nb"]
)


def _quoted(text: str, *, ascii_only: bool) -> str:
    """JSON of a text; half of a surrogate pair can only be written as an escape."""
    lone = any("\ud800" <= letter <= "\udfff" for letter in text)
    return json.dumps(text, ensure_ascii=ascii_only or lone)


_strings = st.builds(_quoted, _texts, ascii_only=st.booleans())
_leaves = _numbers | _strings | st.sampled_from(["null", "true", "false", "{}", "[]"])


def _object(fields: list[tuple[str, str]], space: str) -> str:
    """JSON of an object, each name once."""
    named = {as_written(name.encode()): f"{name}{space}:{space}{value}" for name, value in fields}
    return "{" + f"{space},{space}".join(named.values()) + "}"


_values = st.recursive(
    _leaves,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: "[" + ",".join(items) + "]")
        | st.builds(_object, st.lists(st.tuples(_strings, inner), max_size=3), st.sampled_from(["", " "]))
    ),
    max_leaves=5,
)
_hidden = st.sampled_from(['"#debug"', '"#"', '"\\u0023error"', '"#😀"'])
_small = st.builds(_object, st.lists(st.tuples(_strings | _hidden, _values), max_size=4), st.sampled_from(["", " "]))
_deep = st.integers(50, 300).map(lambda depth: '{"deep":' + "[" * depth + "1" + "]" * depth + "}")
_wide = st.integers(50, 200).map(lambda width: "{" + ",".join(f'"field{n}":{n}.0' for n in range(width)) + "}")
_huge = st.integers(2000, 9000).map(
    lambda size: '{"#big":"' + "x" * (size // 2) + '","text":"' + "å" * (size // 4) + '"}'
)
_rows = st.one_of(_small, _small, _small, st.just("{}"), _deep, _wide, _huge, _values).map(str.encode)

ROWS = st.lists(_rows, max_size=30)
FAULTS: st.SearchStrategy[list[Fault]] = st.lists(
    st.sampled_from(["", "", "fewer", "breaks", "error page", "counts lag"]), max_size=15
)
WAYS = st.builds(
    Way,
    size=st.builds(BatchSize, items=st.integers(1, 12), bytes=st.integers(1, 20_000)),
    page_bytes=st.integers(9_100, 40_000),
    ahead=st.integers(0, 4),
    cut=st.booleans(),
    budget=st.integers(10_000, 400_000),
    turns=st.lists(st.integers(0, 3), max_size=12).map(tuple),
)


@st.composite
def platforms(draw: st.DrawFn) -> Platform:
    rows = draw(ROWS)
    return Platform(
        rows,
        visible=draw(st.integers(0, len(rows))),
        grow=draw(st.integers(1, 5)),
        behind=draw(st.integers(0, 9)),
        faults=deque(draw(FAULTS)),
        tick=draw(st.sampled_from([0.25, 1.0, 4.0, 20.0])),
        newline=draw(st.sampled_from([b"\n", b""])),
    )
