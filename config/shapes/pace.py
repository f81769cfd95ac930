"""How much at a time, how often and how long: what a file says for all targets, for some, or for one."""

from typing import Annotated, Any

from pydantic import Field

from config.route import BadItems, BatchSize, Retry
from config.shapes.words import Shape
from config.units import Duration, Size


class RetryShape(Shape):
    for_: Annotated[Duration, Field(gt=0, le=365 * 86400)] | None = Field(
        None,
        alias="for",
        description="How long after the first try another is made.",
        examples=["for: 75h"],
        json_schema_extra={"default": "75h"},
    )
    backoff: Annotated[tuple[Duration, ...], Field(min_length=1, max_length=100)] | None = Field(
        None,
        description="Pause before each try; the last one repeats.",
        examples=["backoff: [0, 5s, 5m, 1h]"],
        json_schema_extra={"default": [0, "5s", "5m", "30m", "2h", "5h", "10h", "14h", "20h", "24h"]},
    )


class BatchShape(Shape):
    items: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        None,
        description="Most items (or requests) in a batch, up to 100000.",
        examples=["items: 1000"],
        json_schema_extra={"default": 1000},
    )
    bytes: Annotated[Size, Field(ge=1024, le=64 * 1024**2)] | None = Field(
        None,
        description="Most bytes in a batch, 1KiB to 64MiB.",
        examples=["bytes: 4MiB"],
        json_schema_extra={"default": "4MiB"},
    )


class HistoryShape(Shape):
    keep: Annotated[Duration, Field(ge=86400)] = Field(
        30 * 86400.0,
        description="How long after their end deliveries and events are remembered, a day at least; dead letters are "
        "kept for 90 days in any case.",
        examples=["keep: 30d"],
    )


class PaceShape(Shape):
    """What any of defaults, sinks, routes and targets may say; the nearest wins, key by key."""

    retry: RetryShape = Field(
        RetryShape(), description="How long and how often a delivery is tried.", examples=["retry: {for: 75h}"]
    )
    batch: BatchShape = Field(
        BatchShape(), description="How many items go at a time.", examples=["batch: {items: 1000, bytes: 4MiB}"]
    )
    bad_items: BadItems | None = Field(
        None,
        description="What becomes of items that the far side cannot take: `reject` keeps them aside, while they are "
        "few; with `fail` the first one ends the delivery.",
        examples=["bad_items: fail"],
        json_schema_extra={"default": "reject"},
    )


class DefaultsShape(PaceShape):
    history: HistoryShape = Field(
        HistoryShape(), description="What is remembered of the past.", examples=["history: {keep: 30d}"]
    )


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
