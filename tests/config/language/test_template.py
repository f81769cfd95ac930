from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from config.contracts.errors import Permanent
from config.contracts.reasons import Reason
from config.language.operators import MOST
from config.language.template import Template

RUN = {
    "id": "r1",
    "finishedAt": "2026-01-31T23:59:00.000Z",
    "stats": {"runTimeSecs": 12.5},
    "statusMessage": None,
    "isPaid": True,
    "tags": ["a", None],
    "items": "a key that is also a method",
    "update": "another",
}


class Target(BaseModel, extra="forbid", frozen=True):
    path: Template | None = None


def rendered(source: str, **scope: Any) -> str:
    return Template(source).render({"run": RUN, **scope})


def wrong(source: object) -> str:
    with pytest.raises(ValidationError) as caught:
        Target.model_validate({"path": source})
    return caught.value.errors()[0]["msg"]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("plain", "plain"),
        ("{{ run.id }}.jsonl", "r1.jsonl"),
        ("{{ run['id'] }}/{{ run.id[:1] }}/{{ run.tags[0] }}", "r1/r/a"),
        ("dt={{ run.finishedAt | date }}/{{ run.finishedAt | date('%Y/%m') }}", "dt=2026-01-31/2026/01"),
        ("{{ run.stats.runTimeSecs }} {{ run.isPaid }} {{ run.tags }}", '12.5 true ["a",null]'),
        ("{{ run.items }}, {{ run.update }}", "a key that is also a method, another"),
        ("{{ run.nothing.below.it }}|{{ task.name }}|{{ run.statusMessage }}|{{ run.tags[7] }}", "|||"),
        ("{{ run.statusMessage or 'none' }}{{ ' paid' if run.isPaid }}", "none paid"),
        ("{% if run.id in ['r1', 'r2'] and run.x is not defined %}yes{% endif %}", "yes"),
        ("{{ run.id }}-{{ 1 + 2 }}", "r1-3"),
        ("  {{ run.id }}\n\n{% if true %}\nx\n{% endif %}\n", "  r1\n\n\nx\n\n"),
        ("{% raw %}{{ run.id }}{% endraw %}", "{{ run.id }}"),
        ("{{ run.id.upper }}{{ run.__class__ }}{{ run.id.__class__ }}{{ run['__init__'] }}", ""),
        ("{{ run.id.format }}{{ run.tags.append }}{{ run.stats.keys }}", ""),
        ("<{{ run.html }}>", "<a & b>"),
    ],
)
def test_a_template_prints(source: str, text: str) -> None:
    assert Template(source).render({"run": {**RUN, "html": "a & b"}}) == text


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ rnu.id }}", "unknown name `rnu`: did you mean `run`?"),
        ("{{ price }}", "unknown name `price`: there are actor, build, dataset, event, held,"),
        ("{{ run.id | dat }}", "unknown filter `dat`: did you mean `date`?"),
        ("{{ run.id | replace('a', 'b') }}", "unknown filter `replace`: there are code, date, default, domain,"),
        ("{{ run.id | date(1, 2) }}", "filter `date`: too many positional arguments"),
        ("{{ run.id | date(shape='%d') }}", "filter `date`: got an unexpected keyword argument 'shape'"),
        ("{{ run.id | hmac }}", "filter `hmac`: missing a required argument: 'key'"),
        ("{{ run.id | date(*run.tags) }}", "filter `date`: write its arguments one by one, without `*`"),
        ("{{ run.id is odd }}", "unknown test `odd`: there are "),
        ("{{ run.id", "not a template: unexpected end of template"),
        ("a\n{% if %}", "not a template: an expression is missing, or breaks off (line 2)"),
        ("{{ run.id.upper() }}", "templates have no calls: write it as a filter, `… | upper`"),
        ("{{ range(9) }}", "templates have no calls"),
        ("{{ 'a' * 999999999 }}", "templates have no `*`"),
        ("{{ 9 ** 999999 }}", "templates have no `**`"),
        ("{{ '%99999d' % 1 }}", "templates have no `%`"),
        ("{{ run.id ~ 'x' }}", "templates have no `~`"),
        ("{% for a in run %}{% endfor %}", "templates have no loops"),
        ("{% set a = 1 %}", "templates have no assignments"),
        ("{% include '/etc/passwd' %}", "templates have no `include`"),
        ("{% macro a() %}{% endmacro %}", "templates have no `macro`"),
        ("{{ self }}", "unknown name `self`"),
        ("{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", "not a template: nested too deeply"),
        ("{{ run" + ".a" * 3000 + " }}", "not a template: nested too deeply"),
        ("{{ run.a" + "|lower" * 300 + " }}", "not a template: nested too deeply"),
        ("{% if run.a %}" * 101 + "{% endif %}" * 101, "not a template: nested too deeply"),
        ("{{ run.a | date(form=1, form=2) }}", "filter `date`: form stands twice"),
        ("{{ " + "1" * 5000 + " }}", "not a template: a number is too long"),
        ("{{ 1e999 }}", "templates have no numbers that large"),
        ("x" * 65_537, "not a template: longer than 65536 characters"),
        (5, "Input should be a template: text such as `{{ run.id }}.jsonl`"),
    ],
)
def test_what_cannot_be_a_template_is_refused_when_the_file_is_loaded(source: object, message: str) -> None:
    assert wrong(source).removeprefix("Value error, ").startswith(message)


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("{{ run.id - 1 }}", "text - number: `number` reads a number out of text"),
        ("{{ run.stats > 1 }}", "object > number"),
        ("{{ run.id | date }}", "`date` needs an ISO 8601 timestamp"),
        ("{{ run.tags | usd }}", "`usd` needs a number"),
    ],
)
def test_values_that_do_not_fit_end_in_the_dead_letters(source: str, why: str) -> None:
    with pytest.raises(Permanent) as caught:
        rendered(source)
    assert (caught.value.reason, caught.value.detail) == (Reason.TEMPLATE_FAILED, f"{source}: {why}")


