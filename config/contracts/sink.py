"""What a sink is, for the code that feeds it and for everybody who writes one.

A sink is one module: `workers/sinks/<type>.py`, or any importable module named by a dotted `type:`. It holds

- `Config`: a pydantic model of the options under `sinks.<name>` (frozen, extra keys forbidden);
- `Target`: the same for the options a route's target adds (`path`, `table`, …);
- `TAKES`: which streams it can take, a frozenset out of `items records requests run log`; requests come like items;
- `WHOLE`: True if a delivery is one object that is written whole, also when a resurrected run finishes again;
  False if only the rows added since are wanted then;
- `ALERTS`, only if it can carry alerts: True. It then gets each as one document, `application/json`, of the stream
  `alert`, with the options of `Target` and a run without content (see `config.contracts.alert`);
- `NAMES`, only if it uses names of a run without being told to by an option: which, out of `actor task schedule build`;
- `Config.SHARED`, only if it has options of `Target`, too, for all targets of a sink: their names. None says nothing,
  and what a target says itself counts;
- `ABOUT`, for those of ours: what the reference says besides the options (see `About`);
- `preview(config, shipment, what)`, optional: what would be sent, as text, and nothing is (see `Previewed`);
- `connect(config, around)`: an async context manager that yields the sink.

Some options mean the same in every sink that has them. These are checked when the file is loaded: `source` of `Config`
names a source of the file; `per` of `Target` (`item`, `batch`, `run`) is what it works by, and `run` gets it the run
and no items, unless it writes whole objects; `input` and `body` of `Target` may hold templates that know `items` and
`batch`, or `item`. A property `whole` of `Target` stands in for `WHOLE`, where it depends on the options.

One sink serves many deliveries, at the same time and one after the other: it is kept connected as long as it is used,
and connected anew after an error that was its own. One writer serves one stream of one delivery.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel

from config.contracts.api import Api
from config.contracts.delivery import Delivery
from config.contracts.document import Document, Glimpse
from config.contracts.run import Run
from config.contracts.source import Source
from config.units import PerTime


async def _at_once(sink: str, rate: PerTime) -> None:
    """No pace but one's own."""


@dataclass(frozen=True, slots=True)
class Box:
    """Where messages to somebody are put.

    Attributes:
        name: of whom they go to; one of a single message has the message's own id in it.
        window: seconds after a message went out in which others are kept back; 0 keeps back none.
        most: how many of what goes out together are kept with their text.
        again: whether messages go out once more if nobody knows how sending them ended.
    """

    name: str
    window: float = 0.0
    most: int = 1
    again: bool = True


@dataclass(frozen=True, slots=True)
class Bundle:
    """Messages that go out as one, now, by whoever was given it.

    Attributes:
        name: no other bundle's, and the same on every try.
        texts: of the first of them, in the order in which they came.
        count: how many they are.
        mine: whether one is that of whoever asked.
        reached: digests of addresses that have it from an earlier try.
    """

    name: str
    texts: tuple[bytes, ...]
    count: int
    mine: bool
    reached: frozenset[str] = frozenset()


class Collecting(Protocol):
    """What all workers together remember of messages: which wait, which are under way, and which went out."""

    async def ask(self, box: Box, id: str, text: bytes, /) -> Bundle | None:
        """What is to be sent now; it is under way from here on. None: the message `id` went out already.

        Raises NotYet (collecting) while others are under way or the box is shut, and what is then kept goes out later;
        Permanent (outcome_unknown) if sending broke off and the box sends nothing again, (item_refused) if it went with
        others and was not taken.
        """
        ...

    async def reached(self, box: Box, bundle: Bundle, address: str, /) -> None:
        """One of several addresses has it."""
        ...

    async def sent(self, box: Box, bundle: Bundle, /) -> None:
        """Everybody has it."""
        ...

    async def failed(self, box: Box, bundle: Bundle, /) -> None:
        """It certainly did not arrive everywhere: whoever asks next is given the same bundle."""
        ...

    async def refused(self, box: Box, bundle: Bundle, /) -> None:
        """It is not taken, ever: whoever has a message in it is told so once, and it holds up nobody else."""
        ...


class _Alone:
    """Each message by itself, and nothing remembered."""

    async def ask(self, box: Box, id: str, text: bytes) -> Bundle | None:
        return Bundle(id, (text,), 1, mine=True)

    async def reached(self, box: Box, bundle: Bundle, address: str) -> None:
        pass

    async def sent(self, box: Box, bundle: Bundle) -> None:
        pass

    async def failed(self, box: Box, bundle: Bundle) -> None:
        pass

    async def refused(self, box: Box, bundle: Bundle) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the worker lends a sink.

    Attributes:
        spool: a folder for parts that are not finished; the same one in every worker that shares it.
        source: the source of a name and its API; raises Transient (config_gone) if the file has none of that name.
        public_url: where platforms reach our receiver; empty if nobody said.
        pace: await it before each request of the sink of that name: all workers together then stay below the rate.
        collecting: for messages to people: sent once as far as that can be known, and storms of them as one.
    """

    spool: Path
    source: Callable[[str], tuple[Source, Api]]
    public_url: str = ""
    pace: Callable[[str, PerTime], Awaitable[None]] = _at_once
    collecting: Collecting = field(default_factory=_Alone)


@dataclass(frozen=True, slots=True)
class Shipment:
    """One stream of one delivery, as its sink sees it.

    Attributes:
        delivery: identity and names. `delivery.id` is stable over every try and differs between generations:
            build idempotency keys from it.
        stream: `items:<alias>`, `records`, `requests`, `run`, `log`, or `alert`; `rows:records` and `rows:run` come
            like items.
        run: the run as fetched.
        scope: the names a template may use: `run`, `actor`, `task`, `event`, `dataset`, …
        options: the target's options, an instance of the module's `Target`.
        unsure: whether the turn before this one broke off: what it did last may have happened, or may yet.
    """

    delivery: Delivery
    stream: str
    run: Run
    scope: Mapping[str, Any]
    options: BaseModel
    unsure: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive items, cut at the same places on every try.

    Attributes:
        index: 0, 1, 2 … within the stream.
        offset: absolute row number of the first item in its dataset.
        lines: the items as JSON Lines: each exactly as stored, each followed by one newline.
        count: number of items.
        kept: absolute row numbers of the items, if rows between them were left out.
    """

    index: int
    offset: int
    lines: bytes
    count: int
    kept: tuple[int, ...] | None = None

    @property
    def numbers(self) -> Sequence[int]:
        """The absolute row number of each item."""
        return range(self.offset, self.offset + self.count) if self.kept is None else self.kept

    def items(self) -> list[bytes]:
        """The JSON text of each item."""
        return self.lines.split(b"\n")[:-1]

    def after(self, done: int) -> "Batch":
        """What follows its first `done` items, as a batch of its own."""
        numbers, items = self.numbers[done:], self.items()[done:]
        lines = b"".join(item + b"\n" for item in items)
        kept = None if self.kept is None else tuple(numbers)
        return Batch(self.index + 1, numbers[0] if items else self.offset, lines, len(items), kept)


