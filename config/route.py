"""What runrelay.yaml says, once it has been read and found right. Plain values, no I/O."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from pydantic import BaseModel

from config.contracts.alert import AlertKind
from config.contracts.delivery import Send
from config.contracts.sink import SinkModule
from config.contracts.source import Leftover
from config.freshness import Freshness
from config.language.expression import Expression
from config.language.function import Function
from config.language.schema import JsonSchema
from config.units import PerTime

#: The route that takes the runs no other route wants. It stands under `unmatched:` and cannot be named otherwise.
UNMATCHED = "unmatched"
#: The name under which a route reads a run to see whether it is as expected. No target can be called so.
GATE = "expect"


@dataclass(frozen=True, slots=True)
class BatchSize:
    """A batch ends at `items` items or at `bytes` bytes of JSON Lines, whichever comes first."""

    items: int = 1000
    bytes: int = 4 * 1024**2


@dataclass(frozen=True, slots=True)
class Retry:
    """How long a delivery is tried, and the pauses between the tries.

    Attributes:
        for_seconds: no try starts later than this after the first.
        backoff: seconds before the first try, the second, …; the last one repeats.
    """

    for_seconds: float = 75 * 3600.0
    backoff: tuple[float, ...] = (0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)


#: What becomes of an item that the far side cannot take: `reject` keeps it with its reason and goes on, while there
#: are few; `fail` ends the delivery.
BadItems = Literal["reject", "fail"]


@dataclass(frozen=True, slots=True)
class When:
    """Which runs. All lines must hold; one line holds if any of its patterns does; an empty line always holds.

    Attributes:
        source, actor, task, build, schedule, status, origin: patterns in which `*` stands for any text. An actor or
            task is given as `owner/name`, as `owner~name` or as its id; a build by tag or number; a schedule by name
            or id.
        min_usd, max_usd: what the run cost, both included; a run whose cost is unknown fits neither.
        not_: the run must not fit this one; it has no `not_` of its own.
    """

    source: tuple[str, ...] = ()
    actor: tuple[str, ...] = ()
    task: tuple[str, ...] = ()
    build: tuple[str, ...] = ()
    schedule: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    origin: tuple[str, ...] = ()
    min_usd: float | None = None
    max_usd: float | None = None
    not_: "When | None" = None


@dataclass(frozen=True, slots=True)
class Transform:
    """What becomes of each item or record on its way, in this order. Nothing said, nothing is touched.

    Attributes:
        where: only those for which it holds; what is missing, null, zero or empty does not.
        function: Python of somebody's own.
        fields: name → value: they replace the item.
        keep: names: of the item only these stay.
        set: name → value: added to the item, or in place of what it has.
        omit: names that are dropped.
        strict: an item whose types do not fit is rejected; otherwise it does not match, or the field is null.
    """

    where: Expression | None = None
    function: Function | None = None
    fields: dict[str, Expression] | None = None
    keep: tuple[str, ...] = ()
    set: dict[str, Expression] = field(default_factory=dict)
    omit: tuple[str, ...] = ()
    strict: bool = False

    @property
    def shapes(self) -> bool:
        """Whether items change, and are not only chosen."""
        return bool(self.function or self.fields is not None or self.keep or self.set or self.omit)

    @property
    def idle(self) -> bool:
        return self.where is None and not self.shapes

    @property
    def names(self) -> tuple[str, ...] | None:
        """The fields an item has afterwards, whatever it had before; None if that depends on it."""
        if self.fields is not None:
            known = dict.fromkeys((*self.fields, *self.set))
        elif self.keep:
            known = dict.fromkeys((*self.keep, *self.set))
        else:
            return None
        return tuple(name for name in known if name not in self.omit)


#: What an item can be, compared with what was delivered before.
Change = Literal["new", "changed", "removed"]
CHANGES: tuple[Change, ...] = get_args(Change)


@dataclass(frozen=True, slots=True)
class Only:
    """Of the items only those that differ from what this target was last delivered.

    Attributes:
        change: what is delivered; what an item is, is written into it as `_change`.
        key: fields that tell which item is the same as before.
        max_keys: so many different keys are remembered, no more.
    """

    change: tuple[Change, ...]
    key: tuple[str, ...]
    max_keys: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Read:
    """What a route reads of a run.

    Attributes:
        dataset: aliases of datasets; `default` is the run's own, `*` stands for every one of the run. A route
            that names nothing at all reads `default`.
        clean: drop empty items, and fields whose name begins with `#`.
        records: patterns of record keys, `*` stands for any text; empty reads none.
        requests: whether the run's request queue is read.
        log_tail: how many of the last lines of the log; 0 reads none.
        transform: what becomes of each item of the datasets.
        only: for every target that says nothing else.
    """

    dataset: tuple[str, ...] = ()
    clean: bool = False
    records: tuple[str, ...] = ()
    log_tail: int = 0
    requests: bool = False
    transform: Transform = field(default_factory=Transform)
    only: Only | None = None

    @property
    def streams(self) -> tuple[Send, ...]:
        """What it reads, in the order of sending. The run itself needs no reading."""
        named: list[Send] = []
        if self.dataset or not (self.records or self.requests or self.log_tail):
            named.append("items")
        if self.records:
            named.append("records")
        if self.requests:
            named.append("requests")
        if self.log_tail:
            named.append("log")
        return tuple(named)


@dataclass(frozen=True, slots=True)
class Target:
    """A sink as one route uses it.

    Attributes:
        name: unique within the route.
        sink: name under `sinks:`.
        when: narrows the route's own; None takes whatever the route takes.
        send: the stream it gets.
        options: an instance of the sink module's `Target`.
        transform: what becomes of each item, after what `read` made of it, or of each record.
        only: what of that is sent, compared with the last delivery.
    """

    name: str
    sink: str
    when: When | None
    send: Send
    batch: BatchSize
    retry: Retry
    options: BaseModel
    bad_items: BadItems = "reject"
    transform: Transform = field(default_factory=Transform)
    only: Only | None = None


@dataclass(frozen=True, slots=True)
class Expect:
    """What a run's items must be like. A run that is not is held in quarantine.

    Attributes:
        min_items, max_items: how many `read` may yield, both included.
        drop_from_usual: by which share fewer than usual they may be; 0.0 to 1.0.
        filled: field → the share of items in which it is neither missing, null, nor empty; 0.0 to 1.0.
        schema: what each item must fit.
        max_usd, max_usd_per_1000: what the run may cost, in all and for a thousand items.
        to: who is told of a run that is held.
    """

    min_items: int | None = None
    max_items: int | None = None
    drop_from_usual: float | None = None
    filled: dict[str, float] = field(default_factory=dict)
    schema: JsonSchema | None = None
    max_usd: float | None = None
    max_usd_per_1000: float | None = None
    to: tuple[Target, ...] = ()

    @property
    def reads(self) -> bool:
        """Whether items must be looked at, and not only counted."""
        return bool(self.filled or self.schema)


@dataclass(frozen=True, slots=True)
class Route:
    """One sentence of the file: when this run, read that, send it there.

    Attributes:
        final: no later route is looked at once this one took the run.
        delete: what of the run is deleted at the platform once every target of every route has it.
        where: must hold of the run, besides `when`.
        expect: what the run must be like before anything is delivered.
        freshness: how often it must deliver.
    """

    name: str
    when: When
    final: bool
    read: Read
    to: tuple[Target, ...]
    delete: tuple[Leftover, ...] = ()
    where: Expression | None = None
    expect: Expect | None = None
    freshness: Freshness | None = None

    @property
    def targets(self) -> tuple[Target, ...]:
        """Whoever is sent something: also those that are told of a run that is held."""
        return (*self.to, *(self.expect.to if self.expect else ()))


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """A source as the file defines it.

    Attributes:
        name: key under `sources:`.
        type: what it names: our module, an entry point, or a dotted module of somebody else.
        config: an instance of the module's `Config`.
    """

    name: str
    type: str
    config: BaseModel = field(repr=False)


@dataclass(frozen=True, slots=True)
class SinkSpec:
    """A sink as the file defines it, not yet connected.

    Attributes:
        name: key under `sinks:`.
        type: what it names: our module, an entry point, or a dotted module of somebody else.
        config: an instance of the module's `Config`.
    """

    name: str
    type: str
    config: BaseModel
    module: SinkModule = field(repr=False)


@dataclass(frozen=True, slots=True)
class AlertTarget:
    """A sink as alerts use it.

    Attributes:
        name: unique among them.
        sink: name under `sinks:`.
        options: an instance of the sink module's `Target`.
    """

    name: str
    sink: str
    options: BaseModel


@dataclass(frozen=True, slots=True)
class Alerts:
    """Who is told when something needs a person.

    Attributes:
        to: each is told everything, on its own.
        kinds: what about.
        at_most: messages of one kind to one of them; what comes meanwhile goes into the next.
    """

    to: tuple[AlertTarget, ...]
    kinds: tuple[AlertKind, ...]
    at_most: PerTime
