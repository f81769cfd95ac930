"""From a whole file to routes, and back from the document a delivery was planned with."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.contracts.errors import ConfigInvalid
from config.document import parse
from config.environment import Environment
from config.route import BatchSize, Read, Retry, Route, Target, When
from config.routes import load, restore
from tests.config.loading import ENVIRON, HEAD, table, told
from tests.config.plugins import notes, platform, rows, shelf

FULL = (
    HEAD
    + """\
defaults:
  retry: {for: 2h, backoff: [0, 5s, 1m]}
  batch: {items: 50, bytes: 1MiB}
  history: {keep: 7d}
routes:
  - name: products
    when:
      source: main
      actor: ["acme/shop-*", acme~one]
      task: acme/nightly
      status: [SUCCEEDED, TIMED-OUT]
      origin: "*"
      not: {origin: [DEVELOPMENT, TEST]}
    read: {dataset: [default, "extra-*"], clean: true, records: OUTPUT, log_tail: 20}
    retry: {for: 1h}
    to:
      - {sink: out, send: items, path: "{{ run.id }}/{{ dataset }}", batch: {items: 5}, when: {status: SUCCEEDED}}
      - {sink: out, name: shots, send: records, depth: 3, retry: {backoff: [1s]}}
      - {sink: notes, text: "${NOTE:-none} {{ actor.name }}"}
      - {sink: out, name: logs, send: log}
  - name: rest
    final: true
    to: [{sink: rows}]
