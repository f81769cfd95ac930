"""What somebody gets to read who made a mistake: file, line, column, key, and what would be right.

`HEAD` takes lines 1 to 6, so what a case adds begins in line 7.
"""

from pathlib import Path

import pytest

from config import plugins
from tests.config.loading import HEAD, SINKS, SOURCES, told

TO = "    to: [{sink: rows}]\n"
ROUTES = "routes:\n  - name: all\n"
ROUTE = ROUTES + TO

#: It grows with every sink; that the message has all of them is what counts.
TYPES = ", ".join(plugins.known("workers.sinks", plugins.SINKS))
KNOWN_IN_ROUTE = "known are after, bad_items, batch, expect, final, freshness, name, read, retry, to, when, where"
KNOWN_IN_FILE = "known are alerts, defaults, include, routes, sinks, sources, tests, unmatched, version"
NAME = "is no name: a name begins with a letter and has at most 64 letters, digits, `_` and `-`"
DURATION = "not a duration: write a number and a unit (ms, s, m, h, d), such as 10m"
SIZE = "not a size: write a number and a unit (B, kB, MB, GB, KiB, MiB, GiB), such as 4MiB"
NO_VALUE = "has no value: write one, or leave the key out"
COMMA = "has no value: write one; inside {…} and […] a comma ends a value, so text with commas needs quotes"
NUMBER_IS_TEXT = "(in quotes it would be text)"

