"""Starts another Actor or task with what a run left: its ids, or its items batch by batch. Exactly once, with a limit.

Each start carries a tag made of the delivery and the batch, and the platform keeps it with the run. Before every start
the target's runs are listed: one that has the tag is ours, and nothing is started. After an answer that got lost, or a
turn that broke off, the list is asked twice, `lag` apart, before there is another start. So one delivery starts one run
for each batch (or one for the whole run), as long as the platform lists a new run within `lag`. Should it ever take
longer, the second run comes without our webhook: what follows from that is still done once.

The started run's webhook points at our own receiver, so that its end is routed like any other. It says, like the tag,
how many starts of ours led to the run: one beyond `max_chain` is refused, and a circle of Actors ends.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, ClassVar, Literal

import structlog
from aiohttp import ClientConnectorError
from pydantic import AfterValidator, BaseModel, Field, model_validator

from config.contracts.api import Api
from config.contracts.document import Document, Glimpse
from config.contracts.errors import NotFound, NotYet, Permanent, Transient
from config.contracts.event import digest
from config.contracts.reasons import Reason
from config.contracts.sink import About, Batch, Shipment, Surroundings, Taken, Writer
from config.language.values import Value
from config.sources.apify import ApifySource
from config.sources.apify.paths import TASK, program_path
from config.sources.apify.runs import Fields
from config.sources.apify.starting import LARGEST_INPUT, Permission, RunOptions, start
from config.sources.apify.tagging import agent, chain_of, started, tag_of, telling
from config.sources.apify.webhooks import AdHocWebhook, pointing_at
from config.units import Duration
from workers.routing import batches
from workers.sinks._shown import lines, row

TAKES = frozenset({"items", "run"})
WHOLE = False
ABOUT = About(
    promise="exactly once: the platform is asked for the start before it is repeated, with `max_chain` as the limit",
    tested="the emulator, with every answer lost in turn; the official client reads the same runs",
    example="""
sinks:
  next: {type: actor, source: apify, max_chain: 3}
routes:
  - name: search-then-detail
    when: {actor: acme/search, status: SUCCEEDED}
    to: [{sink: next, actor: acme/detail, per: batch, batch: {items: 500}, input: {startUrls: "{{ items }}"}}]
