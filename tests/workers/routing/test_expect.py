"""Whether a run is what its route expects."""

from typing import Any

import msgspec
import pytest

from config.contracts.run import Run
from config.contracts.sink import Batch
from config.language.schema import JsonSchema
from config.route import Expect
from workers.routing.expect import NOTHING, Counted, count, objections

RUN = Run(id="r", source="apify", status="SUCCEEDED", terminal=True, life="l", finished=1.0, account="u")


def batch(*items: Any, offset: int = 0, kept: tuple[int, ...] | None = None) -> Batch:
    lines = b"".join(msgspec.json.encode(item) + b"\n" for item in items)
    return Batch(0, offset, lines, len(items), kept or tuple(range(offset, offset + len(items))))


@pytest.mark.parametrize(
    ("expect", "items", "said"),
    [
        (Expect(min_items=10), 10, []),
        (Expect(min_items=10), 9, ["9 items, at least 10 were expected"]),
        (Expect(max_items=10), 10, []),
        (Expect(max_items=10), 11, ["11 items, at most 10 were expected"]),
        (Expect(min_items=0), 0, []),
    ],
)
def test_how_many_items_there_may_be(expect: Expect, items: int, said: list[str]) -> None:
    assert objections(expect, RUN, {"items": items}, {}, ()) == said


@pytest.mark.parametrize(
    ("usual", "items", "share", "held"),
    [
        ([100] * 4, 1, 0.5, False),  # fewer than five are not usual
        ([100] * 5, 50, 0.5, False),
        ([100] * 5, 49, 0.5, True),
        ([1000, 100, 100, 100, 100], 50, 0.5, False),
        ([90, 100, 110, 120, 100, 100], 49, 0.5, True),
        ([10] * 5, 3, 0.7, False),  # 1 - 0.7 is a little more than 0.3
        ([10] * 5, 2, 0.7, True),
        ([0] * 5, 0, 0.5, False),
        ([100] * 20, 0, 1.0, False),
    ],
)
def test_how_many_fewer_than_usual(usual: list[int], items: int, share: float, held: bool) -> None:
    said = objections(Expect(drop_from_usual=share), RUN, {"items": items}, {}, usual)
    assert bool(said) == held


def test_a_drop_says_what_is_usual() -> None:
    said = objections(Expect(drop_from_usual=0.125), RUN, {"items": 10}, {}, [20, 30, 40, 50, 60])
    assert said == ["10 items, 40 are usual, and at most 12.5% fewer were expected"]


@pytest.mark.parametrize(
    ("share", "filled", "items", "held"),
    [
        (1.0, 10, 10, False),
        (1.0, 9, 10, True),
        (0.9, 9, 10, False),
        (0.07, 7, 100, False),  # 0.07 × 100 is a little more than 7
        (0.07, 6, 100, True),
        (1.0, 0, 0, False),
    ],
)
def test_in_how_many_items_a_field_is_filled(share: float, filled: int, items: int, held: bool) -> None:
    tally = {"items": items, "filled:url": filled}
    assert bool(objections(Expect(filled={"url": share}), RUN, tally, {}, ())) == held


def test_a_field_says_in_how_many() -> None:
    said = objections(Expect(filled={"url": 1.0, "price": 0.995}), RUN, {"items": 9, "filled:url": 8}, {}, ())
    assert said == [
        "`url` is filled in 8 of 9 items, in 100% of them it was expected",
        "`price` is filled in 0 of 9 items, in 99.5% of them it was expected",
    ]


@pytest.mark.parametrize(
    ("cost", "items", "said"),
    [
        (None, 1, []),
        (2.0, 1000, []),
        (2.01, 4000, ["it cost $2.01, at most $2.00 were expected"]),
        (1.5, 500, ["1,000 items cost $3.00, at most $2.00 were expected"]),
        (0.5, 0, ["1,000 items cost $500.00, at most $2.00 were expected"]),
    ],
)
def test_what_a_run_may_cost(cost: float | None, items: int, said: list[str]) -> None:
    run = msgspec.structs.replace(RUN, cost=cost)
    expect = Expect(max_usd=2.0, max_usd_per_1000=2.0)
    assert objections(expect, run, {"items": items}, {}, ()) == said


def test_items_that_do_not_fit_are_counted_and_the_first_is_described() -> None:
    expect = Expect(schema=JsonSchema({"required": ["url"]}))
    counted = count(expect, batch({"url": 1}, {"n": "SECRET"}, {}, offset=40, kept=(40, 43, 44)))
    assert counted == Counted({"items": 3, "unfit": 2}, {"unfit": 'row 43: the item breaks required: ["url"]'})
    said = objections(expect, RUN, counted.tally, counted.seen, ())
    assert said == ['2 of 3 items do not fit the schema; row 43: the item breaks required: ["url"]']


def test_filled_is_what_says_something() -> None:
    items = ({"a": value} for value in (0, False, "x", [0], {"b": None}, None, "", [], {}))
    assert count(Expect(filled={"a": 1.0}), batch(*items, {})).tally == {"items": 10, "filled:a": 5}


def test_items_that_are_no_objects_have_no_fields() -> None:
    expect = Expect(filled={"a": 1.0}, schema=JsonSchema({"type": "object"}))
    counted = count(expect, batch([1], "a", None, 10**30, {"a": 1}))
    assert counted.tally == {"items": 5, "filled:a": 1, "unfit": 4}


def test_what_is_only_counted_is_not_looked_at() -> None:
    broken = Batch(0, 0, b"no json\n", 1)
    assert count(Expect(min_items=1, max_usd=1.0), broken).tally == {"items": 1}
    assert Counted({}, {}) == NOTHING


def test_an_item_nobody_can_read_to_its_end_has_no_fields_and_does_not_fit() -> None:
    deep = Batch(0, 0, b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"\n", 1)
    expect = Expect(filled={"a": 1.0}, schema=JsonSchema({"type": "object"}))
    assert count(expect, deep).tally == {"items": 1, "unfit": 1}