unmatched: {to: [{sink: notes}, {sink: out, path: "lost/{{ run.id }}"}, {sink: rows}]}
"""
)

ONE_ROUTE = HEAD + "routes: [{name: all, to: [{sink: out}]}]\n"


def options(**given: Any) -> shelf.Target:
    return shelf.Target(**given)


def test_a_full_file_becomes_routes(tmp_path: Path) -> None:
    found = table(tmp_path, FULL)
    retry = Retry(3600.0, (0.0, 5.0, 60.0))
    batch = BatchSize(50, 1024**2)
    when = When(
        source=("main",),
        actor=("acme/shop-*", "acme~one"),
        task=("acme/nightly",),
        status=("SUCCEEDED", "TIMED-OUT"),
        origin=("*",),
        not_=When(origin=("DEVELOPMENT", "TEST")),
    )
    assert found.routes == (
        Route(
            "products",
            when,
            False,
            Read(("default", "extra-*"), True, ("OUTPUT",), 20),
            (
                Target(
                    "out",
                    "out",
                    When(status=("SUCCEEDED",)),
                    "items",
                    BatchSize(5, 1024**2),
                    retry,
                    options(path="{{ run.id }}/{{ dataset }}"),
                ),
                Target("shots", "out", None, "records", batch, Retry(3600.0, (1.0,)), options(depth=3)),
                Target("notes", "notes", None, "run", batch, retry, notes.Target(text="none {{ actor.name }}")),
                Target("logs", "out", None, "log", batch, retry, options()),
            ),
        ),
        Route(
            "rest",
            When(),
            True,
            Read(("default",)),
            (Target("rows", "rows", None, "items", batch, Retry(7200.0, (0.0, 5.0, 60.0)), rows.Target()),),
        ),
    )
    assert (found.history_seconds, found.warnings) == (604_800.0, ())


def test_what_no_route_wants_is_sent_as_the_run_where_a_sink_takes_it(tmp_path: Path) -> None:
    unmatched = table(tmp_path, FULL).unmatched
    assert unmatched is not None
    assert (unmatched.name, unmatched.when, unmatched.read) == ("unmatched", When(), Read(("default",)))
    assert [(target.name, target.send) for target in unmatched.to] == [
        ("notes", "run"),
        ("out", "run"),
        ("rows", "items"),
    ]


def test_sources_and_sinks_are_built_from_their_modules(tmp_path: Path) -> None:
    found = table(tmp_path, FULL)
    main: Any = found.sources["main"]
    assert isinstance(main, platform.Platform)
    assert (main.name, main.config.token.get_secret_value()) == ("main", "canary-token-1")
    assert [(spec.name, spec.type, spec.module) for spec in found.sinks.values()] == [
        ("out", "tests.config.plugins.shelf", shelf),
        ("rows", "tests.config.plugins.rows", rows),
        ("notes", "tests.config.plugins.notes", notes),
    ]


def test_defaults_hold_where_nothing_is_said(tmp_path: Path) -> None:
    found = table(tmp_path, ONE_ROUTE)
    schedule = (0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
    assert found.routes == (
        Route(
            "all",
            When(),
            False,
            Read(("default",)),
            (Target("out", "out", None, "items", BatchSize(1000, 4 * 1024**2), Retry(270_000.0, schedule), options()),),
        ),
    )
    assert (found.unmatched, found.history_seconds) == (None, 30 * 86400.0)


def test_the_nearest_word_on_pace_wins(tmp_path: Path) -> None:
    text = (
        "version: 1\ndefaults: {batch: {items: 1, bytes: 2kB}, retry: {for: 1h}}\n"
        "sources: {main: {type: tests.config.plugins.platform, token: x}}\n"
        "sinks: {rows: {type: tests.config.plugins.rows, batch: {items: 2}, retry: {for: 2h}}}\n"
        "routes:\n  - name: a\n    batch: {items: 3}\n    to:\n"
        "      - {sink: rows, batch: {items: 4}}\n      - {sink: rows, name: b}\n"
        "  - {name: b, to: [{sink: rows}]}\n"
    )
    targets = [target for route in table(tmp_path, text).routes for target in route.to]
    assert [target.batch for target in targets] == [BatchSize(4, 2000), BatchSize(3, 2000), BatchSize(2, 2000)]
    assert {target.retry.for_seconds for target in targets} == {7200.0}


@pytest.mark.parametrize(
    ("read", "streams"),
    [
        (Read(), ("items",)),
        (Read(clean=True), ("items",)),
        (Read(("default",)), ("items",)),
        (Read(records=("*",)), ("records",)),
        (Read(log_tail=1), ("log",)),
        (Read(("x",), False, ("*",), 1), ("items", "records", "log")),
    ],
)
def test_a_route_reads_what_it_names_or_else_the_items(read: Read, streams: tuple[str, ...]) -> None:
    assert read.streams == streams


@pytest.mark.parametrize(
    ("read", "sink", "send"),
    [
        ("{records: A}", "out", "records"),
        ("{log_tail: 1}", "out", "log"),
        ("{clean: true}", "out", "items"),
        ("{dataset: default, records: A, log_tail: 1}", "rows", "items"),
        ("{records: A, log_tail: 1}", "notes", "run"),
    ],
)
def test_the_only_stream_in_common_is_sent(tmp_path: Path, read: str, sink: str, send: str) -> None:
    text = HEAD + f"routes: [{{name: all, read: {read}, to: [{{sink: {sink}}}]}}]\n"
    assert [target.send for target in table(tmp_path, text).routes[0].to] == [send]


def test_several_datasets_may_go_to_paths_that_tell_them_apart(tmp_path: Path) -> None:
    text = (
        HEAD
        + "routes: [{name: a, read: {dataset: '*'}, to: [{sink: out, path: '{{ dataset | slug }}'}, {sink: rows}]}]\n"
    )
    assert [target.send for target in table(tmp_path, text).routes[0].to] == ["items", "items"]


def test_a_type_that_is_left_out_is_the_name(tmp_path: Path) -> None:
    text = (
        'version: 1\nsources: {apify: {token: "${TOKEN}", webhook: {secrets: ["${HOOK}", "${OLD:-}"]}}}\n'
        "sinks: {file: {base: x}}\nroutes: [{name: all, to: [{sink: file, path: x}]}]\n"
    )
    found = table(tmp_path, text)
    assert [found.sources["apify"].name, found.sinks["file"].type] == ["apify", "file"]


def test_the_smallest_useful_file_loads(tmp_path: Path) -> None:
    text = """\