#: what is added to HEAD, and what is said about it
AFTER_HEAD = {
    "misspelled key at the top": (
        "rotues: []\n" + ROUTE,
        ["7:1: rotues: there is no key `rotues` here: did you mean `routes`? " + KNOWN_IN_FILE],
    ),
    "misspelled key of a route": (
        ROUTES + "    raed: {}\n" + TO,
        ["9:5: routes[0].raed: there is no key `raed` here: did you mean `read`? " + KNOWN_IN_ROUTE],
    ),
    "on instead of when": (
        ROUTES + "    on: {status: SUCCEEDED}\n" + TO,
        ["9:5: routes[0].on: there is no key `on` here: did you mean `when`? " + KNOWN_IN_ROUTE],
    ),
    "a key that is like none": (
        ROUTES + "    zzz: 1\n" + TO,
        ["9:5: routes[0].zzz: there is no key `zzz` here: " + KNOWN_IN_ROUTE],
    ),
    "plural in when": (
        ROUTES + "    when: {actors: [a/b]}\n" + TO,
        [
            "9:12: routes[0].when.actors: there is no key `actors` here: did you mean `actor`? "
            "known are actor, build, cost, not, origin, schedule, source, status, task"
        ],
    ),
    "not inside not": (
        ROUTES + "    when: {not: {not: {status: X}}}\n" + TO,
        [
            "9:18: routes[0].when.not.not: there is no key `not` here: "
            "known are actor, build, cost, origin, schedule, source, status, task"
        ],
    ),
    "empty not": (
        ROUTES + "    when: {not: {}}\n" + TO,
        [
            "9:17: routes[0].when.not: is empty, so it fits every run and nothing would match: leave it out"
            " · Example: `not: {origin: [DEVELOPMENT, TEST]}`"
        ],
    ),
    "empty list in when": (
        ROUTES + "    when: {status: []}\n" + TO,
        ["9:20: routes[0].when.status: must not be empty · Example: `status: [SUCCEEDED, TIMED-OUT]`"],
    ),
    "option of a sink that it does not have": (
        ROUTES + "    to: [{sink: out, pth: x}]\n",
        [
            "9:22: routes[0].to[0].pth: there is no key `pth` here: did you mean `path`? "
            "known are bad_items, batch, depth, fields, name, omit, only, path, retry, send, set, sink, strict, "
            "transform, when, where"
        ],
    ),
    "common key of a target misspelled": (
        ROUTES + "    to: [{sink: rows, snd: items}]\n",
        [
            "9:23: routes[0].to[0].snd: there is no key `snd` here: did you mean `send`? "
            "known are bad_items, batch, fields, name, omit, only, retry, send, set, sink, strict, text, "
            "transform, when, where"
        ],
    ),
    "sink that is not defined": (
        ROUTES + "    to: [{sink: row}]\n",
        ["9:17: routes[0].to[0].sink: no sink `row` is defined: did you mean `rows`? defined are out, rows, notes"],
    ),
    "sink missing": (
        ROUTES + "    to: [{snik: rows}]\n",
        ["9:11: routes[0].to[0].snik: there is no key `snik` here: did you mean `sink`? · Example: `sink: out`"],
    ),
    "sink used twice without a name": (
        ROUTES + "    to:\n      - {sink: rows}\n      - {sink: rows}\n",
        ["11:16: routes[0].to[1].sink: `rows` is used twice in this route: give this one a `name:` of its own"],
    ),
    "name of a target used twice": (
        ROUTES + "    to:\n      - {sink: rows}\n      - {sink: notes, name: rows}\n",
        ["11:29: routes[0].to[1].name: `rows` is used twice in this route: give this one a `name:` of its own"],
    ),
    "name of a route used twice": (
        ROUTE + "  - name: all\n" + TO,
        ["10:11: routes[1].name: the route name `all` is used twice"],
    ),
    "name of a route that is reserved": (
        "routes:\n  - name: unmatched\n" + TO,
        ["8:11: routes[0].name: `unmatched` is the name of the block that takes what no route wants: choose another"],
    ),
    "name of a route that is no name": (
        "routes:\n  - name: 1st route\n" + TO,
        [f"8:11: routes[0].name: `1st route` {NAME}"],
    ),
    "name of a target that is no name": (
        ROUTES + "    to: [{sink: rows, name: ä}]\n",
        [f"9:29: routes[0].to[0].name: `ä` {NAME}"],
    ),
    "name of a route missing": (
        "routes:\n  - to: [{sink: rows}]\n",
        ["8:5: routes[0].name: `name` is required · Example: `name: products`"],
    ),
    "name of a route that is a number": (
        "routes:\n  - name: 1\n" + TO,
        [f"8:11: routes[0].name: must be text, not the number 1 {NUMBER_IS_TEXT} · Example: `name: products`"],
    ),
    "name of a route that is a truth value": (
        "routes:\n  - name: true\n" + TO,
        [f"8:11: routes[0].name: must be text, not `true` {NUMBER_IS_TEXT} · Example: `name: products`"],
    ),
    "targets missing": (
        ROUTES,
        ["8:5: routes[0].to: `to` is required · Example: `to: [{sink: out}]`"],
    ),
    "targets without a list": (
        ROUTES + "    to: {sink: rows}\n",
        ["9:9: routes[0].to: must be a list, not a mapping · Example: `to: [{sink: out}]`"],
    ),
    "a target that is only a name": (
        ROUTES + "    to: [rows]\n",
        ["9:10: routes[0].to[0]: must be a mapping, not text · Example: `to: [{sink: out}]`"],
    ),
    "no targets": (
        ROUTES + "    to: []\n",
        ["9:9: routes[0].to: must not be empty · Example: `to: [{sink: out}]`"],
    ),
    "routes as a mapping": (
        "routes:\n  all: {to: [{sink: rows}]}\n",
        [
            "8:3: routes: must be a list, not a mapping"
            " · Example: `routes: [{name: all, when: {status: SUCCEEDED}, to: [{sink: out}]}]`"
        ],
    ),
    "routes missing": (
        "",
        [
            "1:1: routes: `routes` is required"
            " · Example: `routes: [{name: all, when: {status: SUCCEEDED}, to: [{sink: out}]}]`"
        ],
    ),
    "truth value that is none": (
        ROUTES + "    final: maybe\n" + TO,
        ["9:12: routes[0].final: must be true or false, not text · Example: `final: true`"],
    ),
    "number out of bounds": (
        ROUTES + "    read: {log_tail: 20000}\n    to: [{sink: notes}]\n",
        ["9:22: routes[0].read.log_tail: must be at most 10000 · Example: `log_tail: 20`"],
    ),
    "number that is none": (
        ROUTES + "    read: {log_tail: all}\n    to: [{sink: notes}]\n",
        ["9:22: routes[0].read.log_tail: must be a whole number, not text · Example: `log_tail: 20`"],
    ),
    "number with a fraction": (
        ROUTES + "    batch: {items: 1.5}\n" + TO,
        ["9:20: routes[0].batch.items: must be a whole number, not the number 1.5 · Example: `items: 1000`"],
    ),
    "duration without a unit": (
        "defaults: {retry: {for: 75}}\n" + ROUTE,
        [f"7:25: defaults.retry.for: `75` is {DURATION} · Example: `for: 75h`"],
    ),
    "duration in a list": (
        "defaults:\n  retry: {backoff: [0, 5s, 5min]}\n" + ROUTE,
        [f"8:28: defaults.retry.backoff[2]: `5min` is {DURATION} · Example: `backoff: [0, 5s, 5m, 1h]`"],
    ),
    "duration out of bounds": (
        "defaults: {history: {keep: 1h}}\n" + ROUTE,
        ["7:28: defaults.history.keep: must be at least 86400 seconds · Example: `keep: 30d`"],
    ),
    "size with an unknown unit": (
        "defaults: {batch: {bytes: 4M}}\n" + ROUTE,
        [f"7:27: defaults.batch.bytes: `4M` is {SIZE} · Example: `bytes: 4MiB`"],
    ),
    "size out of bounds": (
        "defaults: {batch: {bytes: 100MiB}}\n" + ROUTE,
        ["7:27: defaults.batch.bytes: must be at most 67108864 bytes · Example: `bytes: 4MiB`"],
    ),
    "key without a value": (
        ROUTES + "    when:\n" + TO,
        [f"9:10: routes[0].when: {NO_VALUE}"],
    ),
    "null": (
        ROUTES + "    when: null\n" + TO,
        ["9:11: routes[0].when: `null` is no value here: leave the key out"],
    ),
    "value split by a comma": (
        ROUTES + "    to: [{sink: rows, text: one, two}]\n",
        [f"9:37: routes[0].to[0].two: {COMMA}"],
    ),
    "source that is not defined": (
        ROUTES + "    when: {source: [mian, 'm*']}\n" + TO,
        ["9:21: routes[0].when.source[0]: no source `mian` is defined: did you mean `main`? defined are main"],
    ),
    "source that is not defined, of a target": (
        ROUTES + "    to: [{sink: rows, when: {not: {source: other}}}]\n",
        ["9:44: routes[0].to[0].when.not.source: no source `other` is defined: defined are main"],
    ),
    "which stream to send is not said": (
        ROUTES + "    read: {dataset: default, log_tail: 20}\n    to: [{sink: out}]\n",
        ["10:17: routes[0].to[0].sink: this route reads items, log and `out` takes each: say which with `send: items`"],
    ),
    "a stream the sink does not take": (
        ROUTES + "    to: [{sink: rows, send: run}]\n",
        ["9:29: routes[0].to[0].send: `rows` cannot take run: it takes items: name the `fields` to make rows of"],
    ),
    "a stream the route does not read": (
        ROUTES + "    to: [{sink: out, send: records}]\n",
        ['9:28: routes[0].to[0].send: this route reads no records: add `records: ["*"]` to its `read:`'],
    ),
    "no stream in common": (
        ROUTES + "    read: {log_tail: 5}\n    to: [{sink: rows}]\n",
        ["10:17: routes[0].to[0].sink: `rows` takes items, but this route reads log"],
    ),
    "a stream that is none": (
        ROUTES + "    to: [{sink: out, send: item}]\n",
        [
            "9:28: routes[0].to[0].send: must be `items`, `records`, `requests`, `run` or `log`, not `item`;"
            " did you mean `items`? · Example: `send: items`"
        ],
    ),
    "several datasets in one path": (
        ROUTES + "    read: {dataset: '*'}\n    to: [{sink: out, path: 'x/{{ run.id }}'}]\n",
        [
            "10:28: routes[0].to[0].path: this route reads several datasets, which would overwrite each other:"
            " put {{ dataset }} into `path`"
        ],
    ),
    "two datasets in one path": (
        ROUTES + "    read: {dataset: [default, extra]}\n    to: [{sink: out}]\n",
        [
            "10:10: routes[0].to[0].path: this route reads several datasets, which would overwrite each other:"
            " put {{ dataset }} into `path`"
        ],
    ),
    "unmatched without targets": (
        "unmatched: {}\n" + ROUTE,
        ["7:1: unmatched.to: `to` is required · Example: `to: [{sink: out}]`"],
    ),
    "unmatched with conditions": (
        "unmatched: {when: {}, to: [{sink: notes}]}\n" + ROUTE,
        ["7:13: unmatched.when: there is no key `when` here: known are bad_items, batch, retry, to"],
    ),
    "unset variables, each once": (
        ROUTES + '    to: [{sink: out, path: "${ONE}/${TWO}/${ONE}"}]\n',
        [
            "9:28: routes[0].to[0].path: the variable ONE is not set: set it in the environment or in .env beside "
            "this file, or write ${ONE:-default}",
            "9:28: routes[0].to[0].path: the variable TWO is not set: set it in the environment or in .env beside "
            "this file, or write ${TWO:-default}",
        ],
    ),
    "reference that is none": (
        ROUTES + '    to: [{sink: out, path: "${run.id}"}]\n',
        ["9:28: routes[0].to[0].path: write ${NAME}, ${NAME:-default} or ${file:NAME}; for a literal ${ write $${"],
    ),
    "reference that is not closed": (
        ROUTES + '    to: [{sink: out, path: "${TOKEN"}]\n',
        ["9:28: routes[0].to[0].path: a `${` without its `}`; for a literal ${ write $${"],
    ),
    "file that is not there": (
        ROUTES + '    to: [{sink: out, path: "${file:absent}"}]\n',
        ["9:28: routes[0].to[0].path: the file absent cannot be read: No such file or directory"],
    ),
}