""",
)
#: The webhook of a run may know how many starts led to it.
NAMES = ("event",)

log = structlog.get_logger("runrelay.actor")

#: Seconds that the platform may take to answer a start.
_LONGEST = 30.0
#: Seconds until the list of runs is asked for the first time after an answer was lost.
_SOON = 2.0


def _power_of_two(memory: int) -> int:
    if memory & (memory - 1):
        raise ValueError("must be a power of 2, for instance 1024")
    return memory


def _program(name: str) -> str:
    program_path(name)
    return name


class Input(Value):
    """The input of what is started. `items` is the batch, and `batch` says which it is."""

    names: ClassVar[frozenset[str]] = Value.names | batches.OF["batch"]


class Config(BaseModel, extra="forbid", frozen=True):
    """Options of an Actor sink."""

    source: str = Field(min_length=1, description="The source, of type `apify`, in whose account runs are started.")
    max_chain: int = Field(3, ge=1, le=1000, description="Starts of ours in a row; one more is refused.")
    lag: Duration = Field(
        30.0, ge=0, le=3600, description="How long the platform may take to list a run that was started."
    )


class Target(BaseModel, extra="forbid", frozen=True):
    """Options of a target."""

    actor: Annotated[str, AfterValidator(_program)] | None = Field(None, description="`owner/name` or id of an Actor.")
    task: str | None = Field(None, description="`owner/name` or id of a task; its own input is overridden by `input`.")
    per: Literal["run", "batch"] | None = Field(
        None, description="One start for each batch of items, or one for the run. By default `batch` where items go."
    )
    input: Input | None = Field(
        None,
        description="The input, with templates. By default the run's ids, and `items` where there are some.",
        examples=['input: {startUrls: "{{ items }}"}'],
    )
    timeout: Duration | None = Field(None, ge=0, description="Of the started run; 0 is none.")
    memory: Annotated[int, AfterValidator(_power_of_two)] | None = Field(None, ge=128, description="Megabytes.")
    build: str | None = Field(None, min_length=1, description="Tag or number of the build.")
    max_items: int | None = Field(None, ge=1, description="Most items that are charged for.")
    max_total_charge_usd: float | None = Field(None, gt=0, description="Most the run may cost.")
    restart_on_error: bool | None = Field(None, description="Whether the platform restarts the run when it fails.")
    force_permission_level: Permission | None = Field(None, description="Instead of the Actor's own level.")

    @model_validator(mode="after")
    def _one_program(self) -> "Target":
        if (self.actor is None) == (self.task is None):
            raise ValueError("say what is started: either `actor` or `task`")
        if self.task is not None:
            program_path(TASK + self.task)
        if self.per is not None and self.input is not None:
            batches.no_others(self.input.roots, self.per)
        return self

    @property
    def program(self) -> str:
        """As `program_path` takes it."""
        return self.actor if self.actor is not None else f"{TASK}{self.task}"

    @property
    def options(self) -> RunOptions:
        return RunOptions(**{name: getattr(self, name) for name in _RUN_OPTIONS})


_RUN_OPTIONS = [name for name in RunOptions.__struct_fields__ if name in Target.model_fields]


@asynccontextmanager
async def connect(config: Config, around: Surroundings) -> AsyncIterator["ActorSink"]:
    """Raises Transient if the source is gone, Permanent if it is none that can start anything."""
    source, api = around.source(config.source)
    if not isinstance(source, ApifySource):
        raise Permanent(Reason.TARGET_REFUSED, f"the source {config.source} is not of type apify: it starts no Actors")
    yield ActorSink(source, api, config, around.public_url)


@dataclass(frozen=True, slots=True)
class Start:
    """One start that is wanted.

    Attributes:
        program: as `program_path` takes it.
        tag: the same on every try, and no other start's.
        chain: how many starts of ours lead to the run, this one included.
        since: a moment it cannot have been made before, by the platform's clock.
        body: the input, JSON.
        unsure: whether it may have been made a moment ago without anybody knowing.
    """

    program: str
    options: RunOptions
    tag: str
    chain: int
    since: str
    body: bytes
    unsure: bool

    def check(self, config: Config) -> None:
        """Raises Permanent (chain_too_long)."""
        if self.chain > config.max_chain:
            said = f"it would be start {self.chain} in a row, max_chain is {config.max_chain}"
            raise Permanent(Reason.CHAIN_TOO_LONG, f"{said}: do Actors start each other?")


class Starts:
    """The starts that one stream wants. Pure."""

    def __init__(self, shipment: Shipment) -> None:
        assert isinstance(shipment.options, Target)
        self.shipment, self.target = shipment, shipment.options

    def wanted(self, index: int, known: Mapping[str, Any], *, since: str = "", unsure: bool = False) -> Start:
        """The one of that number. `known`: names of what it carries. Raises Permanent."""
        return Start(
            program=self.target.program,
            options=self.target.options,
            tag=self._tag(index),
            chain=chain_of(self.shipment.run.fields, self.shipment.scope.get("event")) + 1,
            since=since or self.shipment.run.life,
            body=self._body(known),
            unsure=unsure,
        )

    def _tag(self, index: int) -> str:
        delivery, stream = self.shipment.delivery, digest(self.shipment.stream)
        return f"{delivery.id[:32]}.{stream[:8]}.{index}"

    def _body(self, more: Mapping[str, Any]) -> bytes:
        given = self.target.input
        value = given.render({**self.shipment.scope, **more}) if given else {**self._ids(), **more}
        body = batches.as_json(value, "input")
        if len(body) > LARGEST_INPUT:
            said = f"an input of {len(body)} bytes, the platform takes {LARGEST_INPUT}: lower `batch.bytes`"
            raise Permanent(Reason.TARGET_REFUSED, said)
        return body

    def _ids(self) -> dict[str, Any]:
        run = self.shipment.run
        return {
            "runId": run.id,
            "status": run.status,
            "actorId": run.actor_id,
            "datasetId": run.datasets.get("default"),
            "keyValueStoreId": run.stores.get("default"),
            "requestQueueId": run.queues.get("default"),
        }


def preview(config: Config, shipment: Shipment, what: Batch | Glimpse) -> Iterator[str]:
    """Each start: of what, with which options and which input."""
    known = batches.known(what) if isinstance(what, Batch) else {}
    wanted = Starts(shipment).wanted(what.index if isinstance(what, Batch) else 0, known)
    wanted.check(config)
    yield f"start of {wanted.program}, tag {wanted.tag}, number {wanted.chain} in a row"
    yield row(wanted.options.params())
    yield from lines(wanted.body)


class ActorSink:
    """The Actors and tasks of one account."""

    def __init__(self, source: ApifySource, api: Api, config: Config, public_url: str) -> None:
        self.source, self.api, self.config = source, api, config
        self.door = f"{public_url.rstrip('/')}/webhooks/{source.name}" if public_url and source.secret else ""
        if not self.door:
            _warn_of_webhook(source.name)

    @asynccontextmanager
    async def open(self, shipment: Shipment, position: dict[str, Any] | None) -> AsyncIterator[Writer]:
        yield _Starting(self, shipment, position)

    async def start(self, wanted: Start) -> Fields:
        """The run of this start: the one that an earlier try made, or a new one."""
        wanted.check(self.config)
        with _as_target(wanted.program):
            found = await self._found(wanted)
            if wanted.unsure and not found:
                raise NotYet(Reason.TARGET_UNAVAILABLE, "a start may not be listed yet", wait=self.config.lag)
            run = found or await self._started(wanted)
        if tag_of(run) != wanted.tag:
            _warn_of_tag(self.source.name)
        said = "actor.found" if found else "actor.started"
        log.info(said, program=wanted.program, run_id=run["id"], tag=wanted.tag, chain=wanted.chain)
        return run

    async def _found(self, wanted: Start) -> Fields | None:
        return await started(self.api, wanted.program, wanted.tag, wanted.since)

    async def _started(self, wanted: Start) -> Fields:
        try:
            return await self._asked(wanted)
        except Transient as trouble:
            if isinstance(trouble.__cause__, ClientConnectorError):
                raise  # it was never asked
            unknown = trouble
        except asyncio.CancelledError as cut:
            raise self._later(Transient(Reason.TARGET_UNAVAILABLE, "a start was cut short")) from cut
        return await self._looked(wanted, unknown)

    async def _looked(self, wanted: Start, unknown: Transient) -> Fields:
        """The run of a start that nobody knows the outcome of. Unless it is listed by now, the next try is `lag` away;
        that it must be is worth more than being cancelled at once."""
        with suppress(Transient, asyncio.CancelledError):
            await asyncio.sleep(min(_SOON, self.config.lag))
            if run := await self._found(wanted):
                return run
        raise self._later(unknown) from unknown

    async def _asked(self, wanted: Start) -> Fields:
        try:
            async with asyncio.timeout(_LONGEST):
                return await start(
                    self.api,
                    wanted.program,
                    options=wanted.options,
                    body=wanted.body,
                    webhooks=self._webhooks(wanted),
                    headers={"User-Agent": agent(wanted.tag, wanted.chain)},
                )
        except TimeoutError as exc:
            raise Transient(Reason.TARGET_UNAVAILABLE, f"no answer to a start in {_LONGEST:.0f} s") from exc

    def _later(self, trouble: Transient) -> Transient:
        return Transient(trouble.reason, trouble.detail, retry_after=max(self.config.lag, trouble.retry_after or 0.0))

    def _webhooks(self, wanted: Start) -> list[AdHocWebhook]:
        if not self.door:
            return []
        key = f"runrelay-{wanted.tag}"
        return [telling(pointing_at(self.door, self.source.secret, idempotency_key=key), wanted.chain)]


class _Starting:
    """One stream: a start for each batch of items, or the one for the run."""

    def __init__(self, sink: ActorSink, shipment: Shipment, position: dict[str, Any] | None) -> None:
        self.sink, self.starts, self.position = sink, Starts(shipment), position
        self.unsure = shipment.unsure

    async def items(self, batch: Batch) -> Taken:
        known = batches.known(batch)
        return await self._start(batch.index, len(known["items"]), known)

    async def document(self, document: Document) -> Taken:
        """The run itself; what is started is told its ids, or whatever `input` says."""
        return await self._start(0, 1, {})

    async def publish(self) -> Taken:
        return Taken(rows=0, out=0, bytes=0, position=self.position)

    async def _start(self, index: int, rows: int, known: Mapping[str, Any]) -> Taken:
        since = (self.position or {}).get("since", "")
        wanted = self.starts.wanted(index, known, since=since, unsure=self.unsure)
        run = await self.sink.start(wanted)
        self.unsure = False
        self.position = {"run": run["id"], "since": run["startedAt"]}
        return Taken(rows=rows, out=1, bytes=len(wanted.body), position=self.position)


@contextmanager
def _as_target(program: str) -> Iterator[None]:
    """The platform is the target here: what it refuses is not the run that is read."""
    try:
        yield
    except NotFound as exc:
        raise Permanent(Reason.TARGET_REFUSED, f"the token sees no {program}: {exc.detail}") from exc
    except Permanent as exc:
        reason = Reason.TARGET_REFUSED if exc.reason is Reason.SOURCE_REFUSED else exc.reason
        raise Permanent(reason, exc.detail) from exc
    except Transient as exc:
        raise Transient(Reason.TARGET_UNAVAILABLE, exc.detail, retry_after=exc.retry_after) from exc


@cache
def _warn_of_tag(source: str) -> None:
    """Once in a process."""
    log.warning(
        "actor.tag_lost",
        source=source,
        detail="the platform did not keep the user agent of a start: one whose answer gets lost may be made twice",
    )


@cache
def _warn_of_webhook(source: str) -> None:
    """Once in a process."""
    log.warning(
        "actor.no_webhook",
        source=source,
        detail="started runs get no webhook, so nobody hears of their end: set RUNRELAY_PUBLIC_URL and webhook.secrets",
    )
