"""How many bad items a stream may have, and what is kept of them."""

import pytest

from config.contracts.errors import Permanent
from config.contracts.sink import Rejected
from workers.rejecting import BEGINNING, MOST, Reject, judge, with_items
from workers.testing.shipments import batches


def bad(count: int) -> list[Rejected]:
    return [Rejected(7 + number, "no price") for number in range(count)]


@pytest.mark.parametrize(
    ("before", "now", "read"),
    [(0, 0, 0), (0, 10, 10), (9, 1, 500), (10, 0, 500), (0, 20, 2000), (15, 5, 2000), (999, 1, 1_000_000)],
)
def test_few_are_left_out(before: int, now: int, read: int) -> None:
    judge("reject", bad(now), before, read)


@pytest.mark.parametrize(
    ("before", "now", "read", "most"), [(0, 11, 11, 10), (10, 1, 1099, 10), (15, 6, 2000, 20), (MOST, 1, 10**6, MOST)]
)
def test_many_end_the_delivery(before: int, now: int, read: int, most: int) -> None:
    with pytest.raises(Permanent) as raised:
        judge("reject", bad(now), before, read)
    said = f"{before + now} of {read} items cannot be taken, more than {most}; row 7: no price"
    assert str(raised.value) == f"item_refused: {said}"


def test_one_is_too_many_if_the_operator_says_so() -> None:
    with pytest.raises(Permanent, match="row 7: no price"):
        judge("fail", bad(1), 0, 1_000_000)


def test_each_is_kept_with_how_it_begins() -> None:
    (batch,) = batches([b'{"n":0}', b'{"n":"' + "ü".encode() * BEGINNING + b'"}'])
    assert with_items([Rejected(0, "a"), Rejected(1, "b")], batch) == [
        Reject(0, "a", '{"n":0}'),
        Reject(1, "b", '{"n":"' + "ü" * ((BEGINNING - 6) // 2)),
    ]
