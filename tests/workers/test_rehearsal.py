"""Tests that stand in a file, as they run: offline, by the code that delivers."""

import socket
from pathlib import Path

import pytest

from config import logs
from config.contracts.errors import ConfigInvalid
from config.routes import load
from config.settings import Settings
from workers.rehearsal import MOST_TOLD, prove, rehearse
from workers.worker import run_worker

HEAD = """\
version: 1
sources:
  apify: {token: apify-token-0123456789, webhook: {secrets: [hook-secret-0123456789]}}
  second: {type: apify, token: other-token-0123456789, webhook: {secrets: [hook-secret-0123456789]}}
sinks:
  rows: {type: sqlite, path: rows.db}
  disk: {type: file, base: results/}
  oncall: {type: notify, url: "json://127.0.0.1:9/"}
routes:
"""
#: The example of the documentation, with sinks that need no server.
PRODUCTS = """\
  - name: products
    when:
      actor: ["acme/shop-*", apify/e-commerce-scraping-tool]
      status: [SUCCEEDED, TIMED-OUT]
      not: {origin: [DEVELOPMENT, TEST]}
    read:
      dataset: default
      where: item.price and item.currency in ['EUR', 'USD']
      fields:
        url: item.url
        title: item.title | trim
        price: item.price | number
        seller: item.seller.name
    expect:
      items: {min: 100, drop_from_usual: 50%}
      filled: {url: 100%, price: 90%}
      else: [{sink: oncall, text: "{{ actor.name }}: {{ items_read }} items, held. {{ run.console_url }}"}]
    to:
      - {sink: rows, name: good, when: {status: SUCCEEDED}, table: products, mode: upsert, key: [url]}
      - {sink: rows, name: partial, when: {status: TIMED-OUT}, table: products_partial, mode: append}
      - {sink: disk, path: "products/dt={{ run.finishedAt | date }}/{{ run.id }}.jsonl.gz"}
"""
EXAMPLE = """\
tests:                                       # `runrelay test` (and `check`) run these offline: no Redis, no network
  - name: cheap junk is filtered out
    given: {run: {status: SUCCEEDED, actor: acme/shop-de}, items: [{url: u1, price: "9.90", currency: EUR}, {url: u2}]}
    expect: {route: products, sent: {good: [{url: u1, price: 9.9}]}}
"""
SHOP = "run: {actor: acme/shop-de}, items: [{url: u1, price: 1, currency: EUR}]"


@pytest.fixture(autouse=True)
def _nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise AssertionError("a test of the file is offline")

    monkeypatch.setattr(socket.socket, "connect", refused)


def objections(folder: Path, routes: str, given: str, expect: str) -> list[str]:
    """What a file's only test objects to: the key of the test, and the words."""
    (folder / "runrelay.yaml").write_text(
        f"{HEAD}{routes}tests:\n  - name: one\n    given: {{{given}}}\n    expect: {{{expect}}}\n"
    )
    (outcome,) = rehearse(load(folder / "runrelay.yaml", {}))
    return [f"{one.path.removeprefix('tests[0].expect.')}: {one.message}" for one in outcome.problems]


def test_the_example_of_the_documentation_passes_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "runrelay.yaml").write_text(HEAD + PRODUCTS + EXAMPLE)
    table = load(tmp_path / "runrelay.yaml", {})
    assert [(one.case.name, one.problems) for one in rehearse(table)] == [("cheap junk is filtered out", ())]
    prove(table)
    assert list(tmp_path.iterdir()) == [tmp_path / "runrelay.yaml"]


@pytest.mark.parametrize(
    ("given", "expect"),
    [
        (SHOP, "routes: [products]"),
        (SHOP, "route: products, held: at least 100 were expected"),
        (SHOP, "route: products, sent: {partial: [], oncall: [run.json]}"),
        (SHOP, "route: products, filtered: 0, paths: {disk: products/dt=2026-01-31/test.jsonl.gz}"),
        ("run: {actor: acme/shop-de, status: TIMED-OUT}", "route: products, sent: {partial: [], good: []}"),
        (
            f"{SHOP}, event: {{}}",
            'route: products, texts: {oncall: "acme/shop-de: 1 items, held. https://console.apify.com/view/runs/test"}',
        ),
        ("run: {actor: acme/shop-de, origin: TEST}", "unmatched: true"),
        ("run: {actor: acme~shop-de}", "unmatched: true"),
    ],
)
def test_what_comes_as_expected_is_not_objected_to(tmp_path: Path, given: str, expect: str) -> None:
    assert objections(tmp_path, PRODUCTS, given, expect) == []


