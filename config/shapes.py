"""The shape of runrelay.yaml, key by key, apart from the options that sources and sinks add."""

import json
import re
from datetime import time
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from config.contracts.alert import ALERT_KINDS, AlertKind
from config.contracts.source import Leftover
from config.freshness import Freshness
from config.language.expression import Expression
from config.language.function import Function
from config.language.schema import JsonSchema
from config.language.scopes import RunExpression
from config.route import CHANGES, BadItems, BatchSize, Change, Only, Read, Retry, Transform, When
from config.units import Duration, PerTime, Rate, Share, Size

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


Usd = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class CostRangeShape(Shape):
    min_usd: Usd | None = Field(None, examples=["min_usd: 1"])
    max_usd: Usd | None = Field(None, examples=["max_usd: 5"])


class FactsShape(Shape):
    source: Texts = ()
    actor: Texts = ()
    task: Texts = ()
    build: Texts = ()
    schedule: Texts = ()
    status: Texts = ()
    origin: Texts = ()
    cost: CostRangeShape | None = Field(None, examples=["cost: {min_usd: 1}"])

    def facts(self) -> dict[str, Any]:
        """The same in the words of `When`."""
        cost = self.cost.model_dump() if self.cost else {}
        return {**self.model_dump(exclude={"cost", "not_"}), **cost}


class NotShape(FactsShape):
    @model_validator(mode="after")
    def _says_something(self) -> "NotShape":
        if not self.model_fields_set:
            raise ValueError("is empty, so it fits every run and nothing would match: leave it out")
        return self


class WhenShape(FactsShape):
    not_: NotShape | None = Field(None, alias="not", examples=["not: {origin: [DEVELOPMENT, TEST]}"])

    def when(self) -> When:
        unwanted = When(**self.not_.facts()) if self.not_ else None
        return When(**self.facts(), not_=unwanted)


FieldName = Annotated[str, Field(min_length=1, max_length=200)]


def _expression(value: object) -> object:
    """A number or a truth value means itself."""
    return json.dumps(value) if isinstance(value, bool | int | float) else value


FieldNames = Annotated[tuple[FieldName, ...], BeforeValidator(_listed), Field(min_length=1)]
Computed = Annotated[Expression, BeforeValidator(_expression)]


ComputedFields = Annotated[dict[FieldName, Computed], Field(min_length=1)]


class OnlyShape(Shape):
    change: Annotated[tuple[Change, ...], BeforeValidator(_listed), Field(min_length=1)] = Field(
        CHANGES, examples=["change: [new, changed]"]
    )
    key: Annotated[tuple[FieldName, ...], BeforeValidator(_listed), Field(min_length=1)] = Field(
        examples=["key: [url]"]
    )
    max_keys: Annotated[int, Field(ge=1, le=10_000_000)] = Field(1_000_000, examples=["max_keys: 1000000"])

    def only(self) -> Only:
        return Only(self.change, self.key, self.max_keys)


class TransformShape(Shape):
    """What `read` and a target may do with what passes."""

    where: Expression | None = Field(None, examples=["where: item.price and item.currency in ['EUR', 'USD']"])
    transform: Function | None = Field(None, examples=["transform: acme.products:clean"])
    fields: ComputedFields | list[FieldName] | None = Field(
        None, examples=["fields: {url: item.url, price: item.price | number}"]
    )
    set: ComputedFields | None = Field(None, examples=["set: {seen: run.finishedAt}"])
    omit: FieldNames = Field((), examples=["omit: [html]"])
    strict: bool = Field(False, examples=["strict: true"])
    only: OnlyShape | None = Field(None, examples=["only: {change: [new, changed], key: [url]}"])

    def transformation(self) -> Transform:
        return Transform(
            where=self.where,
            function=self.transform,
            fields=self.fields if isinstance(self.fields, dict) else None,
            keep=tuple(self.fields) if isinstance(self.fields, list) else (),
            set=self.set or {},
            omit=self.omit,
            strict=self.strict,
        )


