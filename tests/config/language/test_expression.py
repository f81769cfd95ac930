"""Expressions: what they mean, what is missing, what does not fit, and what they are asked of many items at once."""

import re
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel, ValidationError

from config.contracts.errors import Permanent
from config.contracts.reasons import Reason
from config.language.expression import Clash, Columns, Expression
from config.language.operators import MOST

ITEM = {
    "url": "https://www.shop.example/p/1",
    "title": "  Chair ",
    "price": 9.5,
    "text": "12,50 €",
    "sold": False,
    "nothing": None,
    "seller": {"name": "Møre", "first-name": "Ola", "#debug": 1},
    "images": ["a.jpg", "b.jpg", "c.jpg"],
    "offers": [{"price": 3}, {"price": 4}, {}],
    "items": "a key that is also a method",
    "get": "another",
    "huge": 10**30,
    "half": "\ud800",
}
QUOTED = re.compile(r"'[^']*'")
SCOPE = {"run": {"id": "r1", "stats": {"secs": 12.5}}, "dataset": "default", "item": ITEM}


class Where(BaseModel, extra="forbid", frozen=True):
    where: Expression | None = None


def wrong(source: object) -> str:
    with pytest.raises(ValidationError) as caught:
        Where.model_validate({"where": source})
    return caught.value.errors()[0]["msg"].removeprefix("Value error, ")


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("item.url", ITEM["url"]),
        ("item['seller'].name", "Møre"),
        ("item.seller['first-name']", "Ola"),
        ("item.seller['#debug']", 1),
        ("item.images[0]", "a.jpg"),
        ("item.images[-1]", "c.jpg"),
        ("item.images.1", "b.jpg"),
        ("item.images[:2]", ["a.jpg", "b.jpg"]),
        ("item.images[::-1]", ["c.jpg", "b.jpg", "a.jpg"]),
        ("item.items", "a key that is also a method"),
        ("item.get", "another"),
        ("item.get | upper", "ANOTHER"),
        ("item.huge", 10**30),
        ("item.huge + 1", 10**30 + 1),
        ("item.half", "\ud800"),
        ("item.half + 'x' | lower", "\ud800x"),
        ("[item.half] | json", '["\ud800"]'),
        ("[item.huge] | json", f"[{10**30}]"),
        ("run.stats.secs", 12.5),
        ("  item.price\n > 9 ", True),
        ("item.price > 9 and item.seller.name == 'Møre'", True),
        ("1 < item.price <= 9.5", True),
        ("1 < item.price < 9.5", False),
        ("'b.jpg' in item.images", True),
        ("'seller' in item", True),
        ("'shop' in item.url", True),
        ("item.price in [1, 9.5]", True),
        ("item.url not in ['a', run.id]", True),
        ("item.sold or item.nothing or 'neither'", "neither"),
        ("not item.sold", True),
        ("'cheap' if item.price < 10 else 'dear'", "cheap"),
        ("'dear' if item.price > 10", None),
        ("item.price + 1 - 0.5", 10.0),
        ("-item.price", -9.5),
        ("item.title | trim + '!'", "Chair!"),
        ("item.images + ['d.jpg']", ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]),
        ("[item.url, (item.price, none)]", [ITEM["url"], [9.5, None]]),
        ("{'amount': item.price, 'currency': 'EUR'}", {"amount": 9.5, "currency": "EUR"}),
        ("item.text | number", 12.5),
        ("item.text | number > 12", True),
        ("item.offers | map('price')", [3, 4, None]),
        ("item.url is startswith('https:') and item.url is endswith('/1')", True),
        ("item.url is matching('https://*.example/*')", True),
        ("item.url is matching('https://*.example')", False),
        ("item.price is number and item.url is string and item.images is sequence", True),
        ("true", True),
        ("'{{'", "{{"),
        ("null", None),
    ],
)
def test_an_expression_stands_for_a_value(source: str, value: Any) -> None:
    expression = Expression(source)
    assert expression.value(SCOPE) == value
    assert type(expression.value(SCOPE)) is type(value)
    assert expression.each([ITEM, ITEM], {"run": SCOPE["run"]}) == [value, value]


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("item.none.below.it", None),
        ("item.images[7]", None),
        ("item.images.name", None),
        ("item.price.amount", None),
        ("item[item.seller]", None),
        ("item.none > 10", None),
        ("item.nothing < 10", None),
        ("1 < item.none < 3", None),
        ("not item.none > 10", True),
        ("item.none == none and item.none == null and item.none != 1", True),
        ("item.none is none and item.none is not defined and item.nothing is undefined", True),
        ("'a' in item.none", None),
        ("item.none in 'text'", None),
        ("'a' not in item.none", True),
        ("item.none + 1", None),
        ("'a' + item.none", None),
        ("1 - item.none", None),
        ("-item.none", None),
        ("item.none[:2]", None),
        ("item.none | trim | lower | number", None),
        ("item.none | default('x')", "x"),
        ("item.none is startswith('x') or item.none is matching('*')", False),
        ("run.none", None),
        ("task.name", None),
        ("item.url.upper", None),
        ("item.__class__", None),
        ("item['__class__'].mro", None),
        ("item.images.append", None),
        ("item.values | default('none')", "none"),
        ("item.url.upper or item.images.append or item.__class__ or item.seller['__init__']", None),
    ],
)
def test_what_is_missing_is_null_and_null_is_quiet(source: str, value: Any) -> None:
    assert Expression(source).value(SCOPE) is value or Expression(source).value(SCOPE) == value
    assert Expression(source).each([ITEM, {}, None, 5, "text", []], SCOPE)[0] == value


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("item.text > 10", "text > number: `number` reads a number out of text"),
        ("10 >= item.text", "number >= text: `number` reads a number out of text"),
        ("1 < item.text < 3", "number < text: `number` reads a number out of text"),
        ("item.seller < item.images", "object < list"),
        ("item.text + 1", "text + number: `number` reads a number out of text"),
        ("item.seller - 1", "object - number"),
        ("-item.text", "- of text"),
        ("5 in item.text", "number in text: `number` reads a number out of text"),
        ("1 in item.price", "number in number"),
        ("item.images in item.seller", "list in object"),
        ("item.seller[:2]", "no part of object can be cut out"),
        ("item.images[::0]", "a step of 0"),
        ("item.images['a':]", "a part is cut out at whole numbers"),
        ("item.price is startswith('9')", "`startswith` needs a text, not number"),
        ("item.title is matching(5)", "`matching` needs a text, not number"),
        ("item.title | number", "`number` found no number in a text"),
        ("item.url | date", "`date` needs an ISO 8601 timestamp"),
        ("1e308 + 1e308", "a number becomes too large"),
        ("item.huge + 0.5 + 1e308 + 1e308", "a number becomes too large"),
    ],
)
def test_what_does_not_fit_is_told_without_what_it_was(source: str, why: str) -> None:
    with pytest.raises(Permanent) as caught:
        Expression(source).value(SCOPE)
    told = QUOTED.sub("'…'", source)
    assert (caught.value.reason, caught.value.detail) == (Reason.TEMPLATE_FAILED, f"{told}: {why}")
    assert Expression(source).each([ITEM], SCOPE) == [Clash(why)]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("price > 10", "unknown name `price`: did you mean `item.price`?"),
        ("title", "unknown name `title`: did you mean `item.title`?"),
        ("seller.name", "unknown name `seller`: did you mean `item.seller`?"),
        ("itme.price", "unknown name `itme`: did you mean `item`?"),
        ("rnu.id == 'x'", "unknown name `rnu`: did you mean `run`?"),
        ("item.first-name", "unknown name `name`: did you mean `item['first-name']`?"),
        ("{{ item.a }}", "not an expression: write it without {{ }}"),
        ("x {{ item.a }}", "not an expression: write it without {{ }}"),
        ("item.a }} {{ item.b", "not an expression: write it without {{ }}"),
        ("{% if item.a %}x{% endif %}", "not an expression: write it without {{ }}"),
        ("", "not an expression: there is nothing"),
        ("item.a && item.b", "not an expression: unexpected char '&': write `and`"),
        ("item.a || item.b", "not an expression: expected token 'name', got '|': write `or`"),
        ("item.a = 3", "not an expression: unexpected '=': `==` compares"),
        ("!item.a", "not an expression: unexpected char '!': write `not`"),
        ("item.a ? 1 : 2", "not an expression: unexpected char '?': write `a if condition else b`"),
        ("item.a AND item.b", "not an expression: unexpected 'AND': write it in small letters"),
        ("item.#debug", "not an expression: unexpected char '#': write `item['#name']`"),
        ("item.a == 'x", 'not an expression: unexpected char "\'": a quote is never closed'),
        ("item.a ==", "not an expression: it breaks off"),
        ("[item.a", "not an expression: it breaks off"),
        ("item.a |", "not an expression: it breaks off"),
        ("item.a\nitem.b", "not an expression: unexpected 'item' (line 2)"),
        ("item.price >= 1.299,00", "not an expression: a comma stands outside of brackets: a list is written [a, b]"),
        ("1, 2", "not an expression: a comma stands outside of brackets: a list is written [a, b]"),
        ("{item.a: 1}", "the keys of an object are texts: {'name': item.name}"),
        ("item.a | nmber", "unknown filter `nmber`: did you mean `number`?"),
        ("item.a is defind", "unknown test `defind`: did you mean `defined`?"),
        ("item.a | hmac", "filter `hmac`: missing a required argument: 'key'"),
        ("item.a is startswith('a', 'b')", "test `startswith`: too many positional arguments"),
        ("item.a | date(form='%d', form='%m')", "filter `date`: form stands twice"),
        ("item.a | join(*item.b)", "filter `join`: write its arguments one by one, without `*`"),
        ("item.a | _key('x')", "unknown filter `_key`: there are code, date,"),
        ("item.a.upper()", "expressions have no calls: write it as a filter, `… | upper`"),
        ("len(item.a) > 3", "expressions have no calls: write it as a filter, `… | length`"),
        ("item.a.startswith('x')", "expressions have no calls: write it as a test, `… is startswith('…')`"),
        ("item.a.find('x')", "expressions have no calls: use names, `if`, and filters (code, date,"),
        ("item.a is null", "unknown test `null`: did you mean `none`?"),
        ("item.a === 3", "not an expression: unexpected '=': `==` compares"),
        ("item.price * 2", "expressions have no `*`: use names, `if`, and filters (code, date,"),
        ("(" * 3000 + "1" + ")" * 3000, "not an expression: nested too deeply"),
        ("item" + ".a" * 60, "not an expression: nested too deeply"),
        ("1" * 5000, "not an expression: a number is too long"),
        ("'" + "x" * MOST + "'", "not an expression: longer than 65536 characters"),
        (True, "Input should be an expression: text such as `item.price`"),
        (["item.a"], "Input should be an expression: text such as `item.price`"),
    ],
)
def test_what_cannot_be_an_expression_is_refused_when_the_file_is_loaded(source: object, message: str) -> None:
    assert wrong(source).startswith(message)
    assert wrong(source) == message or message.endswith(",")