@pytest.mark.parametrize(
    ("given", "expect", "said"),
    [
        (
            "run: {actor: acme/shop-de, origin: TEST}",
            "route: products",
            ["route: `products` does not take the run: `not: {origin: [DEVELOPMENT, TEST]}`, and its origin is TEST; "
             "the run goes nowhere"],
        ),
        (SHOP, "unmatched: true", ["unmatched: no route should take the run, and it goes to `products`"]),
        (SHOP, "route: products, held: false", [
            "held: the run should not be held, and is: 1 item, at least 100 were expected"
        ]),
        (SHOP, "route: products, held: too dear", [
            "held: the run should be held for 'too dear', and is held for: 1 item, at least 100 were expected"
        ]),
        (SHOP, "route: products, filtered: 1", ["filtered: `read` should leave out 1 item, and leaves out 0"]),
        (SHOP, "route: products, sent: {partial: [{}]}", [
            "sent.partial: `partial` is sent nothing: `status: TIMED-OUT`, and its status is SUCCEEDED"
        ]),
        (SHOP, 'route: products, sent: {good: [{url: u2, price: "1", n: 3}, {}]}', [
            'sent.good[0].url: `good`, item 0: `url` should be "u2", and is "u1"',
            'sent.good[0].price: `good`, item 0: `price` should be "1", and is 1',
            "sent.good[0].n: `good`, item 0: `n` should be 3, and is missing",
            "sent.good[1]: `good`, item 1 is not sent: {}",
        ]),
        (SHOP, "route: products, sent: {good: [{url: u1}]}", [
            "sent.good[0]: `good`, item 0: `price` was not expected, and is 1"
        ]),
        (SHOP, "route: products, sent: {good: []}", [
            'sent.good: `good`, item 0 was not expected: {"url":"u1","title":null,"price":1,"seller":null}'
        ]),
        (SHOP, "route: products, paths: {disk: products/test.jsonl}", [
            "paths.disk: `disk`, the path should be `products/test.jsonl`, and is "
            "`products/dt=2026-01-31/test.jsonl.gz`"
        ]),
        (SHOP, "route: products, texts: {oncall: held}", [
            'texts.oncall: `oncall`, the text: should be "held", and is "acme/shop-de: 1 items, held. '
            'https://console.apify.com/view/runs/test"'
        ]),
    ],
)  # fmt: skip
def test_what_does_not_is_said_with_what_was_seen(tmp_path: Path, given: str, expect: str, said: list[str]) -> None:
    assert objections(tmp_path, PRODUCTS, given, expect) == said


SEVERAL = """\
  - name: first
    when: {source: apify, task: acme/*, build: [latest, beta], cost: {min_usd: 1}}
    where: run.stats.runTimeSecs > 10 and event.eventType == 'x'
    read: {dataset: [default, more], clean: true}
    to: [{sink: disk, path: "{{ dataset }}/{{ run.id }}.jsonl", where: item.n, set: {of: dataset}}]
  - name: files
    final: true
    read: {records: ["*"], requests: true, log_tail: 5}
    to:
      - {sink: disk, send: records, path: "{{ record.key }}", where: record.size > 1}
      - {sink: rows, name: listed, send: records, table: files, fields: {key: record.key, type: record.contentType}}
      - {sink: rows, name: asked, send: requests, table: asked, mode: append}
      - {sink: rows, name: runs, send: run, table: runs, mode: append, fields: {id: run.id, cost: run.usageTotalUsd}}
      - {sink: oncall, send: log, text: "{{ log_tail }}"}
  - {name: never, to: [{sink: disk}]}
unmatched: {to: [{sink: oncall, text: "{{ run.id }}"}]}
"""
FIRST = "run: {task: acme/nightly, tags: [beta], usageTotalUsd: 1, stats: {runTimeSecs: 11}}, event: {eventType: x}"
FILES = "records: {INPUT: {size: 9}, A: {contentType: image/png, size: 2}, B: {size: 1}}, requests: [{url: u}]"


