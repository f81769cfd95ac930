"""The complete read: every row, cut at the same places on every try, ended only by the platform's settled counts."""

from collections import deque
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.contracts.errors import NotYet, Permanent, Transient
from config.contracts.source import Page, Settle
from config.route import BatchSize
from tests.workers.fetch.datasets import FINISHED, LATER, Dataset, Reading, breaks, cut
from workers.fetch import reader as module
from workers.fetch.settling import settles_in

QUIET = Settle().quiet


def rows(count: int) -> list[bytes]:
    return [b'{"n":%d}' % n for n in range(count)]


def lacks(missing: int) -> Callable[[Page], Page]:
    """A page that says how many rows it looked at and holds fewer."""

    def spoil(page: Page) -> Page:
        kept = page.lines.split(b"\n")[: max(page.count - missing, 0)]
        return replace(page, lines=b"".join(row + b"\n" for row in kept), count=len(kept))

    return spoil


def lags(page: Page) -> Page:
    """A page whose counts are behind its rows."""
    return replace(page, scanned=page.count // 2, total=page.count // 2)


async def test_every_row_comes_once_in_batches_of_the_size_asked_for() -> None:
    dataset = Dataset(rows(25))
    reading = Reading(dataset, BatchSize(items=10))
    assert await reading.go()
    assert reading.batches == cut(dataset.rows, BatchSize(items=10))
    assert [batch.count for batch in reading.batches] == [10, 10, 5]
    assert reading.settled == [(25, 25)]
    assert dataset.asked == [(0, 10), (10, 10), (20, 10), (25, 10), "count"]


async def test_an_empty_dataset_has_no_batches_and_a_settled_end() -> None:
    reading = Reading(Dataset([]), BatchSize())
    assert await reading.go()
    assert (reading.batches, reading.settled) == ([], [(0, 0)])


async def test_a_batch_ends_at_its_bytes_and_a_row_that_is_larger_goes_alone() -> None:
    dataset = Dataset([b"a" * 9, b"b" * 9, b"c" * 9, b"d" * 99, b"e", b"f"])
    reading = Reading(dataset, BatchSize(items=100, bytes=20))
    assert await reading.go()
    assert reading.batches == cut(dataset.rows, reading.size)
    assert [batch.count for batch in reading.batches] == [2, 1, 1, 2]


async def test_numbers_go_on_from_where_one_begins() -> None:
    reading = Reading(Dataset(rows(25)), BatchSize(items=10), offset=20)
    reading.batches = cut(rows(20), reading.size)
    assert await reading.go()
    assert reading.batches == cut(rows(25), reading.size)


sizes = st.lists(st.integers(0, 60), max_size=40)
spoils = st.lists(st.sampled_from([breaks, lags, *map(lacks, (1, 2, 5))]) | st.just(lambda page: page), max_size=12)


@settings(max_examples=300, deadline=None)
@given(
    sizes=sizes,
    size=st.builds(BatchSize, items=st.integers(1, 12), bytes=st.integers(1, 200)),
    page_bytes=st.integers(61, 400),
    spoil=spoils,
    visible=st.integers(0, 40),
    grow=st.integers(1, 5),
    tick=st.floats(0.1, 9),
    turns=st.lists(st.integers(1, 4) | st.none(), max_size=20),
    ahead=st.integers(0, 8),
)
async def test_whatever_happens_on_the_way_the_batches_are_the_same(
    sizes: list[int],
    size: BatchSize,
    page_bytes: int,
    spoil: list[Callable[[Page], Page]],
    visible: int,
    grow: int,
    tick: float,
    turns: list[int | None],
    ahead: int,
) -> None:
    stored = [bytes([97 + n % 26]) * length for n, length in enumerate(sizes)]
    dataset = Dataset(
        stored,
        visible=min(visible, len(stored)),
        grow=grow,
        counted=len(stored),
        at=FINISHED,
        tick=tick,
        spoil=deque(spoil),
    )
    reading = Reading(dataset, size, ahead=ahead)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "PAGE_BYTES", page_bytes)
        for _ in range(1000):
            try:
                if await reading.go(turns.pop() if turns else None):
                    break
            except (NotYet, Transient):
                continue
    assert reading.batches == cut(stored, size)
    assert b"".join(batch.lines for batch in reading.batches) == b"".join(row + b"\n" for row in stored)
    assert reading.settled[-1] == (len(stored), len(stored))


