"""The shape of runrelay.yaml, key by key, apart from the options that sources and sinks add.

Every key has a description and an example, from which come the reference page, the schema for editors, and the last
words of a message about a mistake.
"""

from config.shapes.file import (
    AfterShape,
    AlertsShape,
    AlertTargetShape,
    FileShape,
    RouteShape,
    SinkShape,
    SourceShape,
    TargetShape,
    UnmatchedShape,
)
from config.shapes.freshness import FreshnessShape
from config.shapes.items import CostShape, ExpectShape, ItemsShape, OnlyShape, ReadShape, TransformShape
from config.shapes.pace import BatchShape, DefaultsShape, HistoryShape, PaceShape, RetryShape, pace
from config.shapes.when import CostRangeShape, FactsShape, NotShape, WhenShape
from config.shapes.words import NAME_ADVICE, NAME_PATTERN, Block, Shape, Text, keys, listed, split

__all__ = [
    "NAME_ADVICE",
    "NAME_PATTERN",
    "AfterShape",
    "AlertTargetShape",
    "AlertsShape",
    "BatchShape",
    "Block",
    "CostRangeShape",
    "CostShape",
    "DefaultsShape",
    "ExpectShape",
    "FactsShape",
    "FileShape",
    "FreshnessShape",
    "HistoryShape",
    "ItemsShape",
    "NotShape",
    "OnlyShape",
    "PaceShape",
    "ReadShape",
    "RetryShape",
    "RouteShape",
    "Shape",
    "SinkShape",
    "SourceShape",
    "TargetShape",
    "Text",
    "TransformShape",
    "UnmatchedShape",
    "WhenShape",
    "keys",
    "listed",
    "pace",
    "split",
]
