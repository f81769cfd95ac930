"""The shape of runrelay.yaml, key by key, apart from the options that sources and sinks add."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from config.contracts.alert import ALERT_KINDS, AlertKind
from config.contracts.source import Leftover
from config.route import BadItems, BatchSize, Read, Retry, When
from config.units import Duration, PerTime, Rate, Size

NAME_PATTERN = r"[a-zA-Z][a-zA-Z0-9_-]{0,63}"
#: Messages of one kind that `at_most` may allow in its time: each of them is remembered for so long.
MOST_ALERTS = 100
NAME_ADVICE = "a name begins with a letter and has at most 64 letters, digits, `_` and `-`"


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


Text = Annotated[str, Field(min_length=1, max_length=1000)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(_listed), Field(min_length=1)]


class Shape(BaseModel):
    """Extra keys are mistakes, values are converted where only one meaning is possible, nothing changes later."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RetryShape(Shape):
    for_: Annotated[Duration, Field(gt=0, le=365 * 86400)] | None = Field(None, alias="for", examples=["for: 75h"])
    backoff: Annotated[tuple[Duration, ...], Field(min_length=1, max_length=100)] | None = Field(
        None, examples=["backoff: [0, 5s, 5m, 1h]"]
    )


class BatchShape(Shape):
    items: Annotated[int, Field(ge=1, le=100_000)] | None = Field(None, examples=["items: 1000"])
    bytes: Annotated[Size, Field(ge=1024, le=64 * 1024**2)] | None = Field(None, examples=["bytes: 4MiB"])


class HistoryShape(Shape):
    keep: Annotated[Duration, Field(ge=86400)] = Field(30 * 86400.0, examples=["keep: 30d"])


class PaceShape(Shape):
    """What any of defaults, sinks, routes and targets may say; the nearest wins, key by key."""

    retry: RetryShape = Field(RetryShape(), examples=["retry: {for: 75h}"])
    batch: BatchShape = Field(BatchShape(), examples=["batch: {items: 1000, bytes: 4MiB}"])
    bad_items: BadItems | None = Field(None, examples=["bad_items: fail"])


class DefaultsShape(PaceShape):
    history: HistoryShape = Field(HistoryShape(), examples=["history: {keep: 30d}"])


class FactsShape(Shape):
    source: Texts = ()
    actor: Texts = ()
    task: Texts = ()
    build: Texts = ()
    schedule: Texts = ()
    status: Texts = ()
    origin: Texts = ()


class NotShape(FactsShape):
    @model_validator(mode="after")
    def _says_something(self) -> "NotShape":
        if not self.model_fields_set:
            raise ValueError("is empty, so it fits every run and nothing would match: leave it out")
        return self


class WhenShape(FactsShape):
    not_: NotShape | None = Field(None, alias="not", examples=["not: {origin: [DEVELOPMENT, TEST]}"])

    def when(self) -> When:
        unwanted = When(**self.not_.model_dump()) if self.not_ else None
        return When(**self.model_dump(exclude={"not_"}), not_=unwanted)


class ReadShape(Shape):
    dataset: Texts = Field((), examples=["dataset: default"])
    clean: bool = Field(False, examples=["clean: true"])
    records: Texts = Field((), examples=['records: ["SCREENSHOT-*", OUTPUT]'])
    requests: bool = Field(False, examples=["requests: true"])
    log_tail: Annotated[int, Field(ge=1, le=10_000)] | None = Field(None, examples=["log_tail: 20"])

    def read(self) -> Read:
        nothing_named = not (self.dataset or self.records or self.requests or self.log_tail)
        dataset = ("default",) if nothing_named else self.dataset
        return Read(dataset, self.clean, self.records, self.log_tail or 0, self.requests)


class TargetShape(PaceShape):
    """The keys every target has; its sink's `Target` says the others."""

    sink: Text = Field(examples=["sink: out"])
    name: Text | None = None
    when: WhenShape | None = Field(None, examples=["when: {status: SUCCEEDED}"])
    send: Literal["items", "records", "requests", "run", "log"] | None = Field(None, examples=["send: items"])


