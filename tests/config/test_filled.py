"""What a variable holds is text to the expression or the template around it, and is told to nobody."""

from pathlib import Path

import pytest

from tests.config.loading import ENVIRON, HEAD, reads, sends, table, told
from tests.config.test_mistakes_expressions import SINKS


def mistakes(folder: Path, text: str, value: str) -> list[str]:
    return [
        line.partition(" · ")[0].removeprefix("runrelay.yaml:")
        for line in told(folder, HEAD + SINKS + text, {**ENVIRON, "KEY": value})
    ]


@pytest.mark.parametrize(
    ("value", "odd"),
    [
        ("top'secret", "a quote"),
        ("top')|nothing('secret", "a quote"),
        ('top"secret', "a quote"),
        ("topsecret\\", "a backslash"),
        ("top}}secret", "a brace"),
        ("top{secret", "a brace"),
    ],
)
def test_a_value_that_would_be_more_than_text_is_refused_by_the_name_of_its_variable(
    tmp_path: Path, value: str, odd: str
) -> None:
    said = f"the value of ${{KEY}} has {odd}, which would change what stands around it"
    assert mistakes(tmp_path, reads("""set: {h: "item.a | hmac('${KEY}')"}"""), value) == [
        f"13:21: routes[0].read.set.h: {said}"
    ]
    assert mistakes(tmp_path, sends("""text: "{{ run.id | hmac('${KEY}') }}" """, "talk"), value) == [
        f"13:29: routes[0].to[0].text: {said}"
    ]


def test_around_the_braces_of_a_template_a_value_is_text_unless_it_begins_one(tmp_path: Path) -> None:
    assert mistakes(tmp_path, sends('text: "${KEY} {{ run.id }}"', "talk"), 'it\'s \\ {"a": 1}}') == []
    for text, value in (("${KEY} {{ run.id }}", "{{ run.topsecret }}"), ("{${KEY}", "% if run.topsecret")):
        assert mistakes(tmp_path, sends(f'text: "{text}"', "talk"), value) == [
            "13:29: routes[0].to[0].text: the value of ${KEY} has a brace, which would begin an expression"
        ]


def test_a_variable_may_hold_a_whole_expression_or_template(tmp_path: Path) -> None:
    for text, value in ((reads('where: "${KEY}"'), "item.a == 'b'"), (sends("text: '${KEY}'", "talk"), "{{ run.id }}")):
        table(tmp_path, HEAD + SINKS + text, {**ENVIRON, "KEY": value})


@pytest.mark.parametrize(
    ("where", "value", "said"),
    [
        ("${KEY}", "top secret value", "not an expression: unexpected '…'"),
        ("item.a | ${KEY} lower", "top-secret", "not an expression: unexpected 'lower'"),
        ("item.a == '${KEY}' lower", "lower", "not an expression: unexpected '${KEY}'"),
        ("run.a == ${KEY}", "top.secret", "unknown name `…`: did you mean `item.…`?"),
        ("run.a == ${KEY}", "topsecret", "unknown name `${KEY}`: did you mean `item.${KEY}`?"),
    ],
)
def test_nothing_of_a_value_is_told(tmp_path: Path, where: str, value: str, said: str) -> None:
    assert mistakes(tmp_path, reads(f'where: "{where}"'), value) == [f"13:19: routes[0].read.where: {said}"]
