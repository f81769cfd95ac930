"""The strongest promise: whatever a run left behind, all of it, byte for byte, whatever happens on the way.

Beside the properties stand the three ways in which pagers are known to lose rows in silence (API reference, pagination
headers; issues of Apify's own clients). Each is shown with a pager as people write it, which loses rows there.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings

from config.contracts.api import Answer
from config.contracts.errors import NotYet
from config.route import BatchSize
from tests.workers.fetch.datasets import cut
from tests.workers.fetch.left_behind import (
    FINISHED,
    WAYS,
    Complete,
    Platform,
    Way,
    as_written,
    cleaned,
    platforms,
    visible,
)
from workers.fetch.budget import Budget

EXAMPLES = 200
PLAIN = Way(BatchSize(items=10), page_bytes=100_000, ahead=3, cut=True, budget=10**6, turns=())


async def everything_arrives(platform: Platform, way: Way) -> None:
    """The properties, for one dataset and one way of reading it."""
    read = Complete(platform, way)
    await read.go()
    assert read.lines == b"".join(row + b"\n" for row in platform.rows), "untouched: equal in every byte"
    assert (read.end, read.expected) == (len(platform.rows), len(platform.rows))
    if way.cut:
        assert read.batches == cut(platform.rows, way.size), "cut at the same places on every try"
    left = [visible(as_written(row)) for row in platform.rows]
    assert [as_written(row) for row in cleaned(read.batches)] == [
        value for row, value in zip(platform.rows, left, strict=True) if not _nothing(row, value)
    ], "clean: same values, fields in order, numbers as written"


def _nothing(row: bytes, value: object) -> bool:
    """Whether a row is empty, as it stands or once its hidden fields are gone."""
    hid = value != as_written(row)
    return row in {b"{}", b"[]", b"null", b'""'} or (hid and value == [])


@settings(max_examples=EXAMPLES)
@given(platforms(), WAYS)
async def test_everything_a_run_left_arrives_as_it_was_written(platform: Platform, way: Way) -> None:
    await everything_arrives(platform, way)


class NaivePager:
    """Pages as people write it: one question after another, until `last` says so; the next offset by what came."""

    def __init__(self, platform: Platform, last: Callable[[Answer, int, int], bool], **params: str) -> None:
        self.platform, self.last, self.params = platform, last, params

    async def rows(self) -> list[bytes]:
        found: list[bytes] = []
        offset, limit = 0, 10
        while True:
            page = await self.platform.get("/d/items", {"offset": offset, "limit": limit, **self.params})
            rows = page.body.split(b"\n")[:-1]
            found += rows
            offset += limit
            if self.last(page, offset, len(rows)):
                return found


def at_the_total(page: Answer, offset: int, rows: int) -> bool:
    return offset >= int(page.headers["x-apify-pagination-total"])


def at_an_empty_page(page: Answer, offset: int, rows: int) -> bool:
    return rows == 0


def at_a_short_page(page: Answer, offset: int, rows: int) -> bool:
    return rows < 10


ROWS = [b'{"n":%d}' % n for n in range(45)]
SPARSE = [b"{}" if n in {12, 13, 31} else row for n, row in enumerate(ROWS)]


async def test_trap_1_a_count_that_lags_behind_the_rows_loses_none() -> None:
    """`X-Apify-Pagination-Total` and `itemCount` lag behind what was pushed by seconds."""
    dataset = Platform(ROWS, visible=45, behind=30, faults=deque(["counts lag", "counts lag"]))
    assert await NaivePager(replace(dataset, faults=deque(dataset.faults)), at_the_total).rows() == ROWS[:10]
    read = Complete(dataset, PLAIN)
    await read.go()
    assert read.lines.split(b"\n")[:-1] == ROWS


async def test_trap_2_an_empty_page_whose_headers_look_final_ends_nothing() -> None:
    """Right after a push a page may come empty, with a count of 0 and a total that is reached; later it is full."""
    dataset = Platform(ROWS, visible=45, faults=deque(["", "", "empty"]))
    assert await NaivePager(replace(dataset, faults=dataset.faults.copy()), at_an_empty_page).rows() == ROWS[:20]
    read = Complete(dataset, replace(PLAIN, ahead=0))
    await read.go()
    assert read.lines.split(b"\n")[:-1] == ROWS


async def test_trap_2_also_long_after_the_finish() -> None:
    """What decides then is the platform's own count of the dataset."""
    dataset = Platform(ROWS, visible=45, faults=deque(["", "", "empty"]), at=FINISHED + 3600)
    read = Complete(dataset, replace(PLAIN, ahead=0))
    with pytest.raises(NotYet, match="counts 45 rows and gave 20"):
        await read.turn(Budget(), 0)
    await read.go()
    assert read.lines.split(b"\n")[:-1] == ROWS


async def test_trap_3_pages_that_filters_make_short_are_not_the_last_ones() -> None:
    """With `clean`, `skipEmpty` or `unwind` a page holds fewer items than rows were scanned: we ask for raw rows."""
    dataset = Platform(SPARSE, visible=45)
    naive = await NaivePager(replace(dataset), at_a_short_page, clean="true").rows()
    assert naive == [row for row in SPARSE[:20] if row != b"{}"]
    read = Complete(dataset, PLAIN)
    await read.go()
    assert read.lines.split(b"\n")[:-1] == SPARSE
    assert cleaned(read.batches) == [row for row in SPARSE if row != b"{}"]
