"""Which routes want a run."""

from dataclasses import replace
from typing import cast

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from config.contracts.run import Run
from config.language.scopes import RunExpression
from config.route import BatchSize, Read, Retry, Route, Target, When
from workers.routing import match
from workers.routing.match import AnyOf, Where, facts_of, holds, looks, matching, misfit, wants_key

RUN = Run(
    id="r1",
    source="main",
    status="SUCCEEDED",
    terminal=True,
    life="l",
    finished=1.0,
    account="u1",
    origin="SCHEDULER",
    actor_id="actorId1",
    actor="acme/shop-de",
    task_id="taskId1",
    task="acme/nightly",
)
NAMELESS = msgspec.structs.replace(RUN, actor="", task="")
TASKLESS = msgspec.structs.replace(RUN, task_id="", task="")


def target(name: str, when: When | None = None) -> Target:
    return Target(name, "disk", when, "items", BatchSize(), Retry(), cast(BaseModel, None))


def route(name: str, when: When, *targets: Target, final: bool = False) -> Route:
    return Route(name, when, final, Read(), targets or (target("out"),))


def wanted(*routes: Route, run: Run = RUN) -> list[tuple[str, list[str]]]:
    return [(one.name, [each.name for each in targets]) for one, targets in matching(routes, run, {})]


@pytest.mark.parametrize(
    "when",
    [
        When(),
        When(source=("main",)),
        When(source=("other", "ma*")),
        When(status=("FAILED", "SUCCEEDED")),
        When(status=("*",)),
        When(origin=("SCHED*",)),
        When(actor=("acme/shop-de",)),
        When(actor=("acme~shop-de",)),
        When(actor=("actorId1",)),
        When(actor=("acme/shop-*",)),
        When(actor=("acme~shop-*",)),
        When(actor=("*/shop-de",)),
        When(actor=("*",)),
        When(actor=("other/x", "acme/*")),
        When(task=("acme/nightly",)),
        When(task=("acme~nightly", "nothing")),
        When(task=("taskId1",)),
        When(source=("main",), actor=("acme/*",), task=("*",), status=("S*",), origin=("*",)),
        When(not_=When(status=("FAILED",))),
        When(actor=("acme/*",), not_=When(actor=("acme/shop-fr", "acme/old-*"))),
        When(not_=When(actor=("acme/*",), status=("FAILED",))),
    ],
)
def test_it_holds(when: When) -> None:
    assert holds(when, RUN)


@pytest.mark.parametrize(
    "when",
    [
        When(source=("Main",)),
        When(source=("mai",)),
        When(status=("SUCCEEDED\n",)),
        When(status=("succeeded",)),
        When(status=("S.*",)),
        When(status=("?UCCEEDED",)),
        When(status=("[A-Z]*",)),
        When(actor=("shop-de",)),
        When(actor=("acme/shop",)),
        When(actor=("acme/*-fr",)),
        When(actor=("r1",)),
        When(actor=("taskId1",)),
        When(source=("main",), status=("FAILED",)),
        When(not_=When()),
        When(not_=When(status=("*",))),
        When(not_=When(actor=("acme~shop-de",))),
        When(not_=When(actor=("actorId1",))),
        When(not_=When(actor=("acme/*",), status=("SUCCEEDED",), origin=("SCHEDULER",))),
        When(actor=("other/*",), not_=When(status=("FAILED",))),
    ],
)
def test_it_does_not_hold(when: When) -> None:
    assert not holds(when, RUN)


@pytest.mark.parametrize(
    ("when", "fits"),
    [
        (When(actor=("acme/*",)), False),
        (When(actor=("*/*",)), False),
        (When(actor=("*~*",)), False),
        (When(actor=("*",)), True),
        (When(actor=("actorId1",)), True),
        (When(task=("acme/nightly",)), False),
        (When(not_=When(actor=("acme/shop-de",))), True),
        (When(not_=When(actor=("acme/*",), status=("SUCCEEDED",))), True),
        (When(not_=When(actor=("actorId1",))), False),
        (When(not_=When(actor=("actorId1",), status=("FAILED",))), True),
        (When(not_=When(status=("SUCCEEDED",))), False),
    ],
)
def test_a_name_we_could_not_learn_fits_neither_a_pattern_nor_a_not(when: When, fits: bool) -> None:
    assert holds(when, NAMELESS) is fits


@pytest.mark.parametrize("pattern", ["*", "acme/*", "taskId1", ""])
def test_a_run_without_a_task_fits_no_pattern_of_tasks(pattern: str) -> None:
    assert not holds(When(task=(pattern,)), TASKLESS)
    assert holds(When(not_=When(task=(pattern,))), TASKLESS)


def test_every_route_that_wants_the_run_takes_it_in_the_order_of_the_file() -> None:
    routes = [
        route("first", When(status=("SUCCEEDED",))),
        route("failed", When(status=("FAILED",))),
        route("last", When()),
    ]
    assert wanted(*routes) == [("first", ["out"]), ("last", ["out"])]


def test_a_final_route_that_takes_the_run_is_the_last_that_is_looked_at() -> None:
    routes = [
        route("other", When(status=("FAILED",)), final=True),
        route("first", When(), final=True),
        route("never", When()),
    ]
    assert wanted(*routes) == [("first", ["out"])]