version: 1
sources: {apify: {token: "${TOKEN}", webhook: {secrets: ["${HOOK}"]}}}
sinks: {out: {type: file, base: results/}}
routes: [{name: all, when: {status: SUCCEEDED}, to: [{sink: out, path: "{{ run.id }}.jsonl"}]}]
"""
    found = table(tmp_path, text)
    assert [(route.name, route.when, [target.send for target in route.to]) for route in found.routes] == [
        ("all", When(status=("SUCCEEDED",)), ["items"])
    ]
    assert restore(found.document(found.routes[0]), {}).route == found.routes[0]


# what is allowed but hardly meant


def warnings(folder: Path, routes: str) -> list[str]:
    return [str(warning).replace(f"{folder}/", "") for warning in table(folder, HEAD + routes).warnings]


def test_a_route_below_a_final_one_with_the_same_conditions_is_warned_of(tmp_path: Path) -> None:
    to = "to: [{sink: out}, {sink: rows}, {sink: notes}]"
    never = "no run ever gets here: `{}` above is final and takes every run this route wants"
    first, second = "  - {name: a, final: true, when: {status: X}, ", "  - {name: b, when: {status: [X]}, "
    same = f"routes:\n{first}{to}}}\n{second}{to}}}\n"
    assert warnings(tmp_path, same) == ["runrelay.yaml:9:5: routes[1]: " + never.format("a")]
    every = f"routes:\n  - {{name: a, final: true, {to}}}\n  - {{name: b, when: {{status: Y}}, {to}}}\n"
    assert warnings(tmp_path, every) == ["runrelay.yaml:9:5: routes[1]: " + never.format("a")]
    both = f"routes:\n  - {{name: a, {to}}}\n  - {{name: b, {to}}}\n"
    assert warnings(tmp_path, both) == []
    other = f"routes:\n  - {{name: a, final: true, when: {{status: X}}, {to}}}\n  - {{name: b, {to}}}\n"
    assert warnings(tmp_path, other) == []


@pytest.mark.parametrize(
    ("above", "below", "never"),
    [
        ("where: run.a", "", False),
        ("where: run.a", "where: run.b", False),
        ("where: run.a", "where: run.a", True),
        ("", "where: run.a", True),
        ("where: run.a, when: {status: X}", "where: run.a, when: {status: X}", True),
        ("where: run.a", "where: run.a, when: {status: X}", True),
        ("when: {status: X}", "where: run.a, when: {status: X}", True),
        ("where: run.a, when: {status: X}", "when: {status: X}", False),
    ],
)
def test_a_final_route_takes_no_more_than_its_where_lets_through(
    tmp_path: Path, above: str, below: str, never: bool
) -> None:
    to = "to: [{sink: out}, {sink: rows}, {sink: notes}]"
    text = f"routes:\n  - {{name: a, final: true, {to}, {above}}}\n  - {{name: b, {to}, {below}}}\n"
    text = text.replace(", }", "}")
    said = "no run ever gets here: `a` above is final and takes every run this route wants"
    assert warnings(tmp_path, text) == [f"runrelay.yaml:9:5: routes[1]: {said}"] * never


def test_a_sink_that_nobody_uses_is_warned_of(tmp_path: Path) -> None:
    text = "routes: [{name: a, to: [{sink: out}]}]\nunmatched: {to: [{sink: notes}]}\n"
    assert warnings(tmp_path, text) == ["runrelay.yaml:5:9: sinks.rows: no route uses this sink"]


LITERAL = (
    "this secret is written out, so it would be stored in Redis with each route: put it in the environment as ${NAME}"
)
SINKS_WITH_SECRETS = """\
version: 1
sources: {main: {type: tests.config.plugins.platform, token: written-out}}
sinks:
  out: {type: tests.config.plugins.shelf, base: x, password: %s}
  web: {type: http, url: "%s", headers: {Authorization: "%s"}}
routes: [{name: a, to: [{sink: out}, {sink: web, send: items}]}]
"""
NO_SECRET = ('"${PASSWORD}"', "https://example.com/", "Bearer ${TOKEN}")


@pytest.mark.parametrize(
    ("written", "place"),
    [
        (NO_SECRET, None),
        (("canary", *NO_SECRET[1:]), "4:62: sinks.out.password"),
        (('"$${PASSWORD}"', *NO_SECRET[1:]), "4:62: sinks.out.password"),
        ((*NO_SECRET[:2], "Bearer canary"), "5:75: sinks.web.headers.Authorization"),
        ((NO_SECRET[0], "https://u:canary@example.com/", NO_SECRET[2]), "5:26: sinks.web.url"),
        ((NO_SECRET[0], "https://${TOKEN}:canary@example.com/", NO_SECRET[2]), "5:26: sinks.web.url"),
        ((NO_SECRET[0], "https://u:$${canary}@example.com/", NO_SECRET[2]), "5:26: sinks.web.url"),
        ((NO_SECRET[0], "https://u:${PASSWORD}@example.com/", NO_SECRET[2]), None),
        ((NO_SECRET[0], "https://u@example.com:443/a:b@c", NO_SECRET[2]), None),
    ],
)
def test_a_secret_that_is_written_into_a_sink_is_warned_of(
    tmp_path: Path, written: tuple[str, str, str], place: str | None
) -> None:
    found = table(tmp_path, SINKS_WITH_SECRETS % written).warnings
    told = [str(warning).replace(f"{tmp_path}/", "") for warning in found]
    assert told == ([f"runrelay.yaml:{place}: {LITERAL}"] if place else [])


def test_a_secret_that_is_written_into_a_target_is_warned_of(tmp_path: Path) -> None:
    text = "routes: [{name: a, to: [{sink: out, path: 'db://u:canary@h'}, {sink: rows}, {sink: notes}]}]\n"
    assert warnings(tmp_path, text) == [f"runrelay.yaml:7:43: routes[0].to[0].path: {LITERAL}"]


# secrets


def test_values_of_secret_options_are_known_whole_and_in_parts(tmp_path: Path) -> None:
    text = """\
