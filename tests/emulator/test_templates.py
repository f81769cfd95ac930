import json
from typing import Any

import pytest

from emulator.templates import DEFAULT_PAYLOAD, TemplateError, render

VALUES = {"userId": "u", "resource": {"id": "r", "exitCode": 0, "o": {"x": 1}, "n": None, "arr": [{"k": 1}]}}


@pytest.mark.parametrize(
    ("template", "interpolate", "expected"),
    [
        (
            '{"a":{{resource.id}},"b":{{resource.exitCode}},"c":{{resource.nope}},"d":{{resource.id.x}}}',
            False,
            {"a": "r", "b": None, "c": None, "d": None},
        ),
        ('{"a":"{{resource.id}}"}', False, {"a": "{{resource.id}}"}),
        (
            '{"a":"{{resource.exitCode}}","b":"x {{resource.o}} {{resource.n}} {{resource.nope}}",'
            '"c":"{{resource.nope}}"}',
            True,
            {"a": 0, "b": "x [object Object] null undefined"},
        ),
        ('{"e":["{{resource.nope}}"],"{{userId}}":1}', True, {"e": [None], "{{userId}}": 1}),
        ('{"h":"Bearer {{userId}}","z":{{resource.o}}}', True, {"h": "Bearer u", "z": {"x": 1}}),
        ("{{resource.arr.0.k}}", False, 1),
        ('{"a":{{resource.arr.0.k}}}', False, {"a": 1}),
        ('{"a":"{{secrets.X}}"}', False, {"a": "{{secrets.X}}"}),
    ],
)
def test_renders_as_the_published_template_code_does(template: str, interpolate: bool, expected: Any) -> None:
    rendered = render(template, VALUES, interpolate=interpolate)

    assert json.dumps(rendered) == json.dumps(expected)


@pytest.mark.parametrize(
    ("template", "interpolate"),
    [
        ('{"a":{{secrets.X}}}', False),
        ('{"a":{{secrets.X}}}', True),
        ('{"a":"{{secrets.X}}"}', True),
        ('{"a":{{ userId }}}', False),
        ('{"a":', False),
        ("[" * 5000, False),
        ("{{userId", False),
    ],
)
def test_refuses_unknown_variables_and_broken_json(template: str, interpolate: bool) -> None:
    with pytest.raises(TemplateError):
        render(template, VALUES, interpolate=interpolate)


@pytest.mark.parametrize("falsy", [0, 0.0, False, "", None])
def test_a_bare_falsy_value_becomes_null_and_an_empty_object_does_not(falsy: Any) -> None:
    assert render("[{{resource.a}},{{resource.b}}]", {"resource": {"a": falsy, "b": {}}}) == [None, {}]


def test_plain_text_of_values_is_that_of_javascript() -> None:
    values = {"resource": {"t": True, "f": 1.0, "g": 1.5, "l": [1, None, "x", [2, 3], {}], "s": "é"}}
    template = '"{{resource.t}} {{resource.f}} {{resource.g}} {{resource.l}} {{resource.s}} {{resource.l.9}}"'

    assert render(template, values, interpolate=True) == "true 1 1.5 1,,x,2,3,[object Object] é undefined"


def test_a_lone_placeholder_of_nothing_is_null() -> None:
    assert render('"{{resource.nope}}"', VALUES, interpolate=True) is None
    assert render("{{eventData.x}}", VALUES) is None


def test_text_that_came_in_by_a_placeholder_is_not_looked_at_again() -> None:
    assert render('{"a":{{resource.v}},"b":{{userId}}}', {"userId": "u", "resource": {"v": 'q"{{userId}}'}}) == {
        "a": 'q"{{userId}}',
        "b": "u",
    }


def test_the_default_payload_holds_the_five_facts() -> None:
    values = {
        "userId": "u",
        "createdAt": "c",
        "eventType": "e",
        "eventData": {"actorRunId": "r"},
        "resource": {"id": 1},
    }

    assert render(DEFAULT_PAYLOAD, values) == values
