"""What is allowed but hardly meant, as `runrelay check` warns of it."""

from pathlib import Path

import pytest

from tests.config.loading import HEAD, ROUTE, TO, route, table

APIFY = """\
version: 1
sources: {apify: {token: "${TOKEN}", webhook: {secrets: ["${HOOK}"]}}}
sinks:
  out: {type: tests.config.plugins.shelf, base: x, password: "${PASSWORD}"}
  rows: {type: tests.config.plugins.rows}
  notes: {type: tests.config.plugins.notes}
"""
USED = "unmatched: {to: [{sink: out}, {sink: rows}, {sink: notes}]}\n"


def warnings(folder: Path, text: str) -> list[str]:
    return [str(warning).replace(f"{folder}/runrelay.yaml:", "") for warning in table(folder, text + USED).warnings]


DIFFERS = "`{}` differs in every run, so every item counts as changed".format


@pytest.mark.parametrize(
    ("read", "target", "said"),
    [
        ("", "set: {seen: run.finishedAt}", [DIFFERS("set.seen")]),
        ("set: {seen: run.finishedAt | date}", "", [DIFFERS("read.set.seen")]),
        ("fields: {url: item.url, by: run.id}", "", [DIFFERS("read.fields.by")]),
        ("set: {by: run.id}", "fields: {url: item.url, of: item.by}", [DIFFERS("read.set.by")]),
        ("set: {by: run.id}", "fields: {url: item.url}", []),
        ("set: {by: run.id}", "omit: by", []),
        ("set: {by: run.id}", "set: {by: 1}", []),
        ("set: {by: run.status}", "set: {of: actor.name}", []),
        ("", "set: {cost: run.usageTotalUsd}", [DIFFERS("set.cost")]),
        ("", "set: {url: run.id}", ["`set.url` differs in every run, so no item is ever the same as before"]),
    ],
)
def test_what_differs_in_every_run_is_not_to_be_compared(
    tmp_path: Path, read: str, target: str, said: list[str]
) -> None:
    options = ", ".join(filter(None, ("sink: rows", "only: {key: url}", target)))
    text = HEAD + f"{ROUTE}    read: {{{read}}}\n    to: [{{{options}}}]\n"
    assert [one.split("only: ", 1)[-1] for one in warnings(tmp_path, text)] == said


def test_what_differs_does_not_matter_where_only_new_items_are_sent(tmp_path: Path) -> None:
    text = HEAD + f"{ROUTE}    to: [{{sink: rows, only: {{change: new, key: url}}, set: {{seen: run.finishedAt}}}}]\n"
    assert warnings(tmp_path, text) == []


def test_a_comparison_said_in_read_is_warned_of_at_the_target(tmp_path: Path) -> None:
    text = HEAD + f"{ROUTE}    read: {{only: {{key: url}}}}\n    to: [{{sink: rows, set: {{seen: run.id}}}}]\n"
    assert warnings(tmp_path, text) == ["10:10: routes[0].to[0]: " + DIFFERS("set.seen")]


@pytest.mark.parametrize(
    ("when", "said"),
    [
        (
            "{status: SUCCESS}",
            ["9:20: routes[0].when.status: no run ends like that at Apify: did you mean `SUCCEEDED`?"],
        ),
        (
            "{status: [SUCCEEDED, TIMED_OUT]}",
            ["9:32: routes[0].when.status[1]: no run ends like that at Apify: did you mean `TIMED-OUT`?"],
        ),
        (
            "{not: {origin: SCHEDULED}}",
            ["9:26: routes[0].when.not.origin: no run starts like that at Apify: did you mean `SCHEDULER`?"],
        ),
        (
            "{status: X}",
            [
                "9:20: routes[0].when.status: no run ends like that at Apify: known are ABORTED, ABORTING, FAILED, "
                "READY, RUNNING, SUCCEEDED, TIMED-OUT, TIMING-OUT"
            ],
        ),
        ('{status: ["SUCC*", ABORTED], origin: [WEB, MCP]}', []),
    ],
)
def test_a_word_that_the_platform_does_not_have_is_warned_of(tmp_path: Path, when: str, said: list[str]) -> None:
    assert warnings(tmp_path, APIFY + route(f"when: {when}")) == said


def test_so_are_those_of_targets(tmp_path: Path) -> None:
    text = f"{ROUTE}    to: [{{sink: rows, when: {{status: succeeded}}}}]\n"
    said = "9:38: routes[0].to[0].when.status: no run ends like that at Apify: did you mean `SUCCEEDED`?"
    assert warnings(tmp_path, APIFY + text) == [said]


def test_of_a_platform_that_does_not_say_its_words_every_word_may_be_one(tmp_path: Path) -> None:
    assert warnings(tmp_path, HEAD + route("when: {status: SUCCESS}")) == []
    both = APIFY.replace("sources: {", 'sources: {main: {type: tests.config.plugins.platform, token: "${TOKEN}"}, ')
    assert warnings(tmp_path, both + route("when: {status: SUCCESS}")) == []


def test_a_route_that_must_deliver_in_time_wants_alerts(tmp_path: Path) -> None:
    text = HEAD + ROUTE + "    freshness: {every: 26h}\n" + TO
    assert warnings(tmp_path, text) == [
        "9:16: routes[0].freshness: nobody is told when it is late: add `alerts:` to the file"
    ]
    assert warnings(tmp_path, text + "alerts: {to: [{sink: notes}]}\n") == []
