"""JSON Schemas as a routes file has them: what is said of an item, and what is no schema."""

from typing import Any

import pytest

from config.language.schema import JsonSchema


@pytest.mark.parametrize(
    ("schema", "item", "said"),
    [
        ({"required": ["url"]}, {"url": 1}, ""),
        ({"required": ["url"]}, {}, 'the item breaks required: ["url"]'),
        ({"type": "object"}, ["no", "object"], 'the item breaks type: "object"'),
        ('{"type": "object"}', "text", 'the item breaks type: "object"'),
        (True, None, ""),
        (False, {"a": 1}, "the item breaks false"),
        ({"properties": {"price": {"minimum": 3}}}, {"price": 2}, "price breaks properties/price/minimum: 3"),
        (
            {"properties": {"offers": {"items": {"properties": {"price": {"type": "number"}}}}}},
            {"offers": [{"price": 1}, {"price": "SECRET"}]},
            'offers.*.price breaks properties/offers/items/properties/price/type: "number"',
        ),
        (
            {"$defs": {"text": {"type": "string"}}, "additionalProperties": {"$ref": "#/$defs/text"}},
            {"SECRET": 1},
            '* breaks $defs/text/type: "string"',
        ),
        (
            {"$defs": {"e": {"$id": "http://e.test/e", "required": ["k"]}}, "$ref": "http://e.test/e"},
            {},
            "the item breaks required",
        ),
        ({"additionalProperties": False}, {"SECRET": 1}, "the item breaks additionalProperties: false"),
        ({"propertyNames": {"maxLength": 2}}, {"SECRET": 1}, "the item breaks propertyNames/maxLength: 2"),
        ({"maximum": 10}, 10**400, "the item breaks maximum: 10"),
        ({"type": "integer"}, float("nan"), 'the item breaks type: "integer"'),
        ({"type": "integer"}, float("inf"), 'the item breaks type: "integer"'),
        (
            {"enum": ["x" * 200]},
            1,
            "the item breaks enum: " + ('["' + "x" * 200)[:80],
        ),
    ],
)
def test_what_is_said_of_an_item_holds_nothing_of_it(schema: Any, item: Any, said: str) -> None:
    assert JsonSchema(schema).objection(item) == said


def test_what_is_said_is_bounded() -> None:
    deep: dict[str, Any] = {"type": "null"}
    item: Any = 1
    for _ in range(60):
        deep, item = {"properties": {"field": deep}}, {"field": item}
    assert len(JsonSchema(deep).objection(item)) == 200


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(?=a)(a+)+$", r"^(a*)*\1$"])
def test_a_pattern_that_never_ends_is_given_up(pattern: str) -> None:
    schema = JsonSchema({"properties": {"a": {"pattern": pattern}}})
    assert schema.objection({"a": "a" * 60 + "b"}).startswith("a breaks properties/a/pattern")


def test_how_long_a_pattern_may_search_is_far_less_than_the_engine_would() -> None:
    """It would fit in the end."""
    schema = JsonSchema({"pattern": r"^(?:(a|aa)+\1c|.*b)$"})
    assert schema.objection("a" * 15 + "b") == ""
    assert schema.objection("a" * 22 + "b").startswith("the item breaks pattern")


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
        {"allOf": [{"$ref": "#"}]},
    ],
)
def test_a_schema_that_leads_to_itself_ends(schema: Any) -> None:
    assert JsonSchema(schema).objection({"a": 1}) == ""


def test_an_item_as_deep_as_json_goes_is_looked_through() -> None:
    item: Any = 1
    for _ in range(900):
        item = {"a": item}
    assert JsonSchema({"type": "object", "properties": {"a": {}}}).objection(item) == ""
    assert JsonSchema({"additionalProperties": {"$ref": "#"}}).objection(item) == ""


def test_a_schema_may_lead_to_a_part_of_itself_and_to_nothing_else() -> None:
    assert JsonSchema({"$defs": {"x": {"type": "null"}}, "$ref": "#/$defs/x"}).objection(None) == ""
    for elsewhere in ("http://127.0.0.1:1/x.json", "file:///etc/passwd"):
        with pytest.raises(ValueError, match="leads elsewhere: put the schema itself here"):
            JsonSchema({"$ref": elsewhere})


@pytest.mark.parametrize(
    "schema",
    [
        None,
        5,
        [],
        "{",
        {"type": "text"},
        {"required": "url"},
        {"minimum": float("nan")},
        {"properties": {"\ud800": {}}},
        {"properties": {"a": {"pattern": "("}}},
        {"properties": {"a": {"pattern": "^(a{1,1000}){1,1000}$"}}},
        {"$schema": "https://example.com/mine"},
        '{"properties":{"a":' * 3000 + "{}" + "}}" * 3000,
        {"$ref": "other.json"},
    ],
    ids=lambda schema: str(schema)[:30].encode("ascii", "replace").decode(),
)
def test_what_is_no_schema_is_refused_in_one_line(schema: Any) -> None:
    with pytest.raises(ValueError, match="not a JSON Schema") as refused:
        JsonSchema(schema)
    assert "\n" not in str(refused.value)


def test_a_schema_equals_another_of_the_same_words() -> None:
    one, other = JsonSchema({"type": "null"}), JsonSchema({"type": "null"})
    assert (one == other, hash(one) == hash(other), one == JsonSchema(True)) == (True, True, False)
    assert repr(one) == "JsonSchema({'type': 'null'})"
