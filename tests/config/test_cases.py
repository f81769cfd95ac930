"""Tests that stand in a file, as they are read: what they give, what they expect, and what is wrong with them."""

from pathlib import Path

import pytest

from config import cases
from config.cases import GivenRecordShape
from tests.config.loading import HEAD, table, told

ROUTES = """\
routes:
  - {name: products, expect: {items: {min: 1}}, to: [{sink: out, name: good}, {sink: notes, text: hello}]}
  - {name: other, to: [{sink: rows}]}
unmatched: {to: [{sink: out, name: lost}]}
tests:
"""
#: line 12 of a file
ONE = "  - {{name: one, given: {}, expect: {}}}\n"


def test_a_file_without_tests_has_none(tmp_path: Path) -> None:
    assert table(tmp_path, HEAD + ROUTES.removesuffix("tests:\n")).cases == ()


def test_a_test_gives_a_run_and_says_what_becomes_of_it(tmp_path: Path) -> None:
    (case,) = table(
        tmp_path,
        HEAD
        + ROUTES
        + """\
  - name: a run with everything
    given:
      run:
        {status: FAILED, actor: acme/shop, task: acme/nightly, build: "0.1", tags: latest, origin: API, schedule: daily,
        usageTotalUsd: 1, finishedAt: 2026-02-03T04:05:06Z, stats: {runTimeSecs: 3}}
      items: [{n: 1}]
      datasets: {more: [1, [two]]}
      records: {OUTPUT: {contentType: text/plain, size: 3}, other: {}}
      requests: [{url: u}]
      event: {eventType: x}
      log_tail: it broke
    expect: {route: products, routes: [products, other], sent: {good: []}, paths: {good: a}, held: false, filtered: 0}
""",
    ).cases
    run = case.given.run
    assert (case.name, case.source) == ("a run with everything", "main")
    assert (run.status, run.actor, run.task, run.build, run.tags) == (
        "FAILED",
        "acme/shop",
        "acme/nightly",
        "0.1",
        ("latest",),
    )
    assert (run.origin, run.schedule, run.usage, run.ended) == ("API", "daily", 1.0, 1770091506.0)
    assert run.fields(case.status) == {
        "id": "test",
        "status": "FAILED",
        "startedAt": "2026-01-31T06:00:00.000Z",
        "finishedAt": "2026-02-03T04:05:06Z",
        "usageTotalUsd": 1.0,
        "stats": {"runTimeSecs": 3},
    }
    assert (case.given.items, case.given.datasets) == ([{"n": 1}], {"more": [1, ["two"]]})
    assert case.given.records == {
        "OUTPUT": GivenRecordShape(contentType="text/plain", size=3),
        "other": GivenRecordShape(),
    }
    assert (case.expect.routes, case.expect.paths, case.expect.held) == (("products", "other"), {"good": ("a",)}, False)


def test_what_failed_has_the_place_of_what_was_expected(tmp_path: Path) -> None:
    text = HEAD + ROUTES + ONE.format("{}", "{route: products, sent: {good: [{n: 1}]}}")
    (case,) = table(tmp_path, text).cases
    where = [
        str(case.problem("no", *below)).replace(f"{tmp_path}/", "")
        for below in ((), ("sent", "good", 0, "n"), ("sent", "good", 0, "m"), ("sent", "good", 3))
    ]
    assert where == [
        "runrelay.yaml:12:36: tests[0].expect: no",
        "runrelay.yaml:12:72: tests[0].expect.sent.good[0].n: no",
        "runrelay.yaml:12:68: tests[0].expect.sent.good[0]: no",
        "runrelay.yaml:12:67: tests[0].expect.sent.good: no",
    ]


