"""What a query makes of rows, against examples from the documentation and a slow model of it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.errors import ApiError
from emulator.items.reading import Reading
from emulator.items.transformation import Transformation
from emulator.query import Query

REVIEWED = {"name": "drill", "reviews": [{"stars": 5, "by": "Ann"}, {"stars": 1, "name": "Bob"}], "tags": ["a", "b"]}
PLACED = {"name": "cafe", "place": {"city": "Brno", "geo": {"lat": 49.2, "marks": [1]}, "extra": {}}}


def outcome(item: dict[str, Any], **given: Any) -> list[str]:
    row = json.dumps(item, separators=(",", ":")).encode()
    return [record.decode() for record in Transformation(**given).apply([row])]


@pytest.mark.parametrize(
    ("item", "given", "expected"),
    [
        # Dataset schema, "Unwind arrays" and "ViewTransformation object"
        ({"foo": {"bar": "hello"}}, {"unwind": ("foo",)}, ['{"bar":"hello"}']),
        (
            REVIEWED,
            {"unwind": ("reviews",), "fields": ("name", "stars")},
            ['{"name":"drill","stars":5}', '{"name":"Bob","stars":1}'],
        ),
        # "in order which they should be processed"; what cannot be merged takes the array's place
        (
            REVIEWED,
            {"unwind": ("reviews", "tags"), "fields": ("by", "tags")},
            ['{"by":"Ann","tags":"a"}', '{"by":"Ann","tags":"b"}', '{"tags":"a"}', '{"tags":"b"}'],
        ),
        ({"a": {"b": [1, 2]}}, {"unwind": ("a", "b")}, ['{"b":1}', '{"b":2}']),
        # "missing or … neither an array nor an object … gets preserved as it is"
        ({"a": 1}, {"unwind": ("a", "b")}, ['{"a":1}']),
        ({"a": []}, {"unwind": ("a",)}, []),
        # "flatten"
        ({"foo": {"bar": "hello"}}, {"flatten": ("foo",)}, ['{"foo.bar":"hello"}']),
        (
            PLACED,
            {"flatten": ("place",)},
            ['{"name":"cafe","place.city":"Brno","place.geo.lat":49.2,"place.geo.marks":[1],"place.extra":{}}'],
        ),
        (PLACED, {"flatten": ("place",), "fields": ("place.city", "name")}, ['{"place.city":"Brno","name":"cafe"}']),
        (
            PLACED,
            {"flatten": ("place",), "fields": ("place",), "omit": ("place.geo.lat",)},
            ['{"place.city":"Brno","place.geo.marks":[1],"place.extra":{}}'],
        ),
        ({"a": [{"b": 1}]}, {"flatten": ("a",)}, ['{"a":[{"b":1}]}']),
        # "positionally rename the fields"
        (
            {"url": "u", "headline": "h"},
            {"fields": ("headline", "url"), "output_fields": ("title", "link")},
            ['{"title":"h","link":"u"}'],
        ),
        # "Supports nested field names"
        (
            PLACED,
            {"omit": ("place.geo.lat", "name", "no.such")},
            ['{"place":{"city":"Brno","geo":{"marks":[1]},"extra":{}}}'],
        ),
        ({"a.b": 1, "a": {"b": 2}}, {"omit": ("a.b",)}, ['{"a":{"b":2}}']),
        # hidden fields go before anything is unwound; what is empty in the end goes last
        ({"#d": {"x": 1}, "a": 1}, {"unwind": ("#d",), "skip_hidden": True}, ['{"a":1}']),
        ({"#d": 1, "a": [{}, {"b": 1}]}, {"unwind": ("a",), "skip_hidden": True, "skip_empty": True}, ['{"b":1}']),
        ({"errorInfo": None, "a": 1}, {"skip_failed": True}, []),
    ],
)
def test_rows_become_what_the_documentation_says(item: dict[str, Any], given: Any, expected: list[str]) -> None:
    assert outcome(item, **given) == expected


def test_numbers_spaces_and_lone_surrogates_inside_stay_as_written() -> None:
    rows = [
        b'{"n": 12345678901234567890123, "e":1.10, "o": {"x":  1E400}}',
        b'{"\\ud800":"\\udfff","a":[1.10, "\\ud800"]}',
    ]

    flat = list(Transformation(flatten=("o",), unwind=("a",)).apply(rows))

    assert flat == [
        b'{"n":12345678901234567890123,"e":1.10,"o.x":1E400}',
        b'{"\\ud800":"\\udfff","a":1.10}',
        b'{"\\ud800":"\\udfff","a":"\\ud800"}',
    ]


def test_arrays_that_multiply_are_not_held() -> None:
    row = json.dumps({name: list(range(1000)) for name in "abc"}).encode()

    records = Transformation(unwind=("a", "b", "c")).apply([row])

    assert [next(records), next(records)] == [b'{"a":0,"b":0,"c":0}', b'{"a":0,"b":0,"c":1}']


def test_a_table_has_a_column_for_every_chosen_field_that_stays_whole() -> None:
    chosen = Transformation(fields=("a", "b", "c", "d"), output_fields=("A", "B", "C", "D"), unwind=("b",), omit=("d",))

    assert chosen.columns == ("A", "C")
    assert Transformation(fields=("a", "b"), flatten=("a",)).columns == ("b",)


def test_a_plain_transformation_is_false_and_any_other_true() -> None:
    assert not Transformation()
    assert Transformation(skip_failed=True)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc#"), inner, max_size=3),
    max_leaves=8,
)
NAMES = ("a", "b", "c", "#h", "#", "a.b", "a.c", "b.a", "errorInfo")
SOME = st.lists(st.sampled_from(NAMES), max_size=3, unique=True).map(tuple)


@given(
    items=st.lists(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4), max_size=4),
    query=st.fixed_dictionaries(
        {
            **dict.fromkeys(("fields", "omit", "unwind", "flatten"), SOME),
            **dict.fromkeys(("skip_hidden", "skip_empty", "skip_failed"), st.booleans()),
        }
    ),
    rename=st.booleans(),
)
def test_every_combination_agrees_with_a_slow_model(items: list[Any], query: dict[str, Any], rename: bool) -> None:
    query["output_fields"] = tuple(f"new {name}" for name in query["fields"]) if rename else ()
    rows = [json.dumps(item).encode() for item in items]

    records = [json.loads(record) for record in Transformation(**query).apply(rows)]

    expected = [record for item in items for record in modelled(item, **query)]
    assert [list(record.items()) for record in records] == [list(record.items()) for record in expected]


def modelled(item: dict[str, Any], **query: Any) -> list[dict[str, Any]]:
    """The documentation on whole Python objects."""
    if query["skip_failed"] and "errorInfo" in item:
        return []
    if query["skip_hidden"]:
        item = {name: value for name, value in item.items() if name[:1] != "#"}
    made: list[tuple[dict[str, Any], dict[str, list[str]]]] = [(item, {})]
    for name in query["unwind"]:
        made = [one for record, parts in made for one in model_unwind(record, parts, name)]
    for name in query["flatten"]:
        made = [model_flatten(record, parts, name) for record, parts in made]
    left = [model_choose(record, parts, query) for record, parts in made]
    return [record for record in left if record or not query["skip_empty"]]


def model_unwind(record: dict[str, Any], parts: dict[str, list[str]], name: str) -> list[Any]:
    value = record.get(name)
    if not isinstance(value, list | dict):
        return [(record, parts)]
    found = []
    for element in value if isinstance(value, list) else [value]:
        if isinstance(element, dict):
            rest = {key: of for key, of in record.items() if key != name}
            rest.update(element)
            found.append((rest, {**parts, name: list(element)}))
        else:
            found.append(({**record, name: element}, parts))
    return found


def model_flatten(record: dict[str, Any], parts: dict[str, list[str]], name: str) -> Any:
    if not isinstance(record.get(name), dict):
        return record, parts
    flat: dict[str, Any] = {}
    names: list[str] = []
    for key, value in record.items():
        leaves = model_leaves(key, value) if key == name else [(key, value)]
        names += [leaf for leaf, _ in leaves if key == name]
        for leaf, of in leaves:
            flat[leaf] = of
    return flat, {**parts, name: names}


def model_leaves(path: str, value: Any) -> list[tuple[str, Any]]:
    if not isinstance(value, dict) or not value:
        return [(path, value)]
    return [leaf for key, of in value.items() for leaf in model_leaves(f"{path}.{key}", of)]


def model_choose(record: dict[str, Any], parts: dict[str, list[str]], query: dict[str, Any]) -> dict[str, Any]:
    for name in query["omit"]:
        gone = {name, *parts.get(name, [])}
        if name in record or parts.get(name):
            record = {key: value for key, value in record.items() if key not in gone}
        elif "." in name:
            record = model_without(record, name)
    if not query["fields"]:
        return record
    chosen = {}
    for place, name in enumerate(query["fields"]):
        if name in record:
            chosen[query["output_fields"][place] if query["output_fields"] else name] = record[name]
        for key in parts.get(name, []):
            if key in record:
                chosen[key] = record[key]
    return chosen


def model_without(record: dict[str, Any], path: str) -> dict[str, Any]:
    if path in record:
        return {key: value for key, value in record.items() if key != path}
    head, _, rest = path.partition(".")
    if rest and isinstance(record.get(head), dict):
        return {key: model_without(value, rest) if key == head else value for key, value in record.items()}
    return record


SCHEMA = {
    "views": {
        "overview": {
            "transformation": {
                **{"fields": ["a", "b.c"], "flatten": ["b"], "unwind": ["d"], "omit": ["e"]},
                **{"limit": 7, "desc": True},
            }
        },
        "bare": {},
    }
}


def reading(**query: str) -> Reading:
    return Reading.of(Query(query), SCHEMA)


def test_a_view_stands_in_for_parameters_that_were_not_sent() -> None:
    viewed = reading(view="overview")
    changed = reading(view="overview", fields="x", limit="2", desc="0", outputFields="y")

    made = Transformation(fields=("a", "b.c"), flatten=("b",), unwind=("d",), omit=("e",))
    assert (viewed.transformation, viewed.limit, viewed.desc) == (made, 7, True)
    asked = Transformation(fields=("x",), output_fields=("y",), flatten=("b",), unwind=("d",), omit=("e",))
    assert (changed.transformation, changed.limit, changed.desc) == (asked, 2, False)
    assert reading(view="bare").transformation == Transformation()


@pytest.mark.parametrize("schema", [SCHEMA, {}, None])
def test_an_unknown_view_is_an_error_of_its_own(schema: Any) -> None:
    with pytest.raises(ApiError) as caught:
        Reading.of(Query({"view": "nope"}), schema)

    assert (caught.value.status, caught.value.type) == (404, "requested-dataset-view-does-not-exist")


def test_simplified_is_short_for_the_fields_and_the_unwinding_of_the_old_crawler() -> None:
    legacy = {"url": "u", "pageFunctionResult": [{"a": 1}, {"b": 2}], "errorInfo": None, "other": 1}

    assert outcome(legacy, **{
        name: getattr(reading(simplified="1").transformation, name) for name in ("fields", "unwind")
    }) == ['{"url":"u","a":1,"errorInfo":null}', '{"url":"u","b":2,"errorInfo":null}']  # fmt: skip
    assert reading(skipFailedPages="1").transformation == Transformation(skip_failed=True)