def test_a_place_may_know_other_names() -> None:
    class OfRun(Expression):
        names = frozenset({"run"})

    assert OfRun("run.id").value(SCOPE) == "r1"
    with pytest.raises(ValueError, match=r"^`item` has no meaning here, where the whole run is looked at: move it "):
        OfRun("item.a")
    assert Expression("alert.kind", names={"alert"}).value({"alert": {"kind": "dead"}}) == "dead"


def test_an_expression_is_a_field_that_keeps_its_source() -> None:
    where = Where.model_validate({"where": " item.price > 1"})
    assert str(where.where) == " item.price > 1"
    assert where == Where(where=Expression(" item.price > 1"))
    assert where.model_dump_json() == '{"where":" item.price > 1"}'
    assert repr(where) == "Where(where=Expression(' item.price > 1'))"
    assert hash(where.where) == hash(Expression(" item.price > 1"))
    assert Where.model_json_schema()["properties"]["where"]["anyOf"][0] == {"type": "string", "format": "jinja2"}


@pytest.mark.parametrize(
    ("source", "path", "roots"),
    [
        ("item.seller.name", ("item", "seller", "name"), {"item"}),
        ("item['x y']", ("item", "x y"), {"item"}),
        ("item", ("item",), {"item"}),
        ("item.a | trim", None, {"item"}),
        ("item[0]", None, {"item"}),
        ("item[run.id]", None, {"item", "run"}),
        ("item.a == dataset", None, {"item", "dataset"}),
        ("none", None, set()),
    ],
)
def test_a_bare_path_is_known_as_one(source: str, path: tuple[str, ...] | None, roots: set[str]) -> None:
    assert Expression(source).path == path
    assert Expression(source).roots == roots