@pytest.mark.parametrize(
    ("given", "expect"),
    [
        (FIRST, "routes: [first, files]"),
        (
            f"{FIRST}, items: [{{n: 1}}, {{}}, {{n: 0}}], datasets: {{more: [{{n: 2, '#h': 3}}]}}",
            "route: first, filtered: 1, sent: {disk: [{n: 1, of: default}, {n: 2, of: more}]}, "
            "paths: {disk: [default/test.jsonl, more/test.jsonl]}",
        ),
        (FILES, "route: files, sent: {disk: [A], listed: [{key: A, type: image/png}, "
                "{key: B, type: application/octet-stream}], asked: [{url: u}]}, paths: {disk: A}"),
        (
            'run: {id: r1}, log_tail: "a\\nb"',
            'route: files, sent: {runs: [{id: r1}], oncall: [log.txt]}, texts: {oncall: "a\\nb"}',
        ),
    ],
)  # fmt: skip
def test_every_stream_of_a_run_is_rehearsed(tmp_path: Path, given: str, expect: str) -> None:
    assert (
        objections(tmp_path, SEVERAL, given.replace("'a\\nb'", '"a\\nb"'), expect.replace("'a\\nb'", '"a\\nb"')) == []
    )


@pytest.mark.parametrize(
    ("given", "expect", "said"),
    [
        ("run: {status: FAILED}", "route: never", ["route: `never` is not asked: a route above it is final; the run "
                                                   "goes to `files`"]),
        ("", "routes: [first]", ["routes: the run should go to `first`, and goes to `files`"]),
        (f"{FIRST}, source: second", "route: first",
         ["route: `first` does not take the run: `source: apify`, and its source is second; the run goes to `files`"]),
        (FIRST.replace("11", "9"), "route: first",
         ["route: `first` does not take the run: `where: run.stats.runTimeSecs > 10 and event.eventType == 'x'`, and "
          'that is false: run.stats.runTimeSecs is 9, event.eventType is "x"; the run goes to `files`']),
        (FIRST.replace("11", "long"), "route: first",
         ["route: `first` does not take the run: `where: run.stats.runTimeSecs > 10 and event.eventType == 'x'`, and "
          "types do not fit (text > number: `number` reads a number out of text): "
          'run.stats.runTimeSecs is "long", event.eventType is "x"; the run goes to `files`']),
        (FIRST, "route: first",
         ["route: what `first` reads would end: data_expired: the run has no dataset `more`: the test gives none"]),
        ("log_tail: a", "route: files, texts: {oncall: b}",
         ['texts.oncall: `oncall`, the text: should be "b", and is "a"']),
        (FILES, "route: files, sent: {disk: [A, B]}", ['sent.disk[1]: `disk`, item 1 is not sent: "B"']),
    ],
)  # fmt: skip
def test_and_so_is_what_goes_wrong_there(tmp_path: Path, given: str, expect: str, said: list[str]) -> None:
    assert objections(tmp_path, SEVERAL, given, expect) == said


def test_what_no_route_wants_is_what_the_block_for_it_is_sent(tmp_path: Path) -> None:
    routes = "  - {name: failed, when: {status: FAILED}, to: [{sink: disk}]}\n" + SEVERAL[SEVERAL.index("unmatched") :]
    expect = "unmatched: true, sent: {oncall: [run.json]}, texts: {oncall: test}"
    assert objections(tmp_path, routes, "", expect) == []


def test_a_path_that_escapes_is_said(tmp_path: Path) -> None:
    routes = '  - {name: all, to: [{sink: disk, path: "{{ run.place }}/x"}]}\n'
    assert objections(tmp_path, routes, "run: {place: ../..}", "route: all, paths: {disk: x}") == [
        "paths.disk: the delivery to `disk` would end: path_escape: `..` in the path '../../x'"
    ]


def test_a_run_that_is_as_expected_is_not_held(tmp_path: Path) -> None:
    routes = """\
  - name: all
    expect: {items: {max: 1}, cost: {max_usd: 1}, else: [{sink: oncall, text: "{{ held }}"}]}
    to: [{sink: disk, path: "{{ items_read }}"}]
"""
    for expect, said in (
        ("route: all, held: false, paths: {disk: '1'}, sent: {oncall: []}", []),
        ("route: all, held: true", ["held: the run should be held, and is as its route expects"]),
        ("route: all, held: cost", ["held: the run should be held for 'cost', and is as its route expects"]),
        ("route: all, texts: {oncall: it is held}", [
            "texts.oncall: `oncall` is sent nothing: it is told of runs that are held, and this one is not"
        ]),
    ):  # fmt: skip
        assert objections(tmp_path, routes, "items: [{}]", expect) == said
    dear = "run: {usageTotalUsd: 2}, items: [{}, {}]"
    why = "2 items, at most 1 were expected; it cost $2.00, at most $1.00 were expected"
    assert objections(tmp_path, routes, dear, f'route: all, held: "{why}", texts: {{oncall: "{why}"}}') == []


