"""Datasets with a schema: views, checks of pushed items, and statistics of fields."""

from typing import Any

import pytest

from emulator.errors import ApiError
from emulator.items.checks import invalid_items
from tests.emulator.conftest import Emulator, StartEmulator

SCHEMA: dict[str, Any] = {
    "actorSpecification": 1,
    "fields": {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 2},
            "price": {"type": ["number", "null"], "minimum": 0},
            "tags": {"type": "array", "items": {"enum": ["a", "b"]}},
            "seen": {"type": "boolean"},
        },
        "required": ["name", "price"],
    },
    "views": {"short": {"title": "Short", "transformation": {"fields": ["price", "name"], "limit": 1, "desc": True}}},
}


@pytest.fixture
async def emulator(start_emulator: StartEmulator) -> Emulator:
    return await start_emulator()


@pytest.fixture
async def dataset(emulator: Emulator) -> str:
    """A dataset with a schema."""
    made = await emulator.post("/v2/datasets", {"schema": SCHEMA})
    assert (made.status, made.data["schema"]) == (201, SCHEMA)
    return f"/v2/datasets/{made.data['id']}"


async def test_one_item_against_the_schema_rejects_the_whole_push(emulator: Emulator, dataset: str) -> None:
    answer = await emulator.post(
        f"{dataset}/items",
        [{"name": "ok", "price": 1}, {"price": "2", "tags": ["a", "c/d"]}, {"name": "x", "price": -1}],
    )

    def error(path: str, where: str, keyword: str, params: Any, message: str) -> dict[str, Any]:
        return {"instancePath": path, "schemaPath": where, "keyword": keyword, "params": params, "message": message}

    first = [
        error("/1", "/items/required", "required", {"missingProperty": "name"}, "must have required property 'name'"),
        error("/1/price", "/items/properties/price/type", "type", {"type": ["number", "null"]}, "must be number,null"),
        error(
            "/1/tags/1",
            "/items/properties/tags/items/enum",
            "enum",
            {"allowedValues": ["a", "b"]},
            "must be equal to one of the allowed values",
        ),
    ]
    second = [
        error(
            "/2/name", "/items/properties/name/minLength", "minLength", {"limit": 2},
            "must NOT have fewer than 2 characters",
        ),
        error("/2/price", "/items/properties/price/minimum", "minimum", {"limit": 0}, "must be >= 0"),
    ]  # fmt: skip
    assert answer.status == 400
    assert answer.json == {
        "error": {
            "type": "schema-validation-error",
            "message": "Schema validation failed",
            "data": {
                "invalidItems": [
                    {"itemPosition": 1, "validationErrors": first},
                    {"itemPosition": 2, "validationErrors": second},
                ]
            },
        }
    }
    assert (await emulator.get(f"{dataset}/items")).json == []


@pytest.mark.parametrize(
    "schema",
    [
        {"fields": {"type": "no such type"}},
        {"fields": {"pattern": "("}},
        {"views": []},
        {"views": {"v": {"transformation": {"fields": "a"}}}},
        {"views": {"v": {"transformation": {"limit": "1"}}}},
    ],
)
async def test_a_schema_that_cannot_be_used_is_refused(emulator: Emulator, schema: Any) -> None:
    assert (await emulator.post("/v2/datasets", {"schema": schema})).error == (400, "dataset-schema-invalid")


async def test_a_schema_must_be_an_object(emulator: Emulator) -> None:
    assert (await emulator.post("/v2/datasets", {"schema": 5})).error == (400, "invalid-input")


def test_a_pattern_of_an_unchecked_schema_is_named() -> None:
    with pytest.raises(ApiError, match="dataset schema is invalid"):
        invalid_items([b'{"a":"text"}'], {"properties": {"a": {"pattern": "("}}})


@pytest.mark.parametrize("field", [{"$ref": "#/nowhere"}, {"$ref": "http://127.0.0.1:9/schema.json"}])
async def test_a_schema_that_turns_out_to_be_unusable_is_named(emulator: Emulator, field: Any) -> None:
    made = await emulator.post("/v2/datasets", {"schema": {"fields": {"properties": {"a": field}}}})

    answer = await emulator.post(f"/v2/datasets/{made.data['id']}/items", {"a": "text"})

    assert answer.error == (400, "dataset-schema-invalid")


async def test_a_view_shapes_the_items(emulator: Emulator, dataset: str) -> None:
    await emulator.post(f"{dataset}/items", [{"name": "one", "price": 1}, {"name": "two", "price": 2.50, "seen": True}])

    viewed = await emulator.get(f"{dataset}/items?view=short")

    assert viewed.body == b'[{"price":2.5,"name":"two"}]'
    assert viewed.headers["x-apify-pagination-desc"] == "true"
    assert (await emulator.get(f"{dataset}/items?view=short&limit=2&desc=0&omit=price")).json == [
        {"name": "one"},
        {"name": "two"},
    ]
    assert (await emulator.get(f"{dataset}/items?view=none")).error == (404, "requested-dataset-view-does-not-exist")


async def test_statistics_tell_of_the_fields_of_the_schema(emulator: Emulator, dataset: str) -> None:
    pushed = [
        {"name": "four", "price": 5, "tags": ["a", "b", "a"], "seen": True},
        {"name": "to", "price": None, "tags": []},
        {"name": "three", "price": 0.5, "seen": True, "more": 1},
    ]
    await emulator.post(f"{dataset}/items", pushed)

    assert (await emulator.get(f"{dataset}/statistics")).data["fieldStatistics"] == {
        "name": {"min": 2, "max": 5, "nullCount": 0, "emptyCount": 0},
        "price": {"min": 0.5, "max": 5, "nullCount": 1, "emptyCount": 0},
        "tags": {"min": 0, "max": 3, "nullCount": 0, "emptyCount": 1},
        "seen": {"min": 0, "max": 1, "nullCount": 0, "emptyCount": 1},
    }


async def test_a_dataset_without_a_schema_has_no_statistics(emulator: Emulator) -> None:
    id_ = (await emulator.post("/v2/datasets")).data["id"]

    assert (await emulator.get(f"/v2/datasets/{id_}")).data["schema"] is None
    assert (await emulator.get(f"/v2/datasets/{id_}/statistics")).data == {"fieldStatistics": None}