def test_targets_narrow_their_route() -> None:
    good, bad = target("good", When(status=("SUCCEEDED",))), target("bad", When(status=("FAILED",)))
    assert wanted(route("all", When(), good, bad, target("any"))) == [("all", ["good", "any"])]
    failed = replace(route("all", When(status=("SUCCEEDED",)), bad), final=False)
    assert wanted(failed, route("rest", When())) == [("rest", ["out"])]


def test_a_final_route_whose_targets_all_decline_still_ends_the_list() -> None:
    nobody = route("nobody", When(), target("bad", When(status=("FAILED",))), final=True)
    assert wanted(nobody, route("never", When())) == []


def test_of_every_route_that_is_looked_at_the_first_line_that_does_not_hold_is_known() -> None:
    dear = replace(route("dear", When()), where=RunExpression("run.usageTotalUsd > 1"))
    routes = [
        route("failed", When(source=("main",), status=("FAILED",), origin=("WEB",))),
        route("cheap", When(min_usd=0.0)),
        route("other", When(not_=When(status=("SUCCEEDED",)))),
        dear,
        route("nobody", When(), target("bad", When(status=("FAILED",)))),
        route("last", When(), final=True),
        route("never", When()),
    ]
    found = list(looks(routes, RUN, {"run": {"usageTotalUsd": 1}}))
    assert [(one.name, line.key if line else "", len(targets)) for one, line, targets in found] == [
        ("failed", "status", 0),
        ("cheap", "cost", 0),
        ("other", "not", 0),
        ("dear", "where", 0),
        ("nobody", "", 0),
        ("last", "", 1),
    ]
    failed, where = found[0][1], found[3][1]
    assert isinstance(failed, AnyOf)
    assert failed.written == ("FAILED",)
    assert isinstance(where, Where)
    assert where.expression is dear.where


@pytest.mark.parametrize(
    ("where", "scope", "fits"),
    [
        ("run.n > 1", {"run": {"n": 2}}, True),
        ("run.n > 1", {"run": {"n": 1}}, False),
        ("run.n > 1", {"run": {"n": "two"}}, False),
        ("run.n > 1", {"run": {}}, False),
        ("run.n > 1", None, True),
    ],
)
def test_where_of_a_route_must_hold_unless_too_little_is_known(
    where: str, scope: dict[str, object] | None, fits: bool
) -> None:
    one = replace(route("one", When()), where=RunExpression(where))
    assert bool(list(matching([one], RUN, scope))) is fits


@pytest.mark.parametrize(
    ("least", "most", "cost", "fits"),
    [
        (1.0, None, 1.0, True),
        (1.0, None, 0.9, False),
        (None, 1.0, 1.0, True),
        (None, 1.0, 1.1, False),
        (0.0, 0.0, 0.0, True),
        (0.0, None, None, False),
        (None, 5.0, None, False),
    ],
)
def test_what_nobody_knows_fits_no_bound(
    least: float | None, most: float | None, cost: float | None, fits: bool
) -> None:
    assert holds(When(min_usd=least, max_usd=most), msgspec.structs.replace(RUN, cost=cost)) is fits


def test_a_when_is_never_taken_for_another_one_that_is_gone() -> None:
    """They are known by where they lie in memory, and a new one may lie where an old one lay."""
    for number in range(200):
        run = msgspec.structs.replace(RUN, actor=f"acme/shop-{number}")
        assert holds(When(actor=(f"acme/shop-{number}",)), run)


def test_however_many_there_are_few_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(match, "_MOST_KEPT", 10)
    match._kept.clear()
    whens = [When(status=(f"S{number}",)) for number in range(25)]
    assert [misfit(when, facts_of(RUN)) is None for when in whens] == [False] * 25
    assert len(match._kept) <= 10


@pytest.mark.parametrize(
    ("patterns", "key", "ordinary", "wants"),
    [
        (("*",), "OUTPUT", True, True),
        (("*",), "INPUT", False, False),
        (("*", "INPUT"), "INPUT", False, True),
        (("INPUT*",), "INPUT-2", False, True),
        (("**",), "INPUT", False, True),
        (("SCREENSHOT-*", "OUTPUT"), "SCREENSHOT-1", True, True),
        (("SCREENSHOT-*", "OUTPUT"), "OUTPUT-2", True, False),
        (("a.b",), "aXb", True, False),
        (("a*b",), "a\nb", True, True),
        ((), "OUTPUT", True, False),
    ],
)
def test_records_are_wanted_by_pattern(patterns: tuple[str, ...], key: str, ordinary: bool, wants: bool) -> None:
    assert wants_key(patterns, key, ordinary=ordinary) is wants


@settings(deadline=None)
@given(st.text(), st.text(), st.text())
def test_a_star_stands_for_any_text_and_everything_else_for_itself(before: str, between: str, after: str) -> None:
    exact = (before + between + after).replace("*", "")
    assert wants_key([exact], exact, ordinary=False)
    assert wants_key([f"{before}*{after}"], before.replace("*", "") + between + after.replace("*", ""), ordinary=True)
    assert not wants_key([exact], exact + "x", ordinary=True)