def test_whoever_is_told_of_changes_is_told_that_everything_is_new(tmp_path: Path) -> None:
    def changes(wanted: str) -> str:
        return f"  - {{name: all, to: [{{sink: disk, only: {{key: [n], change: [{wanted}]}}}}]}}\n"

    new = "route: all, sent: {disk: [{n: 1, _change: new}]}"
    assert objections(tmp_path, changes("new, changed"), "items: [{n: 1}, {n: 1, again: true}, {}]", new) == []
    assert objections(tmp_path, changes("removed"), "items: [{n: 1}]", "route: all, sent: {disk: []}") == []


def test_truth_is_no_number_and_null_is_as_good_as_missing(tmp_path: Path) -> None:
    routes = "  - {name: all, read: {set: {none: item.none}}, to: [{sink: disk}]}\n"
    same = "items: [{a: {b: [{c: 1}]}}]", "route: all, sent: {disk: [{a: {b: [{c: 1.0}]}}]}"
    assert objections(tmp_path, routes, *same) == []
    other = "items: [{a: {b: [{c: 1}]}}]", "route: all, sent: {disk: [{a: {b: [{c: true}]}}]}"
    assert objections(tmp_path, routes, *other) == [
        'sent.disk[0].a.b: `disk`, item 0: `a.b` should be [{"c":true}], and is [{"c":1}]'
    ]


def test_code_of_somebodys_own_may_break(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "breaking_bad.py").write_text("def clean(item, run): return 1 / item['n']\n")
    monkeypatch.syspath_prepend(tmp_path)
    routes = "  - {name: all, to: [{sink: disk, transform: 'breaking_bad:clean'}]}\n"
    assert objections(tmp_path, routes, "items: [{n: 2}]", "route: all, sent: {disk: [0.5]}") == []
    assert objections(tmp_path, routes, "items: [{n: 0}]", "route: all, sent: {disk: []}") == [
        "sent.disk: the delivery to `disk` would end: template_failed: breaking_bad:clean: ZeroDivisionError"
    ]


def test_not_everything_is_said_of_one_test_and_no_secret(tmp_path: Path) -> None:
    logs.add_secret("a-secret-of-the-file")
    routes = "  - {name: all, to: [{sink: disk}]}\n"
    given = f"items: [{', '.join(['{n: a-secret-of-the-file}'] * 20)}]"
    found = objections(tmp_path, routes, given, "route: all, sent: {disk: []}")
    assert (len(found), found[0]) == (MOST_TOLD, 'sent.disk: `disk`, item 0 was not expected: {"n":"***"}')


def test_a_file_whose_tests_fail_is_not_to_be_used(tmp_path: Path) -> None:
    file = tmp_path / "runrelay.yaml"
    file.write_text(
        HEAD + PRODUCTS + EXAMPLE.replace("price: 9.9}", "price: 9}").replace("u1, price: 9", "u3, price: 9")
    )
    with pytest.raises(ConfigInvalid) as raised:
        prove(load(file, {}))
    assert [str(problem).replace(f"{tmp_path}/", "") for problem in raised.value.problems] == [
        "runrelay.yaml:34:51: tests[0].expect.sent.good[0].url: test 'cheap junk is filtered out': `good`, item 0: "
        '`url` should be "u3", and is "u1"',
        "runrelay.yaml:34:62: tests[0].expect.sent.good[0].price: test 'cheap junk is filtered out': `good`, item 0: "
        "`price` should be 9, and is 9.9",
    ]


async def test_a_worker_asks_nobody_before_the_tests_have_passed(tmp_path: Path) -> None:
    file = tmp_path / "runrelay.yaml"
    file.write_text(HEAD + PRODUCTS + EXAMPLE.replace("price: 9.9}", "price: 9}"))
    settings = Settings(redis_url="redis://127.0.0.1:1", spool_dir=tmp_path / "spool")
    with pytest.raises(ConfigInvalid):
        await run_worker(settings, load(file, {}), host="127.0.0.1", port=0)
    assert list(tmp_path.iterdir()) == [file]