def test_what_a_template_prints_is_capped() -> None:
    assert len(rendered("{{ dataset }}", dataset="x" * MOST)) == MOST
    with pytest.raises(Permanent) as caught:
        rendered("{{ dataset }}{{ run.id }}", dataset="x" * MOST)
    assert str(caught.value) == "template_failed: {{ dataset }}{{ run.id }} prints more than 65536 characters"


def test_a_template_is_a_field_that_keeps_its_source() -> None:
    target = Target.model_validate({"path": "{{ run.id }}.jsonl\n"})
    assert str(target.path) == "{{ run.id }}.jsonl\n"
    assert target == Target(path=Template("{{ run.id }}.jsonl\n"))
    assert target.model_dump_json() == '{"path":"{{ run.id }}.jsonl\\n"}'
    assert repr(target) == "Target(path=Template('{{ run.id }}.jsonl\\n'))"
    assert hash(target.path) == hash(Template("{{ run.id }}.jsonl\n"))
    assert Target.model_json_schema()["properties"]["path"]["anyOf"][0] == {"type": "string", "format": "jinja2"}
    assert Target().path is None


def test_a_template_knows_the_names_it_begins_with() -> None:
    assert Template("{{ run.id }}/{{ dataset }}/{{ record.key | slug }}").roots == {"run", "dataset", "record"}


def test_a_long_template_is_shortened_in_its_message() -> None:
    with pytest.raises(Permanent) as caught:
        rendered("{{ run.id - 1 if dataset == run." + "x" * 100 + " else run.id - 1 }}")
    assert caught.value.detail.startswith("{{ run.id - 1 if dataset == run." + "x" * 47 + "…: ")


def test_what_is_quoted_is_not_repeated_and_neither_is_what_is_left_of_a_remark() -> None:
    with pytest.raises(Permanent) as caught:
        rendered("{# s3cret #}{{ run.id | hmac('x}}s3cret') | upper }} s3cret {{ run.id - 1 }}")
    assert caught.value.detail.startswith("{{ run.id | hmac('…') | upper }}{{ run.id - 1 }}: ")


def test_text_around_braces_is_not_repeated_since_it_may_be_a_secret() -> None:
    with pytest.raises(Permanent) as caught:
        rendered("Bearer s3cret {{ dataset }} and s3cret {{ run.id - 1 }}")
    assert caught.value.detail.startswith("{{ dataset }}{{ run.id - 1 }}: ")


VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.lists(st.text(max_size=3), max_size=3)


@settings(max_examples=50)
@given(st.dictionaries(st.text(max_size=3) | st.sampled_from("ab"), VALUES, max_size=4))
def test_no_data_breaks_a_template_that_only_prints(data: dict[str, Any]) -> None:
    Template("{{ run.a.b }}{{ run.a[0] }}{{ run.b | trim | lower | slug }}{{ run }}").render({"run": data})