class SinkShape(PaceShape):
    """The keys every sink has; its module's `Config` says the others."""

    type: Text | None = None


class SourceShape(Shape):
    """The keys every source has; its module's `Config` says the others."""

    type: Text | None = None


Block = dict[str, Any]
Targets = Annotated[list[Block], Field(min_length=1)]
_TO = "to: [{sink: out}]"


class AfterShape(Shape):
    delete: Annotated[tuple[Leftover, ...], BeforeValidator(_listed), Field(min_length=1)] = Field(
        examples=["delete: [dataset]"]
    )


class RouteShape(PaceShape):
    name: Text = Field(examples=["name: products"])
    when: WhenShape = Field(WhenShape(), examples=["when: {status: SUCCEEDED}"])
    final: bool = Field(False, examples=["final: true"])
    read: ReadShape = Field(ReadShape(), examples=["read: {dataset: default}"])
    to: Targets = Field(examples=[_TO])
    after: AfterShape | None = Field(None, examples=["after: {delete: [dataset]}"])


class UnmatchedShape(PaceShape):
    to: Targets = Field(examples=[f"unmatched: {{{_TO}}}"])


def _seldom(rate: PerTime) -> PerTime:
    if rate.many > MOST_ALERTS:
        raise ValueError(f"at most {MOST_ALERTS} messages can be counted: choose a shorter time")
    return rate


class AlertTargetShape(Shape):
    """The keys every target of alerts has; its sink's `Target` says the others."""

    sink: Text = Field(examples=["sink: oncall"])
    name: Text | None = None


class AlertsShape(Shape):
    to: Targets = Field(examples=["alerts: {to: [{sink: oncall}]}"])
    kinds: Annotated[tuple[AlertKind, ...], BeforeValidator(_listed), Field(min_length=1)] = Field(
        ALERT_KINDS, examples=["kinds: [dead_letter, paused]"]
    )
    at_most: Annotated[Rate, AfterValidator(_seldom)] = Field(PerTime(1, 900.0), examples=["at_most: 1/15m"])


class FileShape(Shape):
    version: Literal[1] = Field(examples=["version: 1"])
    sources: dict[str, Block] = Field(
        min_length=1,
        examples=['sources: {apify: {token: "${APIFY_TOKEN}", webhook: {secrets: ["${HOOK_SECRET}"]}}}'],
    )
    defaults: Block = Field({}, examples=["defaults: {retry: {for: 75h}}"])
    sinks: dict[str, Block] = Field(min_length=1, examples=["sinks: {out: {type: file, base: results/}}"])
    routes: Annotated[list[Block], Field(min_length=1)] = Field(
        examples=["routes: [{name: all, when: {status: SUCCEEDED}, to: [{sink: out}]}]"]
    )
    unmatched: Block = Field({}, examples=[f"unmatched: {{{_TO}}}"])
    alerts: Block = Field({}, examples=["alerts: {to: [{sink: oncall}]}"])


def pace(nearest_first: list[PaceShape]) -> tuple[BatchSize, Retry, BadItems]:
    """Batch, retry and `bad_items` after each key was taken from the nearest shape that says it."""

    def said(part: str, key: str) -> Any:
        found = (getattr(getattr(shape, part), key) for shape in nearest_first)
        return next((value for value in found if value is not None), None)

    batch = {"items": said("batch", "items"), "bytes": said("batch", "bytes")}
    retry = {"for_seconds": said("retry", "for_"), "backoff": said("retry", "backoff")}
    return (
        BatchSize(**{key: value for key, value in batch.items() if value is not None}),
        Retry(**{key: value for key, value in retry.items() if value is not None}),
        next((shape.bad_items for shape in nearest_first if shape.bad_items), "reject"),
    )