@pytest.mark.parametrize(("added", "expected"), AFTER_HEAD.values(), ids=AFTER_HEAD)
def test_a_mistake_in_routes_is_told_with_its_place_and_remedy(tmp_path: Path, added: str, expected: list[str]) -> None:
    assert told(tmp_path, HEAD + added) == [f"runrelay.yaml:{line}" for line in expected]


PLATFORM = "type: tests.config.plugins.platform"
SHELF = "type: tests.config.plugins.shelf"

#: whole files
WHOLE = {
    "another version": (
        "version: 2\n" + SOURCES + SINKS + ROUTE,
        ["1:10: version: must be 1, not `2` · Example: `version: 1`"],
    ),
    "version as text": (
        'version: "1"\n' + SOURCES + SINKS + ROUTE,
        ["1:10: version: must be 1, not text: leave the quotes out · Example: `version: 1`"],
    ),
    "record in a path for items": (
        "version: 1\n" + SOURCES + "sinks: {out: {type: file, base: x}}\nroutes:\n"
        "  - {name: a, to: [{sink: out, path: '{% if record.key %}x{% endif %}'}]}\n"
        "  - {name: b, read: {records: '*'}, to: [{sink: out, path: '{{ record.key }}'}]}\n",
        ["5:38: routes[0].to[0].path: `record` has no meaning in a path for items"],
    ),
    "version missing": (
        SOURCES + SINKS + ROUTE,
        ["1:1: version: `version` is required · Example: `version: 1`"],
    ),
    "a list at the top": (
        "- version: 1\n",
        ["1:1: must be a mapping, not a list"],
    ),
    "missing key that was misspelled is told once": (
        "vesion: 1\n" + SOURCES + SINKS + ROUTE,
        ["1:1: vesion: there is no key `vesion` here: did you mean `version`? " + KNOWN_IN_FILE],
    ),
    "misspelled option of a source": (
        "version: 1\nsources:\n  main:\n    "
        + PLATFORM
        + "\n    token: x\n    webhook: {secrts: [a]}\n"
        + SINKS
        + ROUTE,
        [
            "6:15: sources.main.webhook.secrts: there is no key `secrts` here: did you mean `secrets`? "
            "known are allow, secrets"
        ],
    ),
    "option of a source missing": (
        f"version: 1\nsources: {{main: {{{PLATFORM}}}}}\n" + SINKS + ROUTE,
        ["2:11: sources.main.token: `token` is required"],
    ),
    "secret in the wrong place is not repeated": (
        f"version: 1\nsources: {{main: {{{PLATFORM}, token: x, webhook: {{secrets: swordfish}}}}}}\n" + SINKS + ROUTE,
        [
            "2:84: sources.main.webhook.secrets: must be a list, not text"
            ' · Example: `webhook: {secrets: ["${HOOK_SECRET}"]}`'
        ],
    ),
    "only the innermost member of a union speaks": (
        f"version: 1\nsources: {{main: {{{PLATFORM}, token: x, webhook: {{secrets: [], allow: [1, x]}}}}}}\n"
        + SINKS
        + ROUTE,
        [
            "2:99: sources.main.webhook.allow[1]: must be a whole number, not text"
            ' · Example: `webhook: {secrets: ["${HOOK_SECRET}"]}`'
        ],
    ),
    "a source that refuses its options": (
        f'version: 1\nsources: {{main: {{{PLATFORM}, token: "${{BAD}}"}}}}\n' + SINKS + ROUTE,
        ["2:11: sources.main: the token ${BAD} is of another platform"],
    ),
    "type of a source that is none": (
        "version: 1\nsources: {main: {type: 7}}\n" + SINKS + ROUTE,
        [f"2:24: sources.main.type: must be text, not the number 7 {NUMBER_IS_TEXT} · Example: `type: apify`"],
    ),
    "name of a source that is none": (
        f"version: 1\nsources: {{my source: {{{PLATFORM}, token: x}}}}\n" + SINKS + ROUTE,
        [f"2:11: sources.my source: `my source` {NAME}"],
    ),
    "sources that are no mapping": (
        "version: 1\nsources: [apify]\n" + SINKS + ROUTE,
        [
            "2:10: sources: must be a mapping, not a list · Example: "
            '`sources: {apify: {token: "${APIFY_TOKEN}", webhook: {secrets: ["${HOOK_SECRET}"]}}}`'
        ],
    ),
    "no sinks": (
        "version: 1\n" + SOURCES + "sinks: {}\n" + ROUTE,
        [
            "3:8: sinks: must not be empty · Example: `sinks: {out: {type: file, base: results/}}`",
            "6:17: routes[0].to[0].sink: no sink `rows` is defined: defined are none",
        ],
    ),
    "sinks that are no mapping": (
        "version: 1\n" + SOURCES + "sinks: [rows]\n" + ROUTE,
        ["3:8: sinks: must be a mapping, not a list · Example: `sinks: {out: {type: file, base: results/}}`"],
    ),
    "type of a sink with a key misspelled": (
        "version: 1\n" + SOURCES + "sinks: {rows: {tpye: file, base: x}}\n" + ROUTE,
        ["3:16: sinks.rows.tpye: there is no key `tpye` here: did you mean `type`?"],
    ),
    "address that is a list": (
        "version: 1\n" + SOURCES + "sinks: {rows: {type: http, url: [a]}}\n" + ROUTE,
        ["3:33: sinks.rows.url: must be text, not a list"],
    ),
    "address of another scheme": (
        "version: 1\n" + SOURCES + "sinks: {rows: {type: http, url: 'ftp://a.example/'}}\n" + ROUTE,
        ["3:33: sinks.rows.url: URL scheme should be 'http' or 'https'"],
    ),
    "sink that is only a word": (
        "version: 1\n" + SOURCES + "sinks: {rows: file}\n" + ROUTE,
        ["3:15: sinks.rows: must be a mapping, not text · Example: `sinks: {out: {type: file, base: results/}}`"],
    ),
    "type of a sink missing": (
        "version: 1\n" + SOURCES + "sinks: {rows: {}}\n" + ROUTE,
        [f"3:9: sinks.rows: without a `type:` the name is the type; there is no type `rows`: known are {TYPES}"],
    ),
    "type of a sink misspelled": (
        "version: 1\n" + SOURCES + "sinks: {rows: {type: fiel, base: x}}\n" + ROUTE,
        [f"3:22: sinks.rows.type: there is no type `fiel`: did you mean `file`? known are {TYPES}"],
    ),
    "options of a sink": (
        "version: 1\n" + SOURCES + f"sinks:\n  rows:\n    {SHELF}\n    timeout: 1h\n    chunk: 5\n    kind: stel\n"
        '    colour: "${COLOUR}"\n    link: here\n    bse: x\n' + ROUTE,
        [
            "6:14: sinks.rows.timeout: must be at most 600 seconds",
            f"7:12: sinks.rows.chunk: `5` is {SIZE}",
            "8:11: sinks.rows.kind: must be `steel` or `wood`, not `stel`; did you mean `steel`?",
            "9:13: sinks.rows.colour: no shelf is ${COLOUR}",
            "10:11: sinks.rows.link: must be a valid URL, relative URL without a base",
            "11:5: sinks.rows.bse: there is no key `bse` here: did you mean `base`? known are bad_items, base, batch,"
            " chunk, colour, kind, link, password, retry, timeout, type",
        ],
    ),
    "mistakes everywhere, in file order": (
        "version: 0\n"
        + SOURCES.replace("token", "tokn")
        + SINKS
        + "defalts: {}\n"
        + ROUTES
        + "    to: [{sink: rovs}]\n",
        [
            "1:10: version: must be 1, not `0` · Example: `version: 1`",
            "2:55: sources.main.tokn: there is no key `tokn` here: did you mean `token`? "
            "known are key, labels, loss, pace, settle, token, type, webhook",
            "7:1: defalts: there is no key `defalts` here: did you mean `defaults`? " + KNOWN_IN_FILE,
            "10:17: routes[0].to[0].sink: no sink `rovs` is defined: did you mean `rows`? defined are out, rows, notes",
        ],
    ),
}


@pytest.mark.parametrize(("text", "expected"), WHOLE.values(), ids=WHOLE)
def test_a_mistake_anywhere_is_told_with_its_place_and_remedy(tmp_path: Path, text: str, expected: list[str]) -> None:
    environ = {"TOKEN": "t", "PASSWORD": "p", "BAD": "refuse-me", "COLOUR": "blue"}
    assert told(tmp_path, text, environ) == [f"runrelay.yaml:{line}" for line in expected]
