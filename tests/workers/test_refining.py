"""What belongs to which rows of a batch, and what is said of a stream in the end."""

import asyncio
import threading
from typing import Any

import pytest

from config.contracts.errors import Transient
from config.contracts.reasons import Reason
from config.contracts.sink import Batch, Rejected
from config.language.function import Function
from config.route import Transform
from workers.refining import Refined, Refining, warnings_of
from workers.rejecting import Reject
from workers.routing.shaping import Shaper

ROWS = Batch(0, 10, b"1\n2\n3\n", 3, (10, 12, 14))


def refined() -> Refined:
    rejected = [Rejected(11, "odd"), Rejected(13, "odd")]
    rejects = [Reject(one.offset, one.why, "item") for one in rejected]
    return Refined(ROWS, 15, rejected, rejects, {"s|seen": 5}, {"s|unfit": "row 11"})


def test_a_part_has_what_was_rejected_in_its_rows_and_the_last_one_what_was_counted() -> None:
    first, last = refined().part(10, 12, ()), refined().part(12, 15, ())
    assert ([one.offset for one in first.rejected], [one.row for one in first.rejects]) == ([11], [11])
    assert ([one.offset for one in last.rejected], [one.row for one in last.rejects]) == ([13], [13])
    assert (first.tally, first.seen) == ({}, {})
    assert (last.tally, last.seen) == ({"s|seen": 5}, {"s|unfit": "row 11"})


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({}, []),
        ({"seen": 3, "kept": 3}, []),
        ({"seen": 3}, ["`where` let none of 3 items through"]),
        ({"seen": 3, "kept": 2, "clash": 1}, ["the types of 1 of 3 items did not fit an expression"]),
        ({"seen": 3, "kept": 3, "made:a": 3, "has:a": 1, "made:b": 3}, ["`b` is null in every item"]),
        ({"kept": 3, "made:b": 3}, []),
    ],
)
def test_what_is_probably_not_meant_is_said(counts: dict[str, int], said: list[str]) -> None:
    tally = {f"items:default|{name}": number for name, number in counts.items()}
    assert warnings_of("items:default", {**tally, "items:other|seen": 5}) == said


GO_ON = threading.Event()


def hangs(item: Any, run: Any) -> Any:
    GO_ON.wait(60)
    return item


async def test_a_function_that_hangs_holds_one_thread_and_is_not_called_again_until_it_has_returned() -> None:
    shaper = Shaper([Transform(function=Function(f"{__name__}:hangs"))], {"run": {}})
    refining = Refining("s", shaper)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(refining.refine(ROWS), 0.05)
    with pytest.raises(Transient) as told:
        await refining.refine(ROWS)
    assert (told.value.reason, told.value.detail) == (
        Reason.TOO_SLOW,
        f"`{__name__}:hangs` has not returned from an earlier turn, which still holds its thread: mend it, then "
        "restart the worker",
    )
    GO_ON.set()
    async with asyncio.timeout(20):
        while True:
            try:
                assert (await refining.refine(ROWS)).batch.count == 3
                break
            except Transient:
                await asyncio.sleep(0.001)