@dataclass(frozen=True, slots=True)
class Rejected:
    """One item the far side cannot take. `offset` is its absolute row number."""

    offset: int
    why: str


@dataclass(frozen=True, slots=True)
class Taken:
    """What the far side durably took, by its own count and never by what it was handed.

    Attributes:
        rows: items or documents confirmed.
        out: rows, requests or objects written there.
        bytes: bytes written there.
        position: what the sink needs to go on from here in another process; JSON types only.
        rejected: items it could not take; of those that are found when all is published, `rows` is taken back.
        left: how many items at the batch's end it has not looked at: they come again, as a batch of their own. For a
            sink that needs long for a batch and whose ids do not depend on where batches are cut.
    """

    rows: int
    out: int
    bytes: int
    position: dict[str, Any] | None = None
    rejected: tuple[Rejected, ...] = field(default=())
    left: int = 0


class Writer(Protocol):
    """Takes one stream of one delivery, in order. Each call returns once the far side has it durably.

    A writer that does not mind where batches of items are cut may say so with an attribute `takes_pages = True`: it
    gets them as they were read, a few mebibytes each, whatever `batch` says and not always the same ones.

    Raises (all calls): Transient if the same call may succeed later, Unauthorized if credentials were refused,
    Permanent if another try cannot help.
    """

    @property
    def position(self) -> dict[str, Any] | None:
        """The position it goes on from. None: nothing usable is there, start at the first row."""
        ...

    async def items(self, batch: Batch, /) -> Taken: ...

    async def document(self, document: Document, /) -> Taken: ...

    async def publish(self) -> Taken:
        """Make everything taken visible, in one atomic step where the far side can.

        Called once at the end of the stream, also of an empty one, and again if the process died meanwhile.
        Returns: what publishing itself added (usually rows=0, out=0 or 1).
        """
        ...


class Sink(Protocol):
    """Somewhere results go.

    It may have `async def check(self, options: BaseModel) -> None` (see `Checked`).
    """

    def open(self, shipment: Shipment, position: dict[str, Any] | None, /) -> AbstractAsyncContextManager[Writer]:
        """Begin or go on. `position` is the last one the ledger kept, None at the start.

        Leaving the context without `publish` keeps what is needed to go on.
        """
        ...


@runtime_checkable
class Checked(Protocol):
    """A sink that can be tried before anything is sent, by `runrelay check --connect`."""

    async def check(self, options: BaseModel, /) -> None:
        """Reach the far side and see whether a delivery with these options could be written there. Leaves nothing
        behind, and makes nothing that a delivery would make by itself.

        Raises what the delivery would raise, Transient, Unauthorized or Permanent: its detail says the cure.
        """
        ...


@runtime_checkable
class Previewed(Protocol):
    """A sink's module that can tell what it would send, for `runrelay preview`."""

    def preview(self, config: Any, shipment: Shipment, what: Batch | Glimpse, /) -> Iterable[str]:
        """Paths, statements, rows, messages: for each line that a person reads one text, made by what makes them for a
        delivery. Pure: it connects to nothing, looks at no file and no clock, and tells no secret, neither of `config`
        nor in a URL. Called for one stream with its first batch, or with each document.

        Raises Permanent where the delivery would.
        """
        ...


@dataclass(frozen=True, slots=True)
class About:
    """What the reference says of a sink, besides its docstring and its options.

    Attributes:
        promise: `exactly once`, or `at least once, with a stable id` and what it depends on; one line.
        tested: what it was run against in our tests, with versions; and what it was not.
        example: lines of runrelay.yaml: a `sinks:` block and a target under `to:`.
        extra: the name in `pip install 'runrelay[…]'`; empty if it needs nothing more.
        synonyms: other names of the type.
    """

    promise: str
    tested: str
    example: str
    extra: str = ""
    synonyms: tuple[str, ...] = ()


class SinkModule(Protocol):
    """The module a `type:` names."""

    Config: type[BaseModel]
    Target: type[BaseModel]
    TAKES: frozenset[str]
    WHOLE: bool

    def connect(self, config: Any, around: Surroundings, /) -> AbstractAsyncContextManager[Sink]: ...


def writes_whole(module: SinkModule, options: BaseModel) -> bool:
    """Whether a delivery with these options is one object that is written whole, also at a later finish of its run."""
    return bool(getattr(options, "whole", getattr(module, "WHOLE", False)))
