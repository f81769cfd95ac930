"""What a platform is to us: one dialect, two halves (its webhooks, its API), no I/O of its own.

A source is one module or package, `config/sources/<type>`, with `Config` (a pydantic model of the options under
`sources.<name>`) and `connect(name, config) -> Source`; those of ours also have `ABOUT`, for the reference.
"""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from config.contracts.api import Api, Manners
from config.contracts.document import Document
from config.contracts.event import Event, Ignored, Test
from config.contracts.run import Run


@dataclass(frozen=True, slots=True)
class AboutSource:
    """What the reference says of a type of sources besides its docstring and its options.

    Attributes:
        platform: whose runs it knows.
        promise: what holds of what is read.
        tested: against what, and what nobody could try.
        example: `sources:` of a file, as YAML.
    """

    platform: str
    promise: str
    tested: str
    example: str


@dataclass(frozen=True, slots=True)
class Page:
    """Consecutive rows of a dataset, raw.

    Attributes:
        lines: the rows as JSON Lines as the platform wrote them, each followed by one newline.
        count: rows in `lines`.
        scanned: rows the platform says it looked at for this page; the next offset is this much further.
        total: rows the platform says the dataset has.
        at: the platform's clock when it answered, Unix seconds.
    """

    lines: bytes
    count: int
    scanned: int
    total: int
    at: float


@dataclass(frozen=True, slots=True)
class Count:
    """How many rows the platform counts in a dataset, and its clock when it said so (Unix seconds)."""

    rows: int
    at: float


@dataclass(frozen=True, slots=True)
class Key:
    """One key-value record, or one file, as listed.

    Attributes:
        store: the id of its store.
        key: unique within it.
        size: bytes, if the platform says so.
        url: where the platform says it lies; empty if it has no address of its own. It may soon be worth nothing.
        about: what else the platform says of it.
    """

    store: str
    key: str
    size: int | None
    url: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Keys:
    """One page of a list of records, in the platform's order.

    Attributes:
        count: how many keys the platform says this page has.
        after: continues the list; None at its end.
        at: the platform's clock when it answered, Unix seconds.
    """

    keys: tuple[Key, ...]
    count: int
    after: str | None
    at: float


@dataclass(frozen=True, slots=True)
class Requests:
    """One page of what stands in a request queue, in the platform's order. It may be empty without being the last.

    Attributes:
        lines: the requests as JSON Lines as the platform wrote them, each followed by one newline.
        count: requests in `lines`.
        after: continues the list; None at its end.
        at: the platform's clock when it answered, Unix seconds.
    """

    lines: bytes
    count: int
    after: str | None
    at: float


#: What of a run can be deleted at the platform.
Leftover = Literal["dataset", "store", "run"]


@dataclass(frozen=True, slots=True)
class Settle:
    """A read ends only once the platform's counts have settled: not before `quiet` seconds after the finish by the
    platform's own clock, and given up after `timeout` seconds of waiting. Without `quiet` its counts are believed at
    once, whatever its clock says."""

    quiet: float = 10.0
    timeout: float = 90.0


@dataclass(frozen=True, slots=True)
class Reconcile:
    """When to look for finished runs that nobody announced.

    Attributes:
        every: seconds between two looks.
        lookback: seconds; only runs that started and finished since then are looked for.
        announced: whether webhooks are expected too, so that a run that is found means that they are broken.
    """

    every: float = 15 * 60.0
    lookback: float = 3 * 86400.0
    announced: bool = True


@dataclass(frozen=True, slots=True)
class Capture:
    """How much is kept of webhooks that could not be verified, for a person to look at.

    Attributes:
        keep: of them, the newest.
        seconds: for how long.
    """

    keep: int = 10
    seconds: float = 86400.0