version: 1
sources:
  main:
    type: tests.config.plugins.platform
    token: "Bearer ${TOKEN}"
    key: "${KEY}"
    webhook: {secrets: ["${HOOK}", "${SHORT}", literal-one]}
    labels: {a: "${LABEL}"}
sinks: {out: {type: tests.config.plugins.shelf, base: "${PLAIN}", password: "${PASSWORD}"}}
routes: [{name: all, to: [{sink: out, path: "${PLAIN}"}]}]
"""
    environ = {**ENVIRON, "KEY": "canary-key", "SHORT": "12345", "LABEL": "canary-label", "PLAIN": "no-secret"}
    found = table(tmp_path, text, environ)
    assert found.secrets == {
        "Bearer canary-token-1",
        "canary-token-1",
        "canary-key",
        "canary-hook-22",
        "literal-one",
        "canary-label",
        "canary-pass-333",
    }


def test_no_secret_shows_in_a_repr_or_a_document(tmp_path: Path) -> None:
    found = table(tmp_path, FULL)
    assert found.unmatched is not None
    documents = [found.document(route) for route in (*found.routes, found.unmatched)]
    shown = f"{found!r} {found.sources} {found.sinks} {documents} {found.restore(documents[0])!r}"
    assert [canary for canary in ENVIRON.values() if canary in shown] == []


def test_no_secret_shows_in_a_problem(tmp_path: Path) -> None:
    text = HEAD.replace("token:", "settle:").replace("base: x", 'base: x, colour: "<${PASSWORD}>", kind: "${PASSWORD}"')
    text += 'routes: [{name: "${HOOK} x", to: [{sink: "${TOKEN}"}, {sink: out, send: "${HOOK}"}]}]\n'
    with pytest.raises(ConfigInvalid) as caught:
        table(tmp_path, text)
    shown = f"{caught.value} {caught.value!r} {caught.value.problems}"
    assert [canary for canary in ENVIRON.values() if canary in shown] == []
    assert [problem.message for problem in caught.value.problems][-2] == (
        "no sink `${TOKEN}` is defined: defined are out, rows, notes"
    )


def test_a_short_value_is_put_back_only_where_it_stands_alone(tmp_path: Path) -> None:
    text = HEAD + 'routes: [{name: all, to: [{sink: "${S}"}]}]\n'
    with pytest.raises(ConfigInvalid) as caught:
        table(tmp_path, text, {**ENVIRON, "S": "s"})
    assert caught.value.problems[0].message == "no sink `${S}` is defined: defined are out, rows, notes"


# the document of a route


def test_a_document_is_canonical_and_holds_only_what_its_route_needs(tmp_path: Path) -> None:
    found = table(tmp_path, ONE_ROUTE)
    assert found.document(found.routes[0]) == (
        b'{"defaults":{},"route":{"name":"all","to":[{"sink":"out"}]},'
        b'"sinks":{"out":{"base":"x","password":"${PASSWORD}","type":"tests.config.plugins.shelf"}},"version":1}'
    )


def test_a_document_does_not_change_with_order_layout_or_secrets(tmp_path: Path) -> None:
    first = table(tmp_path, HEAD + "routes: [{name: a, final: true, to: [{sink: out, path: ä}]}]\n")
    routes = "# another day\nroutes:\n  - to:\n    - path: 'ä'\n      sink: out\n    final: true\n    name: 'a'\n"
    second = table(tmp_path, routes + HEAD, {**ENVIRON, "PASSWORD": "rotated-since"})
    assert first.document(first.routes[0]) == second.document(second.routes[0])
    assert "ä".encode() in first.document(first.routes[0])


def test_every_route_is_restored_as_it_was_planned(tmp_path: Path) -> None:
    found = table(tmp_path, FULL)
    assert found.unmatched is not None
    for route in (*found.routes, found.unmatched):
        restored = restore(found.document(route), ENVIRON)
        assert restored.route == route
        assert restored.sinks == {name: found.sinks[name] for name in sorted({target.sink for target in route.to})}
        assert found.restore(found.document(route)) == restored


def test_a_restored_route_has_the_secrets_of_today(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = table(tmp_path, ONE_ROUTE)
    monkeypatch.setenv("PASSWORD", "rotated-since")
    config: Any = restore(found.document(found.routes[0])).sinks["out"].config
    assert config.password.get_secret_value() == "rotated-since"


def test_what_a_route_needed_and_is_gone_is_told(tmp_path: Path) -> None:
    found = table(tmp_path, ONE_ROUTE)
    document = found.document(found.routes[0])
    unset = (
        "sinks.out.password: the variable PASSWORD is not set: set it in the environment or in .env beside this file, "
        "or write ${PASSWORD:-default}"
    )
    with pytest.raises(ConfigInvalid) as caught:
        restore(document, {})
    assert str(caught.value) == unset
    with pytest.raises(ConfigInvalid) as caught:
        restore(document.replace(b"plugins.shelf", b"plugins.gone"), Environment(ENVIRON))
    assert (
        str(caught.value)
        == "sinks.out.type: there is no module `tests.config.plugins.gone`: install it, or mend the name"
    )


PRINTED = st.characters(exclude_categories=["C", "Z"])
PATTERNS = st.text(PRINTED, min_size=1, max_size=8).filter(lambda text: "${" not in text)
FACTS = ("actor", "task", "status", "origin")
WHEN = st.fixed_dictionaries({}, optional={key: st.lists(PATTERNS, min_size=1, max_size=2) for key in FACTS})
READ = st.fixed_dictionaries({}, optional={"log_tail": st.integers(1, 10_000), "records": PATTERNS})
ROUTES = st.fixed_dictionaries(
    {
        "name": st.from_regex(r"[a-zA-Z][a-zA-Z0-9_-]{0,10}", fullmatch=True),
        "to": st.just([{"sink": "out", "send": "run"}]),
    },
    optional={"when": WHEN, "final": st.booleans(), "read": READ},
)


@given(route=ROUTES)
def test_any_route_survives_being_kept_as_a_document(
    route: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = HEAD + f"routes: [{json.dumps(route, ensure_ascii=False)}]\n"
    found = table(tmp_path_factory.getbasetemp(), text)
    kept = found.document(found.routes[0])
    assert json.loads(kept)["route"] == route
    assert restore(kept, ENVIRON).route == found.routes[0]


def paths(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    steps: list[Any] = (
        list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    )
    return [path, *(deeper for step in steps for deeper in paths(value[step], (*path, step)))]


def replaced(value: Any, path: tuple[str | int, ...], other: Any) -> Any:
    if not path:
        return other
    if isinstance(value, dict):
        return {key: replaced(below, path[1:], other) if key == path[0] else below for key, below in value.items()}
    return [replaced(below, path[1:], other) if index == path[0] else below for index, below in enumerate(value)]


WHOLE = parse(FULL, "f").value
JUNK = st.recursive(
    st.sampled_from(["", "x", "*", "${A}", "${", "10m", 0, 1, -1, 2.5, True, False]),
    lambda below: (
        st.lists(below, max_size=2) | st.dictionaries(st.sampled_from(["name", "sink", "x", "not"]), below, max_size=2)
    ),
    max_leaves=4,
)


@given(path=st.sampled_from(paths(WHOLE)), junk=JUNK)
def test_whatever_stands_anywhere_the_file_loads_or_says_where_it_is_wrong(
    path: tuple[str | int, ...], junk: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = json.dumps(replaced(WHOLE, path, junk))
    for line in told(tmp_path_factory.getbasetemp(), text):
        assert re.fullmatch(r"runrelay\.yaml:1:[1-9]\d*: .+", line)


def test_what_a_sink_says_for_its_tables_counts_unless_a_target_says_otherwise(tmp_path: Path) -> None:
    file = tmp_path / "runrelay.yaml"
    file.write_text(
        "version: 1\n"
        "sources: {apify: {token: tok-0123456789, webhook: {secrets: [secret-0123456789]}}}\n"
        "sinks: {db: {type: sqlite, path: a.db, columns: freeze, stamp: false}}\n"
        "routes:\n"
        "  - name: all\n"
        "    to: [{sink: db, table: a}, {sink: db, name: b, table: b, columns: json}]\n"
    )
    table = load(file, {})
    tables: list[Any] = [target.options for target in table.routes[0].to]
    assert [(one.columns, one.stamp) for one in tables] == [("freeze", False), ("json", False)]
    assert table.restore(table.document(table.routes[0])).route == table.routes[0]
