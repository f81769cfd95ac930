"""Sinks that tell of runs: what they are sent without a `send:`. `HEAD` takes lines 1 to 6."""

from pathlib import Path

import pytest

from tests.config.loading import ENVIRON, HEAD, table, told
from workers.sinks.notify import Target

SLACK = {"SLACK_URL": "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"}
ONCALL = HEAD + '  oncall: {type: notify, url: "${SLACK_URL}", collect: {for: 5m, most: 20}}\n'
SOMETHING_BROKE = (
    ONCALL
    + """\
routes:
  - name: something-broke
    when: {status: [FAILED, TIMED-OUT, ABORTED]}
    read: {log_tail: 20}
    to:
    - sink: oncall
      text: |
        *{{ actor.name }}* {{ run.status }} after {{ run.stats.runTimeSecs | duration }}, {{ run.usageTotalUsd | usd }}
        {{ run.statusMessage or 'no status message' }} {{ run.console_url }}
        {{ log_tail | code }}
alerts: {to: [{sink: oncall}], kinds: [dead_letter, paused], at_most: 1/15m}
"""
)


def sent(folder: Path, route: str) -> list[str]:
    """What each target of a route is sent."""
    found = table(folder, f"{ONCALL}routes: [{{name: a, {route}}}]\n", ENVIRON | SLACK)
    return [target.send for target in found.routes[0].to]


@pytest.mark.parametrize(
    ("route", "streams"),
    [
        ("to: [{sink: oncall}]", ["run"]),
        ("read: {dataset: default}, to: [{sink: rows}, {sink: oncall}]", ["items", "run"]),
        ("read: {records: '*'}, to: [{sink: oncall}]", ["run"]),
        ("read: {log_tail: 20}, to: [{sink: oncall}]", ["log"]),
        ("read: {log_tail: 20, dataset: default}, to: [{sink: oncall, text: '{{ log_tail }}'}]", ["log"]),
        ("read: {log_tail: 20}, to: [{sink: oncall, send: run}]", ["run"]),
        ("read: {log_tail: 20, records: '*'}, to: [{sink: out, send: records}, {sink: oncall}]", ["records", "log"]),
    ],
)
def test_who_tells_of_runs_gets_the_run_or_the_end_of_its_log(tmp_path: Path, route: str, streams: list[str]) -> None:
    assert sent(tmp_path, route) == streams


def test_who_takes_runs_only_is_sent_no_log(tmp_path: Path) -> None:
    assert sent(tmp_path, "read: {log_tail: 20}, to: [{sink: notes}]") == ["run"]


def test_a_file_with_messages_is_used_as_it_is(tmp_path: Path) -> None:
    found = table(tmp_path, SOMETHING_BROKE, ENVIRON | SLACK)
    (target,) = found.routes[0].to
    assert isinstance(target.options, Target)
    assert target.options.text is not None
    run = {
        "status": "FAILED",
        "stats": {"runTimeSecs": 61},
        "usageTotalUsd": 0.5,
        "console_url": "https://console.apify.com/view/runs/r1",
    }
    assert target.options.text.render({"run": run, "actor": {"name": "acme/shop"}, "log_tail": "a\nb"}) == (
        "*acme/shop* FAILED after 1m 1s, $0.50\n"
        "no status message https://console.apify.com/view/runs/r1\n"
        "```\na\nb\n```\n"
    )
    assert found.alerts is not None
    assert [one.sink for one in found.alerts.to] == ["oncall"]


@pytest.mark.parametrize(
    ("route", "cure"),
    [
        ("to: [{sink: oncall, text: '{{ log_tail }}'}]", "add `log_tail: 100` to the route's `read:`"),
        ("read: {log_tail: 9}, to: [{sink: oncall, send: run, title: '{{ log_tail }}'}]", "leave out `send: run`"),
    ],
)
def test_a_log_that_nobody_is_sent_cannot_be_told(tmp_path: Path, route: str, cure: str) -> None:
    (problem,) = told(tmp_path, f"{ONCALL}routes: [{{name: a, {route}}}]\n", ENVIRON | SLACK)
    assert problem.endswith(f": `log_tail` has no meaning here: {cure}")


def test_an_alert_has_words_of_its_own(tmp_path: Path) -> None:
    base = f"{ONCALL}routes: [{{name: a, to: [{{sink: rows}}]}}]\n"
    good = base + "alerts: {to: [{sink: oncall, text: '{{ alert.text }} {{ alert.count }}'}]}\n"
    assert told(tmp_path, good, ENVIRON | SLACK) == []
    (problem,) = told(tmp_path, base + "alerts: {to: [{sink: oncall, text: '{{ run.id }}'}]}\n", ENVIRON | SLACK)
    assert problem.endswith("text: `run` has no meaning in an alert: it has `alert`")


def test_a_bad_address_is_told_when_the_file_is_checked_and_not_shown(tmp_path: Path) -> None:
    text = ONCALL + "routes: [{name: a, to: [{sink: oncall}]}]\n"
    (problem,) = told(tmp_path, text, ENVIRON | {"SLACK_URL": "slakk://very-secret/words"})
    assert problem.startswith("runrelay.yaml:7:31: sinks.oncall.url: apprise cannot use this slakk:// address: see ")
    assert "very-secret" not in problem