@pytest.mark.parametrize(
    ("given", "expect", "said"),
    [
        ("{}", "{}", "12:36: tests[0].expect: says nothing of where the run goes: give `route`, `routes` or "
         "`unmatched: true` · Example: `expect: {route: products, sent: {good: []}}`"),
        ("{}", "{rout: products}", "12:37: tests[0].expect.rout: there is no key `rout` here: did you mean `route`? "
         "known are filtered, held, paths, route, routes, sent, texts, unmatched"),
        ("{}", "{route: product}", "12:44: tests[0].expect.route: no route `product` is defined: did you mean "
         "`products`? known are products, other"),
        ("{}", "{routes: [other, any]}", "12:53: tests[0].expect.routes[1]: no route `any` is defined: "
         "known are products, other"),
        ("{}", "{route: products, sent: {god: []}}", "12:66: tests[0].expect.sent.god: `products` has no target "
         "`god`: did you mean `good`? known are good, notes"),
        ("{}", "{route: other, texts: {rows: x}}", None),
        ("{}", "{route: products, texts: {good: x}}", "12:68: tests[0].expect.texts.good: `good` has no `text` in the "
         "file, so there is nothing to compare"),
        ("{}", "{route: other, held: true}", "12:57: tests[0].expect.held: `other` expects nothing, so it holds no "
         "run: give it an `expect`"),
        ("{}", "{routes: [other], filtered: 1}", "12:36: tests[0].expect: `filtered` is of one route: say of which "
         "with `route` · Example: `expect: {route: products, sent: {good: []}}`"),
        ("{}", "{unmatched: true, route: other}", "12:36: tests[0].expect: a run that a route takes is not unmatched: "
         "give one of the two · Example: `expect: {route: products, sent: {good: []}}`"),
        ("{}", "{routes: [other], route: products}", "12:36: tests[0].expect: `products` is not among `routes`: add "
         "it there · Example: `expect: {route: products, sent: {good: []}}`"),
        ("{}", "{unmatched: true, sent: {good: []}}", "12:67: tests[0].expect.sent.good: `unmatched` has no target "
         "`good`: known are lost"),
        ("{}", "{unmatched: maybe}", "12:48: tests[0].expect.unmatched: must be true or false, not text · Example: "
         "`unmatched: true`"),
        ("{itmes: []}", "{route: other}", "12:25: tests[0].given.itmes: there is no key `itmes` here: did you mean "
         "`items`? known are datasets, event, items, log_tail, records, requests, run, source"),
        ("{items: {n: 1}}", "{route: other}", "12:32: tests[0].given.items: must be a list, not a mapping · Example: "
         "`items: [{url: u1, price: 9.9}]`"),
        ("{items: [], datasets: {default: []}}", "{route: other}", "12:24: tests[0].given: `items` are those of the "
         "dataset `default`: give one of the two · Example: `given: {run: {status: SUCCEEDED}, items: []}`"),
        ("{source: man}", "{route: other}", "12:33: tests[0].given.source: no source `man` is defined: did you mean "
         "`main`? known are main"),
        ("{run: {status: 1}}", "{route: other}", "12:39: tests[0].given.run.status: must be text, not the number 1 "
         "(in quotes it would be text) · Example: `status: SUCCEEDED`"),
        ("{run: {finishedAt: today}}", "{route: other}", "12:43: tests[0].given.run.finishedAt: `today` is no time: "
         "write it as 2026-01-31T07:00:00.000Z · Example: `finishedAt: 2026-01-31T07:00:00.000Z`"),
        ("{run: {usageTotalUsd: -1}}", "{route: other}", "12:46: tests[0].given.run.usageTotalUsd: must be at least 0 "
         "· Example: `usageTotalUsd: 0.25`"),
        ("{records: [OUTPUT]}", "{route: other}", "12:34: tests[0].given.records: must be a mapping, not a list · "
         "Example: `records: {OUTPUT: {contentType: application/json, size: 120}}`"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_test_is_said_at_its_place(tmp_path: Path, given: str, expect: str, said: str | None) -> None:
    found = told(tmp_path, HEAD + ROUTES + ONE.format(given, expect))
    assert found == ([f"runrelay.yaml:{said}"] if said else [])


def test_a_name_stands_for_one_test(tmp_path: Path) -> None:
    text = HEAD + ROUTES + 2 * ONE.format("{}", "{route: other}")
    assert told(tmp_path, text) == ["runrelay.yaml:13:12: tests[1].name: the test name `one` is used twice"]


def test_without_a_block_for_them_runs_that_no_route_wants_are_sent_nowhere(tmp_path: Path) -> None:
    text = HEAD + ROUTES.replace("unmatched: {to: [{sink: out, name: lost}]}\n", "")
    assert told(tmp_path, text + ONE.format("{}", "{unmatched: true, filtered: 0}")) == [
        "runrelay.yaml:11:64: tests[0].expect.filtered: the file has no block `unmatched`, so nothing is sent anywhere"
    ]


def test_there_cannot_be_any_number_of_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "MOST_CASES", 2)
    tests = "".join(f"  - {{name: t{number}, expect: {{route: other}}}}\n" for number in range(3))
    assert told(tmp_path, HEAD + ROUTES + tests) == [
        "runrelay.yaml:12:3: tests: these are 3 tests, and at most 2 can be run"
    ]


def test_a_route_with_a_mistake_is_not_missed_by_its_tests(tmp_path: Path) -> None:
    text = HEAD + ROUTES.replace("sink: rows", "snik: rows") + ONE.format("{}", "{route: other, sent: {rows: []}}")
    assert [line.partition(": ")[0] for line in told(tmp_path, text)] == ["runrelay.yaml:9:25"]


@pytest.mark.parametrize(
    ("given", "status"), [("{}", "succeeded"), ("{source: films}", "succeeded"), ("{source: main}", "SUCCEEDED")]
)
def test_a_run_came_to_its_own_end_in_the_word_of_its_platform(tmp_path: Path, given: str, status: str) -> None:
    both = HEAD.replace("sources: {", "sources: {films: {type: ittybit, token: t-0123456789, reconcile: {}}, ")
    (case,) = table(tmp_path, both + ROUTES + ONE.format(given, "{route: products}")).cases
    assert (case.status, case.given.run.fields(case.status)["status"]) == (status, status)