async def test_whoever_goes_on_after_the_end_was_found_cuts_the_last_batch_there() -> None:
    dataset = Dataset(rows(30), visible=25)
    reading = Reading(dataset, BatchSize(items=10), offset=20, end=25)
    reading.batches = cut(rows(20), reading.size)
    dataset.visible = 30
    assert await reading.go()
    assert reading.batches == cut(rows(25), reading.size)


async def test_the_end_is_durable_before_the_last_batch_is_handed_out() -> None:
    reading = Reading(Dataset(rows(25)), BatchSize(items=10))
    seen = [(batch.count, list(reading.settled)) async for batch in reading.reader().batches(0, 0, None)]
    assert seen == [(10, []), (10, []), (5, [(25, 25)])]


async def test_with_a_known_end_nothing_more_is_asked_than_rows() -> None:
    dataset = Dataset(rows(25), at=0.0, counted=99)
    reading = Reading(dataset, BatchSize(items=10), end=25)
    assert await reading.go()
    assert dataset.asked == [(0, 10), (10, 10), (20, 5)]
    done = Reading(Dataset(rows(25)), BatchSize(items=10), offset=25, end=25)
    assert await done.go()
    assert done.dataset.asked == []


async def test_a_short_page_is_read_again() -> None:
    dataset = Dataset(rows(25), spoil=deque([lacks(3), lacks(1), lacks(10)]))
    reading = Reading(dataset, BatchSize(items=10))
    assert await reading.go()
    assert reading.batches == cut(rows(25), reading.size)
    assert dataset.asked[:4] == [(0, 10)] * 4


async def test_a_page_that_stays_short_ends_the_attempt_and_nothing_of_it_is_used() -> None:
    dataset = Dataset(rows(25), spoil=deque([*[lacks(0)], *[lacks(3)] * 4]))
    reading = Reading(dataset, BatchSize(items=10))
    with pytest.raises(Transient, match="of 10 rows from row 10 on the platform announced 10 and sent 7"):
        await reading.go()
    assert reading.batches == cut(rows(10), reading.size)
    assert dataset.asked == [(0, 10), *[(10, 10)] * 4]


async def test_an_empty_page_that_scanned_rows_does_not_end_the_read() -> None:
    dataset = Dataset(rows(5), spoil=deque([lacks(9)] * 4))
    with pytest.raises(Transient):
        await Reading(dataset, BatchSize(items=10)).go()


async def test_rows_ahead_of_a_lagging_count_are_taken() -> None:
    dataset = Dataset(rows(5), spoil=deque([lags]))
    reading = Reading(dataset, BatchSize(items=10))
    assert await reading.go()
    assert reading.batches == cut(rows(5), reading.size)
    assert dataset.asked == [(0, 10), (5, 10), "count"]


async def test_more_rows_than_asked_for_are_not_believed() -> None:
    def floods(page: Page) -> Page:
        return replace(page, lines=page.lines * 3, count=page.count * 3, scanned=page.scanned)

    with pytest.raises(Transient):
        await Reading(Dataset(rows(25), spoil=deque([floods] * 4)), BatchSize(items=10)).go()


@pytest.mark.parametrize(
    ("at", "wait"),
    [
        (FINISHED, QUIET + 0.5),
        (FINISHED + QUIET - 1, 1.5),
        (FINISHED + QUIET - 0.25, 0.75),
        (FINISHED - 3600, QUIET + 3600.5),
        (0.0, 0.0),
    ],
)
async def test_an_empty_page_soon_after_the_finish_ends_nothing(at: float, wait: float) -> None:
    dataset = Dataset(rows(15), at=at)
    reading = Reading(dataset, BatchSize(items=10))
    with pytest.raises(NotYet) as caught:
        await reading.go()
    assert (caught.value.reason, caught.value.wait) == ("not_settled", wait)
    assert (reading.batches, reading.settled) == (cut(rows(10), reading.size), [])
    assert "count" not in dataset.asked