class Source(Protocol):
    """One account of one platform."""

    name: str
    manners: Manners
    settle: Settle
    #: the platform's word for a run that came to its own end
    success: str
    #: whether a run that ends once more still has the rows it had, and what was added behind them; if not, all of its
    #: rows are new ones
    grows: bool
    #: the accounts whose runs are ours; empty: only the token's own
    accounts: tuple[str, ...]

    # the door
    @property
    def capture(self) -> Capture | None:
        """How much is kept of webhooks that could not be verified; None: nothing."""
        ...

    def admit(self, address: str | None, /) -> None:
        """Raises Refused (address_forbidden) if webhooks may not come from this address."""
        ...

    def authenticate(self, presented: str | None, headers: Mapping[str, str], /) -> None:
        """Whatever the head alone can prove, so that a stranger's body is not even read.

        presented: a secret in the path or in `Authorization`. headers: names lower case.

        Raises Refused: token_missing or token_invalid, signature_missing or signature_invalid.
        """
        ...

    def verify(self, headers: Mapping[str, str], body: bytes, /) -> None:
        """Whatever only the body, as it came, can prove. Raises Refused (signature_missing, signature_invalid)."""
        ...

    def parse(self, headers: Mapping[str, str], body: bytes, /) -> Event | Ignored | Test:
        """Read a verified webhook (header names lower case).

        Raises Refused: request_invalid if it is not JSON, event_invalid if no run id can be found in it.
        """
        ...

    # the API
    async def account(self, api: Api, /) -> str:
        """The id of the token's own account; empty if the platform does not tell. Raises Unauthorized if the token is
        none."""
        ...

    async def run(self, api: Api, run_id: str, /, said: bytes = b"") -> Run:
        """The run as the platform tells it now.

        said: what the verified webhook said. It is believed only of a platform that cannot be asked.

        Raises NotFound if the platform does not know the run.
        """
        ...

    async def actor_name(self, api: Api, actor_id: str, /) -> str:
        """`owner/name` of a program; empty without an id, or when our token may not see it."""
        ...

    async def task_name(self, api: Api, task_id: str, /) -> str:
        """The same of a saved task."""
        ...

    async def schedule_name(self, api: Api, schedule_id: str, /) -> str:
        """The name of a schedule; empty without an id, or when our token may not see it."""
        ...

    async def build_tags(self, api: Api, run: Run, /) -> tuple[str, ...]:
        """The tags that lead to the run's build today; () if nobody can tell."""
        ...

    async def page(self, api: Api, run: Run, dataset: str, /, *, offset: int, limit: int, most: int) -> Page:
        """Rows of one of the run's datasets. Raises TooLarge if the rows are more than `most` bytes: ask for fewer."""
        ...

    async def count(self, api: Api, run: Run, dataset: str, /) -> Count: ...

    async def keys(self, api: Api, run: Run, store: str, /, *, after: str | None) -> Keys:
        """`after`: the last key of the page before."""
        ...

    def record(self, api: Api, run: Run, key: Key, /) -> AbstractAsyncContextManager[Document]:
        """Raises NotFound if it is gone, Permanent (data_expired) if its address is worth nothing any more."""
        ...

    async def requests(self, api: Api, queue: str, /, *, after: str | None) -> Requests: ...

    async def request_count(self, api: Api, queue: str, /) -> Count:
        """How many requests the platform counts in a queue."""
        ...

    async def delete(self, api: Api, run: Run, what: Leftover, /) -> None:
        """Delete the run, its default dataset or its default store. What is gone already is fine."""
        ...

    async def log_tail(self, api: Api, run_id: str, lines: int, /) -> bytes:
        """The last `lines` lines of the run's log, UTF-8, each ended by a newline."""
        ...

    def ordinary(self, key: str, /) -> bool:
        """Whether a record of this name is sent when a route reads `*` (the platform's own bookkeeping is not)."""
        ...

    # what people see
    def describe(self, run: Run, /) -> Mapping[str, Any]:
        """The names templates may use for a run: at least `run`, `actor`, `task`."""
        ...


@runtime_checkable
class Listing(Source, Protocol):
    """A source whose platform lists runs, so that those are found that nobody announced."""

    #: None: nobody looks
    reconcile: Reconcile | None

    def ended_runs(self, api: Api, /, *, started_after: float, actor: str = "", task: str = "") -> AsyncIterator[Run]:
        """The token's own runs that have ended, each at least with `id`, `status`, `life` and `finished`; the newest
        start first.

        started_after: Unix seconds. actor, task: only of this one, by name or id; NotFound is raised if there is none.
        """
        ...


@dataclass(frozen=True, slots=True)
class Unheard:
    """An announcement that the platform has given up.

    Attributes:
        id: the platform's id of it.
        run_id: the run whose end nobody wanted to hear of.
        answer: what the last try met, for people: never an address, for secrets may stand in it.
    """

    id: str
    run_id: str
    answer: str


@runtime_checkable
class Announcing(Listing, Protocol):
    """A source whose platform also tells which of its announcements nobody took."""

    def unheard(self, api: Api, /, *, since: float) -> AsyncIterator[Unheard]:
        """Of finished runs, the newest first. `since`: Unix seconds in which it was first tried at the earliest.

        Raises Forbidden if the token may not know.
        """
        ...


@runtime_checkable
class Perishable(Source, Protocol):
    """A source whose platform deletes what a run left after a time."""

    def expires(self, life: str, /) -> float | None:
        """When what a run left may be gone that ended at `life` (see `Run`): Unix seconds. None: nobody can tell."""
        ...


@runtime_checkable
class Inline(Source, Protocol):
    """A source that may believe its webhooks, since nobody is asked."""

    #: whether what is believed is not even signed: whoever has seen the secret can make up runs
    unsigned: bool


@runtime_checkable
class Worded(Source, Protocol):
    """A source whose platform says which words it has for runs, so that a misspelled one is noticed."""

    #: how people call it
    platform: str
    #: how runs end, or stand before
    statuses: Collection[str]
    #: how they are started
    origins: Collection[str]