def test_items_that_do_not_fit_do_not_disturb_the_others() -> None:
    prices: list[Any] = [1, "x", 20, None, "y", "z", 30, "last"]
    clash = Clash("text > number: `number` reads a number out of text")
    assert Expression("item.price > 10").each([{"price": price} for price in prices], {}) == [
        *(False, clash, True, None),
        *(clash, clash, True, clash),
    ]


def test_an_item_may_have_another_name_and_the_rest_comes_from_around() -> None:
    expression = Expression("record.size > run.limit")
    scope = {"run": {"limit": 1}, "record": "that of around is not meant"}
    assert expression.each([{"size": 2}, {"size": 1}], scope, "record") == [True, False]
    assert Expression("record.size").each([{"size": 2}], scope, "record") == [2]
    assert expression.each([], scope, "record") == []


def test_columns_are_objects_and_one_that_does_not_fit_is_named() -> None:
    columns = Columns({"url": Expression("item.url"), "price": Expression("item.price | number"), "a": Expression("1")})
    assert columns.each([{"url": "u1", "price": "9,90"}, {"price": "sold out"}, {"url": "u3"}], {}) == [
        {"url": "u1", "price": 9.9, "a": 1},
        Clash("price: `number` found no number in a text", {"url": None, "price": None, "a": 1}),
        {"url": "u3", "price": None, "a": 1},
    ]
    assert Columns({}).each([{}, {}], {}) == [{}, {}]