async def test_once_it_is_quiet_it_ends() -> None:
    assert await Reading(Dataset(rows(5), at=FINISHED + QUIET), BatchSize()).go()
    assert settles_in(FINISHED + QUIET, FINISHED + QUIET) == 0.5


async def test_a_count_from_before_the_quiet_is_not_believed() -> None:
    dataset = Dataset(rows(5), at=LATER, tick=-400.0)
    with pytest.raises(NotYet) as caught:
        await Reading(dataset, BatchSize()).go()
    assert dataset.asked == [(0, 1000), (5, 1000), "count"]
    assert caught.value.wait == FINISHED + QUIET - (LATER - 3 * 400) + 0.5


@pytest.mark.parametrize(("counted", "total"), [(6, 5), (5, 6), (7, 6)])
async def test_counts_ahead_of_the_rows_are_waited_for(counted: int, total: int) -> None:
    reading = Reading(Dataset(rows(5), counted=counted, total=total), BatchSize())
    with pytest.raises(NotYet) as caught:
        await reading.go()
    assert (caught.value.reason, caught.value.wait) == ("not_settled", 0.0)
    assert (reading.batches, reading.settled) == ([], [])


@pytest.mark.parametrize(("counted", "total", "expected"), [(3, 4, 4), (4, 3, 4), (5, 3, 5), (3, 5, 5), (0, 0, 0)])
async def test_the_larger_of_the_platforms_counts_is_expected_even_below_what_was_read(
    counted: int, total: int, expected: int
) -> None:
    reading = Reading(Dataset(rows(5), counted=counted, total=total), BatchSize())
    assert await reading.go()
    assert reading.settled == [(5, expected)]


async def test_rows_that_vanish_after_the_end_was_settled_are_a_change_nobody_can_mend() -> None:
    reading = Reading(Dataset(rows(12)), BatchSize(items=10), end=15)
    with pytest.raises(Permanent) as caught:
        await reading.go()
    assert (caught.value.reason, caught.value.detail) == (
        "source_mutated",
        "rows up to 15 were there, now they end at 12",
    )


@pytest.mark.parametrize(("counted", "total"), [(15, 12), (12, 15)])
async def test_rows_that_one_page_lacks_and_the_platform_counts_are_waited_for(counted: int, total: int) -> None:
    reading = Reading(Dataset(rows(12), counted=counted, total=total), BatchSize(items=10), end=15)
    with pytest.raises(NotYet) as caught:
        await reading.go()
    assert caught.value.reason == "not_settled"


async def test_of_a_page_that_is_too_large_less_is_asked_and_later_more_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE_BYTES", 1000)
    dataset = Dataset([b"x" * 400] * 4 + rows(40))
    reading = Reading(dataset, BatchSize(items=16, bytes=10_000))
    assert await reading.go()
    assert reading.batches == cut(dataset.rows, reading.size)
    assert dataset.asked == [
        (0, 16),
        (0, 4),
        (0, 1),
        (1, 1),
        (2, 1),
        (3, 1),
        (4, 1),
        (5, 2),
        (7, 4),
        (11, 8),
        (19, 16),
        (35, 16),
        (44, 16),
        "count",
    ]


async def test_a_single_row_that_is_too_large_is_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE_BYTES", 1000)
    reading = Reading(Dataset([b"x", b"x" * 2000]), BatchSize(items=1))
    with pytest.raises(Permanent) as caught:
        await reading.go()
    assert (caught.value.reason, caught.value.detail) == (
        "source_refused",
        "a single row is larger than 1000 bytes",
    )
    assert reading.batches == cut([b"x"], reading.size)
