"""What runrelay.yaml may say of Actor sinks, and what a restored route still knows."""

from pathlib import Path

import pytest

from config.contracts.errors import ConfigInvalid
from config.routes import RouteTable, load
from workers.sinks import actor

HEAD = """\
version: 1
sources: {apify: {token: tok-0123456789, webhook: {secrets: [secret-0123456789]}}}
sinks:
  next: {type: actor, source: SOURCE}
routes:
  - name: all
"""


def loaded(folder: Path, route: str, source: str = "apify") -> RouteTable:
    file = folder / "runrelay.yaml"
    file.write_text(HEAD.replace("SOURCE", source) + f"    {route}\n")
    return load(file, {})


def told(folder: Path, route: str, source: str = "apify") -> list[str]:
    with pytest.raises(ConfigInvalid) as caught:
        loaded(folder, route, source)
    return [f"{problem.path}: {problem.message}" for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("options", "send"),
    [
        ("actor: a/b", "items"),
        ("actor: a/b, per: batch", "items"),
        ("actor: a/b, per: run", "run"),
        ("actor: a/b, send: run", "run"),
        ("task: a/b, send: run, per: run", "run"),
    ],
)
def test_what_is_sent_follows_from_what_a_start_is_per(tmp_path: Path, options: str, send: str) -> None:
    table = loaded(tmp_path, f"to: [{{sink: next, {options}}}]")
    assert table.routes[0].to[0].send == send


def test_an_input_survives_the_document_a_delivery_is_planned_with(tmp_path: Path) -> None:
    route = 'to: [{sink: next, actor: a/b, batch: {items: 500}, input: {startUrls: "{{ items }}", depth: 2}}]'
    table = loaded(tmp_path, route)
    restored = table.restore(table.document(table.routes[0])).route.to[0]
    assert restored == table.routes[0].to[0]
    assert isinstance(restored.options, actor.Target)
    assert restored.options.input == actor.Input({"startUrls": "{{ items }}", "depth": 2})


@pytest.mark.parametrize(
    ("route", "problem"),
    [
        (
            "to: [{sink: next, actor: a/b, per: run, send: items}]",
            "routes[0].to[0].send: `per: run` gets the run and no items: leave out `send`",
        ),
        (
            "to: [{sink: next, actor: a/b, per: batch, send: run}]",
            "routes[0].to[0].per: a run has no batch: leave out `per`",
        ),
        (
            'to: [{sink: next, actor: a/b, send: run, input: {a: "{{ items }}"}}]',
            "routes[0].to[0].input: `items` has no meaning with `send: run`",
        ),
        (
            'to: [{sink: next, actor: a/b, send: run, input: ["{{ batch.index }}"]}]',
            "routes[0].to[0].input: `batch` has no meaning with `send: run`",
        ),
        (
            'to: [{sink: next, actor: a/b, input: {a: ["{{ itms }}"]}}]',
            "routes[0].to[0].input: unknown name `itms`: did you mean `items`? "
            '· Example: `input: {startUrls: "{{ items }}"}`',
        ),
    ],
)
def test_a_target_that_makes_no_sense_is_told_with_its_place(tmp_path: Path, route: str, problem: str) -> None:
    assert told(tmp_path, route) == [problem]


def test_the_source_of_a_sink_must_exist(tmp_path: Path) -> None:
    assert told(tmp_path, "to: [{sink: next, actor: a/b}]", "apfy") == [
        "sinks.next.source: no source `apfy` is defined: did you mean `apify`? defined are apify"
    ]