class ReadShape(TransformShape):
    dataset: Texts = Field((), examples=["dataset: default"])
    clean: bool = Field(False, examples=["clean: true"])
    records: Texts = Field((), examples=['records: ["SCREENSHOT-*", OUTPUT]'])
    requests: bool = Field(False, examples=["requests: true"])
    log_tail: Annotated[int, Field(ge=1, le=10_000)] | None = Field(None, examples=["log_tail: 20"])

    def read(self) -> Read:
        nothing_named = not (self.dataset or self.records or self.requests or self.log_tail)
        dataset = ("default",) if nothing_named else self.dataset
        return Read(
            dataset,
            self.clean,
            self.records,
            self.log_tail or 0,
            self.requests,
            self.transformation(),
            self.only.only() if self.only else None,
        )


class TargetShape(PaceShape, TransformShape):
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


class ItemsShape(Shape):
    min: Annotated[int, Field(ge=0)] | None = Field(None, examples=["min: 100"])
    max: Annotated[int, Field(ge=0)] | None = Field(None, examples=["max: 100000"])
    drop_from_usual: Share | None = Field(None, examples=["drop_from_usual: 50%"])

    @model_validator(mode="after")
    def _can_be(self) -> "ItemsShape":
        if not self.model_fields_set:
            raise ValueError("says nothing: give `min`, `max` or `drop_from_usual`")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("no run can have that: `min` is more than `max`")
        return self


class CostShape(Shape):
    max_usd: Usd | None = Field(None, examples=["max_usd: 5"])
    max_usd_per_1000: Usd | None = Field(None, examples=["max_usd_per_1000: 0.5"])

    @model_validator(mode="after")
    def _says_something(self) -> "CostShape":
        if not self.model_fields_set:
            raise ValueError("says nothing: give `max_usd` or `max_usd_per_1000`")
        return self


class ExpectShape(Shape):
    """What a run must be like; `else` has targets, which the sinks' modules know."""

    items: ItemsShape | None = Field(None, examples=["items: {min: 100, drop_from_usual: 50%}"])
    filled: Annotated[dict[FieldName, Share], Field(min_length=1)] | None = Field(
        None, examples=["filled: {url: 100%, price: 90%}"]
    )
    schema_: JsonSchema | None = Field(None, alias="schema", examples=["schema: {required: [url]}"])
    cost: CostShape | None = Field(None, examples=["cost: {max_usd: 5, max_usd_per_1000: 0.5}"])
    else_: Targets = Field([], alias="else", examples=["else: [{sink: oncall}]"])

    @model_validator(mode="after")
    def _says_something(self) -> "ExpectShape":
        if not {"items", "filled", "schema_", "cost"} & self.model_fields_set:
            raise ValueError("expects nothing: give `items`, `filled`, `schema` or `cost`")
        return self


class FreshnessShape(Shape):
    every: Annotated[Duration, Field(ge=60, le=366 * 86400)] | None = Field(None, examples=["every: 6h"])
    by: Text | None = Field(None, examples=["by: 07:00 Europe/Berlin"])

    @model_validator(mode="after")
    def _says_one(self) -> "FreshnessShape":
        if (self.every is None) == (self.by is None):
            raise ValueError("give either `every` or `by`")
        if self.by is not None:
            _moment(self.by)
        return self

    def freshness(self) -> Freshness:
        return Freshness(self.every) if self.by is None else Freshness(None, *_moment(self.by))


def _moment(written: str) -> tuple[time, ZoneInfo]:
    """`07:00 Europe/Berlin`; without a zone it is UTC. Raises ValueError."""
    match = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)(?: +(\S+))?", written, re.ASCII)
    if match is None:
        raise ValueError("`by` is not a time of day: write it as 07:00, with a zone as 07:00 Europe/Berlin")
    try:
        return time(int(match[1]), int(match[2])), ZoneInfo(match[3] or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"`{match[3]}` is no time zone: write it as Europe/Berlin or America/New_York") from None


class RouteShape(PaceShape):
    name: Text = Field(examples=["name: products"])
    when: WhenShape = Field(WhenShape(), examples=["when: {status: SUCCEEDED}"])
    where: RunExpression | None = Field(None, examples=["where: run.usageTotalUsd > 1"])
    final: bool = Field(False, examples=["final: true"])
    read: ReadShape = Field(ReadShape(), examples=["read: {dataset: default}"])
    expect: ExpectShape | None = Field(None, examples=["expect: {items: {min: 100}}"])
    freshness: FreshnessShape | None = Field(None, examples=["freshness: {every: 6h}"])
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
