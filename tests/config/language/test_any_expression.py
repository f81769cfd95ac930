"""Whatever an expression is made of, and whatever an item holds: data comes out, within its limits, or a clash does."""

import math
from typing import Any

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from config.contracts.errors import Permanent
from config.contracts.reasons import Reason
from config.language.expression import Clash, Columns, Expression
from config.language.filters import FILTERS
from config.language.operators import MOST
from tests.config.language.test_any_template import KEYS, SCOPE, Watched, expressions

NAMES = st.sampled_from(["item"] * 9 + ["run", "dataset", "record", "task", "self", "itme", "null", "_items", "_show"])
#: Such as people may write; what is made of them is mostly understood.
LEAST = st.sampled_from(
    [
        *("item", "item.a", "item.b", "item.items", "item['__class__']", "item.long", "item.format", "run", "dataset"),
        *("record.a", "0", "1.5", "'a'", "'1.299,00 €'", "'{0.__class__}'", "'%d'", "null", "true", "[]"),
    ]
)
UNARY = st.sampled_from(
    [
        *(
            "{}[0]",
            "{}['a']",
            "{}[1:]",
            "{}.keys",
            "not {}",
            "-{}",
            "[{}]",
            "{{'a': {}}}",
            "{} is none",
            "{} is string",
        ),
        *(f"{{}} | {name}" for name in FILTERS if name not in ("hmac", "map")),
    ]
)
BINARY = st.sampled_from(
    [
        *(f"{{}} {sign} {{}}" for sign in ("+", "+", "-", "==", "!=", "<", ">=", "in", "not in", "and", "or")),
        *("{} | hmac({})", "{} | map({})", "{} | join({})", "{} | split({})", "{} | date({})", "{} | default({})"),
        *("{} | number(otherwise={})", "{} | round({})", "{} is matching({})", "{} is startswith({})"),
        *("[{}, {}]", "{{'a': {}, 'b': {}}}", "{}[{}]", "{}[{}:]", "(1 < {} <= {})", "({} if {})"),
    ]
)
LIKELY = st.recursive(
    LEAST,
    lambda inner: (
        st.builds(lambda form, one: f"({form.format(one)})", UNARY, inner)
        | st.builds(lambda form, one, other: f"({form.format(one, other)})", BINARY, inner, inner)
    ),
    max_leaves=10,
)
SOURCES = (
    LIKELY
    | LIKELY
    | expressions(NAMES)
    | st.text(max_size=12)
    | st.builds("{}{}".format, expressions(NAMES), st.text(max_size=3))
)

#: What items are made of: keys that are names of Python's own, texts that would do something if they were formatted.
TEXTS = st.text(max_size=6) | st.sampled_from(
    [
        *("{0.__class__}", "%(a)s", "{{ run }}", "{% raw %}", "__import__('os')", "\ud800", "x" * 2000, "1.299,00 €"),
        *("2026-01-31T23:59:00Z", "https://a.example/x", "nan", "1e999", "%9999d", "\x00", "<b>", "```"),
    ]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=3), inner, max_size=4),
    max_leaves=10,
)
DATA = {name: value for name, value in SCOPE.items() if name != "raw"}
ITEMS = st.lists(VALUES | st.just(DATA), min_size=1, max_size=4)


def is_json(value: object) -> bool:
    """Whether it is exactly of a type that JSON has, all through."""
    if type(value) is dict:
        return all(type(name) is str and is_json(one) for name, one in value.items())
    if type(value) is list:
        return all(map(is_json, value))
    if type(value) is float:
        return math.isfinite(value)
    return value is None or type(value) in (bool, int, str)


def size(value: object) -> int:
    """Characters and values."""
    if isinstance(value, dict):
        return sum(len(name) + size(one) for name, one in value.items())
    if isinstance(value, list):
        return 1 + sum(map(size, value))
    return len(value) if isinstance(value, str) else 1


def understood(source: str) -> Expression | None:
    try:
        return Expression(source)
    except ValueError as refusal:
        shown = str(refusal)
    assert shown
    assert "\n" not in shown
    assert len(shown) < 2 * len(source) + 500
    return None


def alone(expression: Expression, scope: dict[str, Any]) -> Any:
    try:
        return expression.value(scope)
    except Permanent as verdict:
        reason, detail = verdict.reason, verdict.detail
    assert reason is Reason.TEMPLATE_FAILED
    return Clash(detail)


def limit(source: str, item: object) -> int:
    """What may come out: what went in, a few times at most, and what was put together."""
    return MOST + 6 * (size(item) + size(AROUND["dataset"]) + len(source))


AROUND = {"run": {"id": "r1"}, "dataset": "y" * 30_000, "record": msgspec.Raw(b'{"a": [1, {"b": null}]}')}


@given(source=SOURCES, items=ITEMS)
@example(source="item" + "|lower" * 46, items=["a"])
@example(source="[" * 46 + "item" + "]" * 46, items=["a"])
@example(source="item" + "[0]" * 46, items=["a"])
@example(source="[item, item, item]", items=["x" * 30_000])
@example(source="+".join(["item"] * 47), items=["x" * 30_000])
@example(source="[" + "item," * 9000 + "]", items=[["x"] * 100])
@example(source="item.format.__globals__", items=["{0.__class__}"])
@example(source="item|date(item)", items=["%999999999Y"])
@example(source="item|round(item)", items=[10**400, 1.5])
@example(source="item|int|string", items=[10**5000])
@example(source="item[item:item:item]", items=[10**30, [1], "a"])
def test_an_expression_is_refused_or_gives_data_within_its_limits(source: str, items: list[Any]) -> None:
    if expression := understood(source):
        keeps_within(expression, items)


@given(source=LIKELY, items=ITEMS)
def test_what_is_understood_gives_data_within_its_limits(source: str, items: list[Any]) -> None:
    if expression := understood(source):
        keeps_within(expression, items)


def keeps_within(expression: Expression, items: list[Any]) -> None:
    """It gives JSON for each item, not too much of it, and the same alone, among others and among columns."""
    values = expression.each(items, AROUND)
    assert len(values) == len(items)
    for value, item in zip(values, items, strict=True):
        by_itself = alone(expression, {**AROUND, "item": item})
        if isinstance(value, Clash):
            assert by_itself.why.endswith(f": {value.why}")
        else:
            assert (value, is_json(value)) == (by_itself, True)
            assert size(value) <= limit(expression.source, item)
    columns = Columns({"first": expression, "second": Expression("item")}).each(items, AROUND)
    assert [isinstance(one, Clash) for one in columns] == [isinstance(value, Clash) for value in values]
    assert all(
        one == {"first": value, "second": item}
        for one, value, item in zip(columns, values, items, strict=True)
        if not isinstance(one, Clash)
    )


@given(source=LIKELY | expressions(NAMES))
def test_nothing_private_of_an_item_is_asked_for(source: str) -> None:
    expression = understood(source)
    if expression is None:
        return
    Watched.asked.clear()
    scope = {"run": Watched(DATA), "dataset": "y", "record": Watched(DATA), "task": Watched(DATA)}
    values = expression.each([Watched(DATA)], scope)
    asked = list(Watched.asked)
    assert asked == []
    assert len(values) == 1
