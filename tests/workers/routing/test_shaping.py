"""What becomes of items on their way, batch by batch."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.contracts.errors import Permanent
from config.contracts.sink import Batch, Rejected
from config.language.expression import Expression
from config.language.function import Function
from config.route import Transform
from workers.routing.shaping import Shaped, Shaper, chosen

RUN = {"run": {"id": "r1", "usageTotalUsd": 0.5}}


def batch(*items: Any, offset: int = 0) -> Batch:
    lines = b"".join(json.dumps(item).encode() + b"\n" for item in items)
    return Batch(0, offset, lines, len(items))


def expressions(**sources: str) -> dict[str, Expression]:
    return {name: Expression(source) for name, source in sources.items()}


def shaped(given: Batch, *steps: Transform) -> Shaped:
    return Shaper(steps, RUN).shape(given)


def items(given: Shaped) -> list[Any]:
    return [json.loads(line) for line in given.batch.items()]


def without_cents(item: dict[str, Any], run: dict[str, Any]) -> dict[str, Any] | None:
    return {**item, "price": int(item["price"]), "of": run["id"]} if "price" in item else None


def broken(item: Any, run: Any) -> Any:
    return item["no such key"]


def odd(item: Any, run: Any) -> Any:
    return object()


def test_nothing_said_nothing_is_touched() -> None:
    given = batch({"a": 1}, 2, None)
    assert shaped(given, Transform(), Transform()) == Shaped(given)


def test_items_that_are_chosen_stay_byte_for_byte_and_keep_their_row_numbers() -> None:
    lines = [b'{"n":1.10,"u":"\\u00e4"}', b'{"n": 2}', b'{"n":12345678901234567890123}', b'{"n":null}']
    given = Batch(0, 7, b"".join(line + b"\n" for line in lines), 4)
    found = shaped(given, Transform(where=Expression("item.n != 2")))
    assert (found.batch.items(), found.batch.numbers) == ([lines[0], lines[2], lines[3]], (7, 9, 10))


def test_steps_follow_each_other_and_each_sees_what_the_one_before_made() -> None:
    read = Transform(where=Expression("item.price"), fields=expressions(url="item.url", price="item.price | number"))
    target = Transform(
        where=Expression("item.price > 5"), set=expressions(run="run.id", price="item.price + 1"), omit=("url",)
    )
    given = batch({"url": "a", "price": "9.50"}, {"url": "b"}, {"url": "c", "price": 3}, offset=20)
    found = shaped(given, read, target)
    assert (items(found), found.batch.numbers) == ([{"price": 10.5, "run": "r1"}], (20,))


def test_keep_leaves_those_fields_that_an_item_has() -> None:
    assert items(shaped(batch({"b": 1, "a": 2, "c": 3}, {"c": 4}, 5), Transform(keep=("a", "b")))) == [
        {"a": 2, "b": 1},
        {},
        {},
    ]


def test_a_field_that_does_not_fit_is_null_and_the_others_are_not() -> None:
    found = shaped(batch({"a": "x", "b": 1}), Transform(fields=expressions(sum="item.a - 1", b="item.b")))
    assert items(found) == [{"sum": None, "b": 1}]
    assert found.tally["clash"] == 1


def test_a_condition_that_does_not_fit_is_no_match_and_is_counted() -> None:
    found = shaped(batch({"p": "x"}, {"p": 7}, {}), Transform(where=Expression("item.p > 5")))
    assert (items(found), found.rejected) == ([{"p": 7}], ())
    assert {name: found.tally[name] for name in ("seen", "kept", "clash")} == {"seen": 3, "kept": 1, "clash": 1}


@pytest.mark.parametrize(
    "step", [{"where": Expression("item.p > 5")}, {"fields": expressions(p="item.p - 5")}], ids=["where", "fields"]
)
def test_strictly_what_does_not_fit_is_rejected_with_its_row_and_no_content(step: Any) -> None:
    found = shaped(batch({"p": "secret"}, {"p": 7}, offset=3), Transform(**step, strict=True))
    (rejected,) = found.rejected
    assert (found.batch.numbers, rejected) == ((4,), Rejected(3, rejected.why))
    assert rejected.why
    assert "secret" not in rejected.why


def test_a_function_of_somebody_s_own_changes_items_and_drops_them() -> None:
    step = Transform(function=Function(f"{__name__}:without_cents"))
    found = shaped(batch({"price": 9.9}, {"x": 1}, {"price": 3.2}), step)
    assert (items(found), found.batch.numbers) == ([{"price": 9, "of": "r1"}, {"price": 3, "of": "r1"}], (0, 2))


@pytest.mark.parametrize(("name", "said"), [("broken", "test_shaping:broken: KeyError"), ("odd", "JSON cannot say")])
def test_a_function_that_breaks_ends_the_delivery_and_says_how(name: str, said: str) -> None:
    with pytest.raises(Permanent, match=said) as caught:
        shaped(batch({"a": "secret"}, offset=5), Transform(function=Function(f"{__name__}:{name}")))
    assert "secret" not in caught.value.detail


def test_what_was_computed_is_counted_where_it_is_not_null() -> None:
    found = shaped(batch({"a": 1}, {"a": None}, {}), Transform(fields=expressions(a="item.a", b="item.b")))
    assert {name: number for name, number in found.tally.items() if ":" in name and number} == {
        "made:a": 3,
        "made:b": 3,
        "has:a": 1,
    }


def test_a_record_is_chosen_by_what_is_known_of_it() -> None:
    record = {"key": "SHOT-1", "size": 10, "contentType": "image/png"}
    wants = [Transform(where=Expression(text)) for text in ("record.size > 5", "record.size > 50", "record.key > 5")]
    assert [chosen(one, record, RUN) for one in (Transform(), *wants)] == [True, True, False, False]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(JSON, max_size=12), st.integers(0, 10**9))
def test_whatever_items_are_like_rows_keep_their_numbers_and_all_are_accounted_for(given: list[Any], row: int) -> None:
    steps = [
        Transform(where=Expression("item.a or item.b > 1")),
        Transform(fields=expressions(a="item.a", b="item.b + 1"), strict=True),
    ]
    found = shaped(batch(*given, offset=row), *steps)
    numbers, rejected = list(found.batch.numbers), [one.offset for one in found.rejected]
    assert numbers == sorted(set(numbers))
    assert set(numbers).isdisjoint(rejected)
    assert {*numbers, *rejected} <= set(range(row, row + len(given)))
    assert found.batch.count == len(numbers) == len(found.batch.items())
