"""Which routes want a run."""

from dataclasses import replace
from typing import cast

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from config.contracts.run import Run
from config.route import BatchSize, Read, Retry, Route, Target, When
from workers.routing.match import holds, matching, wants_key

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
