"""Values with templates in them: types stay, numbers stay as written."""

from typing import Any

import msgspec
import pytest
from pydantic import BaseModel, ValidationError

from config.contracts.errors import Permanent
from config.language.values import Value

RUN = {"id": "r1", "exitCode": 0, "ok": True, "tags": ["a", None], "stats": {"secs": 12.5}, "none": None}
ITEMS = [msgspec.Raw(b'{"url":"u1","price":1.10,"id":123456789012345678901234567890}'), msgspec.Raw(b'"x"')]


class Items(Value):
    names = Value.names | {"items"}


class Target(BaseModel, extra="forbid", frozen=True):
    input: Items | None = None


def encoded(source: Any) -> bytes:
    return msgspec.json.encode(Items(source).render({"run": RUN, "items": ITEMS}))


@pytest.mark.parametrize(
    ("source", "json"),
    [
        ("{{ items }}", b'[{"url":"u1","price":1.10,"id":123456789012345678901234567890},"x"]'),
        ("{{ items[0] }}", b'{"url":"u1","price":1.10,"id":123456789012345678901234567890}'),
        ("{{ items[0].url }}", b'"u1"'),
        ("{{ items[0].nothing.below }}", b"null"),
        ("{{ run.exitCode }}", b"0"),
        ("{{- run.stats.secs -}}", b"12.5"),
        ("{{ run.ok }}", b"true"),
        ("{{ run.tags }}", b'["a",null]'),
        ("{{ run.none }}", b"null"),
        ("{{ run.nothing }}", b"null"),
        ("{{ run.exitCode + 1 }}", b"1"),
        ("{{ [run.id, 2] }}", b'["r1",2]'),
        ("{{ run.id | upper }}", b'"R1"'),
        ("{{ run.exitCode }} ", b'"0 "'),
        ("{{ run.id }}{{ run.exitCode }}", b'"r10"'),
        ("tags: {{ run.tags }}", b'"tags: [\\"a\\",null]"'),
        ("one: {{ items[1] }}", b'"one: \\"x\\""'),
        ("all: {{ items }}", msgspec.json.encode("all: [" + ",".join(bytes(item).decode() for item in ITEMS) + "]")),
        ("{% if run.ok %}yes{% endif %}", b'"yes"'),
        ("plain } text", b'"plain } text"'),
        (7, b"7"),
        (None, b"null"),
        ({"a": [{"b": "{{ run.exitCode }}", "{{ x }}": [True, 1.5]}, 7]}, b'{"a":[{"b":0,"{{ x }}":[true,1.5]},7]}'),
    ],
)  # fmt: skip
def test_a_value_is_filled_in(source: Any, json: bytes) -> None:
    assert encoded(source) == json


def test_the_names_it_mentions_are_known() -> None:
    assert Items({"a": ["{{ run.id }}", {"b": "x {{ items }}"}], "c": "task"}).roots == {"run", "items"}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"a": "{{ itms }}"}, "Value error, unknown name `itms`: did you mean `items`?"),
        (["{{ range(9) }}"], "Value error, templates have no calls"),
        ("{{ run.id", "Value error, not a template"),
        ("{{ item.url }}", "Value error, unknown name `item`"),
    ],
)
def test_a_wrong_template_inside_is_refused_when_the_file_is_loaded(source: Any, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Target.model_validate({"input": source})
    assert caught.value.errors()[0]["msg"].startswith(message)


def test_a_plain_value_knows_no_items() -> None:
    with pytest.raises(ValueError, match="unknown name `items`"):
        Value("{{ items }}")


def test_values_that_do_not_fit_end_the_delivery_with_the_template() -> None:
    with pytest.raises(Permanent, match=r"template_failed: \{\{ run.id \+ 1 \}\}"):
        encoded({"a": "{{ run.id + 1 }}"})


def test_nesting_without_end_is_a_mistake_and_no_crash() -> None:
    deep: Any = "{{ run.id }}"
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ValueError, match="nested too deeply"):
        Value(deep)


def test_a_value_goes_through_a_model_as_it_was_written() -> None:
    source = {"startUrls": "{{ items }}", "n": 1}
    target = Target.model_validate({"input": source})
    assert target.input == Items(source)
    assert target.model_dump() == {"input": source}
    assert "input" in Target.model_json_schema()["properties"]
