"""Why a run does not fit, in words."""

import msgspec
import pytest

from config.language.scopes import RunExpression
from config.route import When
from tests.workers.routing.test_match import RUN
from workers.routing.match import Where, facts_of, misfit
from workers.routing.why import SHOWN, missed

RUN_OF = msgspec.structs.replace


@pytest.mark.parametrize(
    ("when", "more", "said"),
    [
        (When(source=("other",)), {}, "`source: other`, and its source is main"),
        (When(actor=("a/b", "c/*")), {}, "`actor: [a/b, c/*]`, and its actor is acme/shop-de"),
        (When(actor=("a/b",)), {"actor": ""}, "`actor: a/b`, and its actor is actorId1, whose name we may not see"),
        (When(task=("a/b",)), {"task": "", "task_id": ""}, "`task: a/b`, and its task is none"),
        (When(schedule=("*",)), {}, "`schedule: *`, and its schedule is none"),
        (When(schedule=("x",)), {"schedule": "y", "schedule_id": "i"}, "`schedule: x`, and its schedule is y"),
        (When(build=("beta",)), {}, "`build: beta`, and its build is unknown"),
        (When(build=("x",)), {"build": "0.1", "tags": ("beta",)}, "`build: x`, and its build is 0.1, beta"),
        (When(origin=("WEB",)), {"origin": ""}, "`origin: WEB`, and its origin is unknown"),
        (When(min_usd=1.0), {}, "`cost: {min_usd: 1}`, and its cost is unknown"),
        (When(max_usd=0.5), {"cost": 0.75}, "`cost: {max_usd: 0.5}`, and its cost is $0.75"),
        (
            When(not_=When(status=("S*",), min_usd=0.0)),
            {"cost": 2.0},
            "`not: {status: S*, cost: {min_usd: 0}}`, and its status is SUCCEEDED and its cost is $2",
        ),
    ],
)
def test_a_line_is_said_with_what_the_run_has(when: When, more: dict[str, object], said: str) -> None:
    run = RUN_OF(RUN, **more)
    line = misfit(when, facts_of(run))
    assert line
    assert str(missed(line, run, {})) == said


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("run.ok", "run.ok is false"),
        ("run.none", "run.none is null"),
        ("run.a.b.c", "run.a.b.c is missing"),
        ("run.n.b", "run.n.b is null"),
        ("run.n > 1 and run.n < 9", "that is false: run.n is 1"),
        ("run.text | trim == actor.name", 'that is false: run.text is "x", actor.name is "acme/shop-de"'),
        ("run.text > 1", 'types do not fit (text > number: `number` reads a number out of text): run.text is "x"'),
        ("event.kind", "event.kind is null"),
        ("1 > 2", "that is false"),
    ],
)
def test_of_a_where_the_values_are_said(where: str, said: str) -> None:
    scope = {
        "run": {"ok": False, "none": None, "a": {"b": {}}, "n": 1, "text": "x"},
        "actor": {"name": "acme/shop-de"},
        "event": None,
    }
    assert missed(Where(RunExpression(where)), RUN, scope) == ("where", where, said)


def test_a_long_value_is_cut() -> None:
    seen = missed(Where(RunExpression("run.text == 1")), RUN, {"run": {"text": "y" * 200}}).seen
    assert seen == f'that is false: run.text is "{"y" * (SHOWN - 2)}…'
