"""The blocks of the file."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from config.contracts.alert import ALERT_KINDS, AlertKind
from config.contracts.source import Leftover
from config.language.scopes import RunExpression
from config.shapes.freshness import FreshnessShape
from config.shapes.items import ExpectShape, ReadShape, TransformShape
from config.shapes.pace import PaceShape
from config.shapes.when import WhenShape
from config.shapes.words import Block, Shape, Targets, Text, Texts, listed
from config.units import PerTime, Rate

#: Messages of one kind that `at_most` may allow in its time: each of them is remembered for so long.
MOST_ALERTS = 100
_TO = "to: [{sink: out}]"


class SourceShape(Shape):
    """The keys every source has; its module's `Config` says the others."""

    type: Text | None = Field(
        None,
        description="The module that knows the platform: ours, or one of yours by its dotted name. Without it the "
        "source's name is the type.",
        examples=["type: apify"],
    )


class SinkShape(PaceShape):
    """The keys every sink has; its module's `Config` says the others."""

    type: Text | None = Field(
        None,
        description="The module that writes: ours, or one of yours by its dotted name. Without it the sink's name is "
        "the type.",
        examples=["type: file"],
    )


class TargetShape(PaceShape, TransformShape):
    """The keys every target has; its sink's `Target` says the others."""

    sink: Text = Field(description="A name under `sinks`.", examples=["sink: out"])
    name: Text | None = Field(
        None,
        description="Unique within the route, so needed where a sink stands twice; else the sink's name.",
        examples=["name: partial"],
    )
    when: WhenShape | None = Field(
        None, description="Of the route's runs only these.", examples=["when: {status: SUCCEEDED}"]
    )
    send: Literal["items", "records", "requests", "run", "log"] | None = Field(
        None,
        description="What it is sent; needed where the route reads several things that the sink could take.",
        examples=["send: items"],
    )


class AfterShape(Shape):
    delete: Annotated[tuple[Leftover, ...], BeforeValidator(listed), Field(min_length=1)] = Field(
        description="What of the run is deleted at the platform once everything is delivered: its default dataset, its "
        "default key-value store, or the run with all the platform deletes with it.",
        examples=["delete: [dataset]"],
    )


class RouteShape(PaceShape):
    name: Text = Field(description="Unique; `unmatched` is taken.", examples=["name: products"])
    when: WhenShape = Field(
        WhenShape(),
        description="Which runs: all keys must fit, and of a list one. Without it every run.",
        examples=["when: {status: SUCCEEDED}"],
    )
    where: RunExpression | None = Field(
        None, description="A condition that must hold of the run as well.", examples=["where: run.usageTotalUsd > 1"]
    )
    final: bool = Field(
        False, description="Whether later routes do not see a run that this one took.", examples=["final: true"]
    )
    read: ReadShape = Field(
        ReadShape(),
        description="What is read of the run; without it the items of its default dataset.",
        examples=["read: {dataset: default}"],
    )
    expect: ExpectShape | None = Field(
        None,
        description="What the run must be like. One that is not is held back until somebody looks at it.",
        examples=["expect: {items: {min: 100}}"],
    )
    freshness: FreshnessShape | None = Field(
        None, description="How often something must be delivered.", examples=["freshness: {every: 6h}"]
    )
    to: Targets = Field(description="The targets, each delivered on its own.", examples=[_TO])
    after: AfterShape | None = Field(
        None, description="What follows once everything is delivered.", examples=["after: {delete: [dataset]}"]
    )


class UnmatchedShape(PaceShape):
    to: Targets = Field(
        description="Targets, as of a route. They get the run, if their sink takes runs, else the items of the default "
        "dataset.",
        examples=[_TO],
    )


def _seldom(rate: PerTime) -> PerTime:
    if rate.many > MOST_ALERTS:
        raise ValueError(f"at most {MOST_ALERTS} messages can be counted: choose a shorter time")
    return rate


class AlertTargetShape(Shape):
    """The keys every target of alerts has; its sink's `Target` says the others."""

    sink: Text = Field(description="A name under `sinks`, of one that can carry alerts.", examples=["sink: oncall"])
    name: Text | None = Field(
        None, description="Needed where a sink stands twice; else the sink's name.", examples=["name: night"]
    )


class AlertsShape(Shape):
    to: Targets = Field(
        description="Sinks that can carry alerts, each with the options of its type.",
        examples=["to: [{sink: oncall}]"],
    )
    kinds: Annotated[tuple[AlertKind, ...], BeforeValidator(listed), Field(min_length=1)] = Field(
        ALERT_KINDS, description="What is told.", examples=["kinds: [dead_letter, paused]"]
    )
    at_most: Annotated[Rate, AfterValidator(_seldom)] = Field(
        PerTime(1, 900.0),
        description="Messages of one kind to one of them, at most 100 in the time; what comes meanwhile goes into the "
        "next one.",
        examples=["at_most: 1/15m"],
    )


class FileShape(Shape):
    version: Literal[1] = Field(description="Of this format: `1`.", examples=["version: 1"])
    include: Texts = Field(
        (),
        description="Files beside this one or below, with `*`, that have more `sinks`, `routes` and `tests`.",
        examples=["include: routes/*.yaml"],
    )
    sources: dict[str, Block] = Field(
        min_length=1,
        description="The accounts whose runs are heard of: names, each with its options.",
        examples=['sources: {apify: {token: "${APIFY_TOKEN}", webhook: {secrets: ["${HOOK_SECRET}"]}}}'],
    )
    defaults: Block = Field(
        {}, description="What holds where nothing nearer says otherwise.", examples=["defaults: {retry: {for: 75h}}"]
    )
    sinks: dict[str, Block] = Field(
        min_length=1,
        description="Where results can go: names, each with its options.",
        examples=["sinks: {out: {type: file, base: results/}}"],
    )
    routes: Annotated[list[Block], Field(min_length=1)] = Field(
        description="Which runs go where, in the order of matching.",
        examples=["routes: [{name: all, when: {status: SUCCEEDED}, to: [{sink: out}]}]"],
    )
    unmatched: Block = Field({}, description="Where runs go that no route wants.", examples=[f"unmatched: {{{_TO}}}"])
    alerts: Block = Field(
        {}, description="Who is told when something needs a person.", examples=["alerts: {to: [{sink: oncall}]}"]
    )
    tests: list[Block] = Field(
        [],
        description="Runs that might be, and what must become of them. A file whose tests fail is not used.",
        examples=[
            "tests: [{name: all goes out, given: {items: [{n: 1}]}, expect: {route: all, sent: {out: [{n: 1}]}}}]"
        ],
    )
