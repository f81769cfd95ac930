"""The block `alerts:` of runrelay.yaml. `HEAD` takes lines 1 to 6, so the block begins in line 7."""

from pathlib import Path

import pytest

from config.contracts.alert import ALERT_KINDS
from config.units import PerTime
from tests.config.loading import HEAD, SOURCES, table, told

ROUTE = "routes: [{name: a, to: [{sink: out}, {sink: rows}]}]\n"
KINDS = ", ".join(f"`{kind}`" for kind in ALERT_KINDS[:-1]) + f" or `{ALERT_KINDS[-1]}`"
TO = " · Example: `to: [{sink: oncall}]`"

#: what stands in `alerts:`, and what is said about it
MISTAKES = {
    "nobody is told": ("{kinds: [paused]}", [f"7:1: alerts.to: `to` is required{TO}"]),
    "an empty list": ("{to: []}", [f"7:14: alerts.to: must not be empty{TO}"]),
    "text": ("notes", ["7:9: alerts: must be a mapping, not text · Example: `alerts: {to: [{sink: oncall}]}`"]),
    "an unknown key": (
        "{to: [{sink: notes}], atmost: 1/15m}",
        ["7:31: alerts.atmost: there is no key `atmost` here: did you mean `at_most`? known are at_most, kinds, to"],
    ),
    "an unknown kind": (
        "{to: [{sink: notes}], kinds: [paused, failed]}",
        [
            f"7:47: alerts.kinds[1]: must be {KINDS}, not `failed`; did you mean `reload_failed`?"
            " · Example: `kinds: [dead_letter, paused]`"
        ],
    ),
    "one unknown kind": (
        "{to: [{sink: notes}], kinds: dead_leter}",
        [
            f"7:38: alerts.kinds: must be {KINDS}, not `dead_leter`; did you mean `dead_letter`?"
            " · Example: `kinds: [dead_letter, paused]`"
        ],
    ),
    "no rate": (
        "{to: [{sink: notes}], at_most: 15m}",
        [
            "7:40: alerts.at_most: `15m` is not a rate: write how many per time, such as 5/s or 1/15m"
            " · Example: `at_most: 1/15m`"
        ],
    ),
    "more than can be counted": (
        "{to: [{sink: notes}], at_most: 101/1h}",
        [
            "7:40: alerts.at_most: at most 100 messages can be counted: choose a shorter time"
            " · Example: `at_most: 1/15m`"
        ],
    ),
    "a sink that is not defined": (
        "{to: [{sink: note}]}",
        ["7:22: alerts.to[0].sink: no sink `note` is defined: did you mean `notes`? defined are out, rows, notes"],
    ),
    "no sink": (
        "{to: [{name: me}]}",
        ["7:15: alerts.to[0].sink: `sink` is required · Example: `sink: oncall`"],
    ),
    "a sink that cannot carry them": (
        "{to: [{sink: rows}]}",
        ["7:22: alerts.to[0].sink: `rows` cannot carry alerts: its type has no way to"],
    ),
    "an option that the sink does not have": (
        "{to: [{sink: notes, txt: x}]}",
        ["7:29: alerts.to[0].txt: there is no key `txt` here: did you mean `text`? known are name, sink, text"],
    ),
    "the same name twice": (
        "{to: [{sink: notes}, {sink: notes, text: x}]}",
        ["7:37: alerts.to[1].sink: `notes` is told twice: give this one a `name:` of its own"],
    ),
    "a name that is none": (
        "{to: [{sink: notes, name: 1st}]}",
        [
            "7:35: alerts.to[0].name: `1st` is no name: a name begins with a letter and has at most 64 letters, "
            "digits, `_` and `-`"
        ],
    ),
}


@pytest.mark.parametrize(("block", "problems"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_told_with_its_place(tmp_path: Path, block: str, problems: list[str]) -> None:
    assert told(tmp_path, f"{HEAD}alerts: {block}\n{ROUTE}") == [f"runrelay.yaml:{each}" for each in problems]


def test_a_path_for_alerts_knows_no_run(tmp_path: Path) -> None:
    text = f"""\
version: 1
{SOURCES}sinks: {{disk: {{type: file, base: x}}}}
routes: [{{name: a, to: [{{sink: disk}}]}}]
alerts: {{to: [{{sink: disk, path: "{{{{ run.id }}}}.json"}}, {{sink: disk, name: b, path: "{{{{ record.key }}}}"}}]}}
"""
    assert told(tmp_path, text) == [
        "runrelay.yaml:5:34: alerts.to[0].path: `run` has no meaning in an alert: it has `record.key`"
    ]


def test_what_is_not_said_has_a_default(tmp_path: Path) -> None:
    alerts = table(tmp_path, HEAD + "alerts: {to: [{sink: notes}]}\n" + ROUTE).alerts
    assert alerts
    assert [(one.name, one.sink) for one in alerts.to] == [("notes", "notes")]
    assert (alerts.kinds, alerts.at_most) == (ALERT_KINDS, PerTime(1, 900.0))


def test_everything_can_be_said(tmp_path: Path) -> None:
    block = "{to: [{sink: notes, text: hi}, {sink: notes, name: b}], kinds: paused, at_most: 3/1h}"
    found = table(tmp_path, f"{HEAD}alerts: {block}\n" + ROUTE)
    assert found.alerts
    assert [one.name for one in found.alerts.to] == ["notes", "b"]
    assert found.alerts.to[0].options.model_dump() == {"text": "hi"}
    assert (found.alerts.kinds, found.alerts.at_most) == (("paused",), PerTime(3, 3600.0))
    assert found.warnings == ()


def test_without_the_block_nobody_is_told(tmp_path: Path) -> None:
    assert table(tmp_path, HEAD + ROUTE).alerts is None