@pytest.mark.parametrize(
    "source",
    [
        "item.text + item.text + item.text",
        "[item.text, item.text, item.text]",
        "{'a': item.text, 'b': [item.text, item.text]}",
        "[item.many, item.many]",
        "[item, item, item]",
        "item.many | join(item.text)",
        "[item.text, item.text, item.text] | json | length",
        "item.many + item.many + item.many",
        "[run]",
    ],
)
def test_what_is_put_together_is_capped(source: str) -> None:
    item = {"text": "x" * 30_000, "many": [1] * 20_000}
    said = f"more than {MOST} characters are put together"
    assert Expression(source).each([item], {"run": msgspec.Raw(b'"' + b"x" * MOST + b'"')}) == [Clash(said)]


def test_what_was_there_passes_however_large_it_is() -> None:
    item = {"html": " " + "x" * 10 * MOST}
    for source in ("item.html", "item.html | trim", "item.none or item.html", "item.html | default('')", "item"):
        (value,) = Expression(source).each([item], {})
        assert len(str(value)) >= 10 * MOST


def test_only_json_comes_out() -> None:
    scope = {"run": msgspec.Raw(b'{"a":[1]}')}
    assert Expression("run").value(scope) == {"a": [1]}
    assert Expression("run").each([1], scope) == [{"a": [1]}]
    assert type(Expression("'a' | code").value(scope)) is str
    assert [type(value) for value in Expression("['a' | code]").value(scope)] == [str]
    assert [type(value) for value in Expression("'a' | code").each([1], scope)] == [str]


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("item.id | hmac('s3cret') > 1", "item.id | hmac('…') > 1"),
        ("item.id | hmac('s3)s3cret') > 1", "item.id | hmac('…') > 1"),
        ('item.id | hmac(key="it\'s s3cret") > 1', 'item.id | hmac(key="…") > 1'),
        ("(item.id | string) > 1 if item.key != 's3}}cret' else 1", "(item.id | string) > 1 if item.key != '…' else 1"),
    ],
)
def test_what_is_quoted_is_not_told_since_it_may_be_a_secret(source: str, told: str) -> None:
    with pytest.raises(Permanent) as caught:
        Expression(source).value({"item": {"id": 1}})
    assert caught.value.detail == f"{told}: text > number: `number` reads a number out of text"
