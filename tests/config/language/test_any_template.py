"""Whatever a template is made of: it is refused when the file is loaded, or prints data within its limits."""

from typing import Any, ClassVar

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st
from jinja2 import Undefined

from config.contracts.errors import Permanent
from config.contracts.reasons import Reason
from config.language.filters import FILTERS
from config.language.operators import DEEPEST, MOST
from config.language.template import Template

JSON = (type(None), bool, int, float, str, list, tuple, dict, msgspec.Raw, Undefined)


class Watched(dict[str, Any]):
    """Notes every private attribute that is asked of it; `__class__` is how Python looks at a value's type."""

    asked: ClassVar[list[str]] = []

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("_") and name != "__class__":
            Watched.asked.append(name)
        return super().__getattribute__(name)


#: Mostly what a template may hold, so that most of what is generated gets past the loading.
NAMES = st.sampled_from(["run"] * 9 + ["dataset", "record", "target", "task", "self", "rnu", "_run", "__import__"])
KEYS = st.sampled_from(
    [
        *(
            "id",
            "a",
            "b",
            "long",
            "raw",
            "items",
            "keys",
            "format",
            "upper",
            "append",
            "x y",
            "0",
            "",
            "\u00e9",
            "\ud800",
        ),
        *("__class__", "__init__", "__globals__", "__dict__", "__getattribute__", "_private", "mro", "__call__"),
        *("gi_frame", "cr_code", "func_globals", "environment", "_environment__", "__subclasses__", "__html__"),
    ]
)
NUMBERS = st.sampled_from(["0", "1", "-1", "7", "1.5", "1e999", "1_000", "0x1f", "9" * 30])
TEXTS = st.sampled_from(
    ["''", "'a'", "'%Y'", "'%99999d'", "'\\\\n'", '"\\x7b\\x7b"', "'\\\\ud800'", "'" + "x" * 3000 + "'"]
)
WORDS = st.sampled_from(
    [*FILTERS] * 4 + ["attr", "map", "safe", "format", "pprint", "xmlattr", "replace", "list", "join"]
)
MORE_TESTS = ("startswith('a')", "not endswith(run)", "matching('*a*x')", "matching(run.a)", "sequence", "mapping")
TESTS = st.sampled_from(
    [*("defined", "none", "string", "in run", "not defined", "number", "odd", "callable"), *MORE_TESTS]
)
SIGNS = st.sampled_from(
    ["+", "-", "==", "!=", "<", ">=", "in", "not in", "and", "or"] * 2 + ["*", "**", "//", "%", "~"]
)


def deeper(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    argued = st.builds("{}|{}({})".format, inner, WORDS, st.lists(inner, max_size=2).map(", ".join))
    named = st.builds("{}|{}(form={}, instead={})".format, inner, WORDS, inner, inner)
    return (
        st.builds("{}.{}".format, inner, KEYS)
        | st.builds("{}[{}]".format, inner, inner)
        | st.builds("{}[{!r}]".format, inner, KEYS)
        | st.builds("{}[{}:{}:{}]".format, inner, inner, inner, inner)
        | st.builds("{}|{}".format, inner, WORDS)
        | argued
        | named
        | st.builds("{}|{}(*{}, **{})".format, inner, WORDS, inner, inner)
        | st.builds("{} is {}".format, inner, TESTS)
        | st.builds("({} {} {})".format, inner, SIGNS, inner)
        | st.builds("not {}".format, inner)
        | st.builds("-{}".format, inner)
        | st.builds("{} if {} else {}".format, inner, inner, inner)
        | st.builds("({})".format, inner)
        | st.builds("({})()".format, inner)
        | st.builds("[{}, {}]".format, inner, inner)
        | st.builds("{{{}: {}}}".format, inner | TEXTS, inner)
    )


def expressions(names: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.recursive(names | NUMBERS | TEXTS, deeper, max_leaves=12)


TAGS = st.sampled_from(
    [
        *("{% if run %}", "{% elif run.a %}", "{% else %}", "{% endif %}", "{% for a in run %}", "{% endfor %}"),
        *(
            "{% set a = 1 %}",
            "{% raw %}",
            "{% endraw %}",
            "{% block a %}",
            "{% include 'a' %}",
            "{% import 'a' as b %}",
        ),
        *("{% macro a() %}", "{% call a() %}", "{% filter upper %}", "{% endfilter %}", "{% with %}", "{# x #}", "{#"),
        *("{{", "}}", "{%", "%}", "{{-", "-}}", "{%+", "# for x in run", "{% do x %}", "\n", "\x00", "\u202e", "text"),
    ]
)
SOURCES = st.lists(
    TAGS | expressions(NAMES).map("{{{{ {} }}}}".format) | st.text(max_size=4), min_size=1, max_size=6
).map("".join)
SCOPE = {
    "id": "r1",
    "a": {"b": [1, None, True, 2.5, "x"], "a": "2026-01-31T23:59:00.000Z", "__class__": "a key"},
    "b": ["a", "b"],
    "items": "a key",
    "long": "x" * 30_000,
    "raw": msgspec.Raw(b'{"a": [1, {"b": null}]}'),
    "_private": "a key, too",
    "1": -(2**63),
}


def understood(source: str) -> Template | None:
    try:
        return Template(source)
    except ValueError as refusal:
        shown = str(refusal)
    assert shown
    assert len(shown) < 2 * len(source) + 500
    return None


def used(template: Template, how: str) -> Any:
    """What it prints, or stands for; None where values do not fit."""
    scope = {name: Watched(SCOPE) for name in ("run", "record", "target", "task")}
    Watched.asked.clear()
    try:
        return getattr(template, how)({**scope, "dataset": "y" * 30_000})
    except Permanent as verdict:
        reason = verdict.reason
    finally:
        asked = list(Watched.asked)
    assert (reason, asked) == (Reason.TEMPLATE_FAILED, [])
    return None


def is_data(value: object) -> bool:
    """Nothing of Python's own: no type, no function, no module."""
    if isinstance(value, dict):
        return all(is_data(one) for pair in value.items() for one in pair)
    return isinstance(value, JSON) and (not isinstance(value, list | tuple) or all(map(is_data, value)))


@given(source=SOURCES)
@example(source="{% if run.a %}" * 101 + "{% endif %}" * 101)
@example(source="{% if run.a %}" * (DEEPEST - 2) + "{% endif %}" * (DEEPEST - 2))
@example(source="{{ run.a" + "|lower" * 300 + " }}")
@example(source=("{{ run.a" + "|lower" * 40 + " }}") * 200)
@example(source="{{ " + "not " * 200 + "run }}")
@example(source="{{ " + "(" * 200 + "run" + ")" * 200 + " }}")
@example(source="{{ run.a|date(form=1, form=2) }}")
@example(source="{{ 1e999 }}")
@example(source="{{ 1e308 + 1e308 }}")
@example(source="{{ " + "9" * 5000 + " }}")
@example(source="{{ run.a }}" * 7000)
@example(source="{{ run.long }}" * 3)
@example(source="{{ [run.long, run.long, run.long] }}")
@example(source="{{ '2026-01-01'|date('%999999999Y') }}")
def test_a_template_is_refused_or_prints_data_within_its_limits(source: str) -> None:
    template = understood(source)
    if template is None:
        return
    printed = used(template, "render")
    assert printed is None or (isinstance(printed, str) and len(printed) <= MOST)
    assert Watched.asked == []
    assert is_data(used(template, "value"))
    assert Watched.asked == []
