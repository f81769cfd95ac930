"""What runrelay.yaml says, once it has been read and found right. Plain values, no I/O."""

from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel

from config.contracts.alert import AlertKind
from config.contracts.delivery import Send
from config.contracts.sink import SinkModule
from config.contracts.source import Leftover
from config.units import PerTime

#: The route that takes the runs no other route wants. It stands under `unmatched:` and cannot be named otherwise.
UNMATCHED = "unmatched"


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
        not_: the run must not fit this one; it has no `not_` of its own.
    """

    source: tuple[str, ...] = ()
    actor: tuple[str, ...] = ()
    task: tuple[str, ...] = ()
    build: tuple[str, ...] = ()
    schedule: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    origin: tuple[str, ...] = ()
    not_: "When | None" = None


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
    """

    dataset: tuple[str, ...] = ()
    clean: bool = False
    records: tuple[str, ...] = ()
    log_tail: int = 0
    requests: bool = False

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
    """

    name: str
    sink: str
    when: When | None
    send: Send
    batch: BatchSize
    retry: Retry
    options: BaseModel
    bad_items: BadItems = "reject"


@dataclass(frozen=True, slots=True)
class Route:
    """One sentence of the file: when this run, read that, send it there.

    Attributes:
        final: no later route is looked at once this one took the run.
        delete: what of the run is deleted at the platform once every target of every route has it.
    """

    name: str
    when: When
    final: bool
    read: Read
    to: tuple[Target, ...]
    delete: tuple[Leftover, ...] = ()


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
