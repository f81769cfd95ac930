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


VIDEO = """\
version: 1
sources:
  apify: {token: "${TOKEN}", webhook: {secrets: ["${HOOK}"]}}
  video: {type: ittybit, token: "${TOKEN}", webhook: {secrets: ["${HOOK}"]}}
  own: {type: tests.config.plugins.platform, token: "${TOKEN}"}
sinks:
  out: {type: tests.config.plugins.shelf, base: x, password: "${PASSWORD}"}
  rows: {type: tests.config.plugins.rows}
  notes: {type: tests.config.plugins.notes}
"""
SAID = "{}: no run ends like that at {}: did you mean `{}`?"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("when: {source: video, status: SUCCEEDED}", [SAID.format("status", "ittybit", "succeeded")]),
        ("when: {source: video, status: succeeded, origin: API}", []),
        ("when: {source: [video, apify], status: FAILLED}", [SAID.format("status", "Apify or ittybit", "FAILED")]),
        ("when: {source: [video, apify], status: [SUCCEEDED, succeeded]}", []),
        ("when: {source: v*, not: {status: FAILED}}", [SAID.format("not.status", "ittybit", "failed")]),
        ("when: {not: {source: video, status: FAILED}}", [SAID.format("not.status", "ittybit", "failed")]),
        ("when: {source: own, status: SUCCESS}", []),
        ("when: {status: SUCCESS}", []),
        ("when: {source: nobodys*, status: SUCCESS}", []),
    ],
)
def test_words_are_held_against_the_sources_that_are_meant(tmp_path: Path, lines: str, said: list[str]) -> None:
    found = warnings(tmp_path, VIDEO + route(lines))
    assert [one.partition("routes[0].when.")[2] for one in found] == said


def test_targets_are_about_the_sources_of_their_route(tmp_path: Path) -> None:
    text = f"{ROUTE}    when: {{source: video}}\n    to: [{{sink: rows, when: {{status: SUCCEEDED}}}}]\n"
    (said,) = warnings(tmp_path, VIDEO + text)
    assert said.endswith("no run ends like that at ittybit: did you mean `succeeded`?")


@pytest.mark.parametrize(
    ("when", "key", "what"),
    [
        ("{source: video}", "log_tail: 9", "logs"),
        ("{source: video}", "requests: true", "request queues"),
        ("{source: [video, apify]}", "log_tail: 9", ""),
        ("{source: own}", "log_tail: 9", ""),
        ("{source: video}", "records: [a]", ""),
    ],
)
def test_what_a_platform_does_not_have_is_not_read(tmp_path: Path, when: str, key: str, what: str) -> None:
    text = f"{ROUTE}    when: {when}\n    read: {{{key}}}\n    to: [{{sink: out}}]\n"
    found = warnings(
        tmp_path, VIDEO.replace('tests.config.plugins.shelf, base: x, password: "${PASSWORD}"', "stdout") + text
    )
    told = [f"routes[0].read.{key.partition(':')[0]}: runs of `video` have no {what}: leave it out"] if what else []
    assert [one.partition(" ")[2] for one in found] == told


TOLD = """\
version: 1
sources:
  render: {type: generic, webhook: {secrets: ["${HOOK}"]%s}, %s}
sinks:
  out: {type: tests.config.plugins.shelf, base: x, password: "${PASSWORD}"}
  rows: {type: tests.config.plugins.rows}
  notes: {type: tests.config.plugins.notes}
"""
SIGNED = ", verify: {scheme: hmac, header: X-Signature}"
API = 'api: {url: "https://api.example.com"}'
ASKED = f'{API}, run: {{fetch: "/runs/{{id}}", status: state, succeeded: done, failed: [broken]}}'
UNSIGNED = (
    "3:36: sources.render.webhook: what its webhooks say is believed as it comes: anybody who has the secret, or sees "
    "it, can make up runs; a signature is safer (`verify`)"
)


@pytest.mark.parametrize(
    ("verify", "run", "said"),
    [
        ("", "run: {at: data}", [UNSIGNED]),
        (", verify: {scheme: token, header: X-Token}", "run: {at: data}", [UNSIGNED]),
        (SIGNED, "run: {at: data}", []),
        ("", ASKED, []),
    ],
)
def test_what_is_believed_should_be_signed(tmp_path: Path, verify: str, run: str, said: list[str]) -> None:
    assert warnings(tmp_path, TOLD % (verify, run) + route("read: {}")) == said


@pytest.mark.parametrize(
    ("run", "when", "said"),
    [
        (ASKED, "{source: render, status: succeeded}", "no run ends like that at render: known are broken, done"),
        (ASKED, "{source: render, status: [done, broken], origin: API}", ""),
        ("event: {kind: type}", "{source: render, status: succeeded}", ""),
    ],
)
def test_a_file_that_says_a_platforms_words_is_held_to_them(tmp_path: Path, run: str, when: str, said: str) -> None:
    found = warnings(tmp_path, TOLD % (SIGNED, run) + route(f"when: {when}"))
    assert [one.partition("status: ")[2] for one in found] == ([said] if said else [])


@pytest.mark.parametrize(
    ("when", "path", "said"),
    [
        ("{}", ", path: '{{ run.id }}.jsonl'", ["routes[0].to[0].path"]),
        ("{}", ", path: '{{ source }}/{{ run.id }}.jsonl'", []),
        ("{}", ", path: latest.jsonl", []),
        ("{}", "", ["routes[0].to[0]"]),
        ("{source: video}", "", []),
        ("{source: [video, apify]}", "", ["routes[0].to[0]"]),
    ],
)
def test_runs_of_two_platforms_do_not_share_a_file_by_chance(
    tmp_path: Path, when: str, path: str, said: list[str]
) -> None:
    head = VIDEO.replace("sinks:\n", "sinks:\n  files: {type: file, base: x}\n", 1)
    found = warnings(tmp_path, head + f"{ROUTE}    when: {when}\n    to: [{{sink: files{path}}}]\n")
    assert [one.split(": ")[1] for one in found if "two with the same id" in one] == said
