"""Routes files of several files."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from config.routes import RouteTable, restore
from tests.config.loading import ENVIRON, HEAD, table, told

ROUTE = "routes: [{name: one, to: [{sink: out}]}]\n"


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., None]:
    def put(**texts: str) -> None:
        for name, text in texts.items():
            file = tmp_path / f"{name.replace('__', '/')}.yaml"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    return put


Put = Callable[..., None]


def names(found: RouteTable) -> list[str]:
    return [route.name for route in found.routes]


def route(name: str, sink: str = "out") -> str:
    return f"routes: [{{name: {name}, to: [{{sink: {sink}}}]}}]\n"


def test_what_is_included_comes_after_the_file_itself_in_the_order_it_is_named(tmp_path: Path, put: Put) -> None:
    put(z=route("zed"), routes__b=route("bee"), routes__a=route("ay"), routes__deep__c=route("sea"))
    found = table(tmp_path, HEAD + ROUTE + "include: [z.yaml, routes/*.yaml, routes/*/*.yaml]\n")
    assert names(found) == ["one", "zed", "ay", "bee", "sea"]


def test_a_file_may_have_nothing_but_what_it_includes(tmp_path: Path, put: Put) -> None:
    put(parts="sinks: {out: {type: tests.config.plugins.notes}}\n" + route("only"))
    sources = 'version: 1\nsources: {main: {type: tests.config.plugins.platform, token: "${TOKEN}"}}\n'
    found = table(tmp_path, sources + "include: parts.yaml\n")
    assert (names(found), list(found.sinks)) == (["only"], ["out"])


def test_sinks_of_any_file_serve_routes_of_any_other(tmp_path: Path, put: Put) -> None:
    put(a="sinks: {more: {type: tests.config.plugins.notes}}\n" + route("there"), b=route("elsewhere", "more"))
    found = table(tmp_path, HEAD + route("here", "more") + "include: [a.yaml, b.yaml]\n")
    assert [[target.sink for target in each.to] for each in found.routes] == [["more"], ["out"], ["more"]]


def test_a_file_is_read_once_and_none_includes_itself(tmp_path: Path, put: Put) -> None:
    put(a=route("ay"))
    assert names(table(tmp_path, HEAD + ROUTE + "include: ['*.yaml', a.yaml]\n")) == ["one", "ay"]


def test_hidden_files_are_left_alone(tmp_path: Path, put: Put) -> None:
    """As ConfigMaps are mounted: what is visible are links to what is hidden."""
    put(routes__hidden="nonsense: true\n")
    hidden = tmp_path / "routes/..2026"
    hidden.mkdir()
    (hidden / "a.yaml").write_text(route("ay"))
    (tmp_path / "routes/hidden.yaml").rename(tmp_path / "routes/.hidden.yaml")
    (tmp_path / "routes/..data").symlink_to("..2026")
    (tmp_path / "routes/a.yaml").symlink_to("..data/a.yaml")
    assert names(table(tmp_path, HEAD + ROUTE + "include: routes/*.yaml\n")) == ["one", "ay"]


def test_references_are_filled_and_files_of_them_seen_from_the_first_file(tmp_path: Path, put: Put) -> None:
    (tmp_path / "secret").write_text("canary-from-a-file")
    put(routes__a='sinks: {more: {type: tests.config.plugins.shelf, base: x, password: "${file:secret}"}}\n')
    found = table(tmp_path, HEAD + ROUTE + "include: routes/a.yaml\n")
    assert "canary-from-a-file" in found.secrets


def test_a_delivery_goes_on_with_an_included_route_though_the_file_is_gone(tmp_path: Path, put: Put) -> None:
    put(a="sinks: {more: {type: tests.config.plugins.notes}}\n" + route("there", "more"))
    found = table(tmp_path, HEAD + ROUTE + "include: a.yaml\n")
    (tmp_path / "a.yaml").unlink()
    document = found.document(found.routes[1])
    assert json.loads(document) == {
        "version": 1,
        "defaults": {},
        "sinks": {"more": {"type": "tests.config.plugins.notes"}},
        "route": {"name": "there", "to": [{"sink": "more"}]},
    }
    assert restore(document, ENVIRON).route == found.routes[1]


def test_it_makes_no_difference_to_a_route_in_which_file_it_stands(tmp_path: Path, put: Put) -> None:
    alone = table(tmp_path, HEAD + ROUTE)
    put(a=ROUTE)
    apart = table(tmp_path, HEAD + "include: a.yaml\n")
    assert apart.document(apart.routes[0]) == alone.document(alone.routes[0])


def test_every_mistake_is_told_at_once_in_its_own_file(tmp_path: Path, put: Put) -> None:
    put(
        a="# one\nroutes:\n  - name: ay\n    raed: {}\n    to: [{sink: out, per: never}]\n",
        b="sinks:\n  more: {type: nothing}\nroutes: [{name: bee, to: [{sink: mroe}]}]\n",
        c="routes: [\n",
        d="routes: [{name: dee, to: [{sink: out, path: {{ run.id }}}]}]\n",
    )
    problems = told(tmp_path, HEAD + "routes: [{name: 1, to: [{sink: out}]}]\ninclude: '?.yaml'\n")
    assert [problem.split(": ", 2)[:2] for problem in problems] == [
        ["runrelay.yaml:7:17", "routes[0].name"],
        ["a.yaml:4:5", "routes[0].raed"],
        ["a.yaml:5:22", "routes[0].to[0].per"],
        ["b.yaml:2:16", "sinks.more.type"],
        ["b.yaml:3:34", "routes[0].to[0].sink"],
        ["c.yaml:2:1", "this is not YAML"],
        ["d.yaml:1:45", "routes[0].to[0].path"],
    ]


def test_a_sink_that_is_there_already_is_told_with_both_places(tmp_path: Path, put: Put) -> None:
    put(
        a="sinks: {more: {type: tests.config.plugins.notes}}\n",
        b="sinks:\n  more: {type: tests.config.plugins.notes}\n",
    )
    put(c="sinks:\n  out: {type: tests.config.plugins.notes}\n")
    assert told(tmp_path, HEAD + ROUTE + "include: '?.yaml'\n") == [
        "b.yaml:2:3: sinks.more: the sink `more` is defined twice: first in a.yaml:1:9",
        "c.yaml:2:3: sinks.out: the sink `out` is defined twice: first in runrelay.yaml:4:3",
    ]


def test_a_route_that_is_there_already_is_told_where_it_stands_again(tmp_path: Path, put: Put) -> None:
    put(a=ROUTE)
    assert told(tmp_path, HEAD + ROUTE + "include: a.yaml\n") == [
        "a.yaml:1:17: routes[0].name: the route name `one` is used twice"
    ]


MAY = "may have sinks, routes, tests"
FOREIGN = {
    "sources": (
        "sources: {}\n",
        "1:1: sources: `sources` can only stand in the first file: an included one may have sinks, routes, tests",
    ),
    "misspelled": (
        "ruotes: []\n",
        f"1:1: ruotes: there is no key `ruotes` here: did you mean `routes`? an included file {MAY}",
    ),
    "itself": (
        "include: b.yaml\n",
        "1:1: include: an included file includes nothing itself: name that one in the first file",
    ),
    "a list": ("- name: one\n", "1:1: must have `sinks`, `routes` or `tests`"),
    "routes as a mapping": ("routes: {name: one}\n", "1:9: routes: must be a list"),
    "sinks as a list": ("sinks: [out]\n", "1:8: sinks: must be a mapping"),
}


@pytest.mark.parametrize(("text", "problem"), FOREIGN.values(), ids=FOREIGN.keys())
def test_what_an_included_file_may_not_be(text: str, problem: str, tmp_path: Path, put: Put) -> None:
    put(a=text)
    assert told(tmp_path, HEAD + ROUTE + "include: a.yaml\n") == [f"a.yaml:{problem}"]


BELOW = "only files beside this one and below it are read: name them from here, such as routes/*.yaml"
PATTERNS = {
    "parent": ("../a.yaml", BELOW),
    "detour": ("routes/../../a.yaml", BELOW),
    "absolute": ("/etc/a.yaml", BELOW),
    "null": ('"a\\0.yaml"', BELOW),
    "all below": ("routes/**/a.yaml", "`**` is not taken: name each folder, such as routes/*/*.yaml"),
    "very deep": ("a/" * 499 + "*", "the name is too long"),
    "a reference": (
        '"${TOKEN}.yaml"',
        "`${…}` is not filled in here: write out which files, such as routes/*.yaml",
    ),
    "nothing": ("routes/*.yaml", "no file beside this one or below is called `routes/*.yaml`"),
    "itself": ("runrelay.yaml", "no file beside this one or below is called `runrelay.yaml`"),
}


@pytest.mark.parametrize(("pattern", "problem"), PATTERNS.values(), ids=PATTERNS.keys())
def test_what_cannot_be_included(pattern: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "a.yaml").write_text(ROUTE)
    assert told(tmp_path / "in", HEAD + ROUTE + f"include: {pattern}\n") == [f"runrelay.yaml:8:10: include: {problem}"]


def test_what_is_no_text_is_told_as_such(tmp_path: Path) -> None:
    assert told(tmp_path, HEAD + ROUTE + "include: {a: b}\n") == [
        "runrelay.yaml:8:10: include: must be text, not a mapping · Example: `include: routes/*.yaml`"
    ]


def test_there_is_an_end_to_how_many_and_how_large(tmp_path: Path, put: Put) -> None:
    put(**{f"many__{number}": "routes: []\n" for number in range(101)}, large="#" * 2**20)
    assert told(tmp_path, HEAD + ROUTE + "include: [many/*.yaml]\n") == [
        "runrelay.yaml:8:10: include: these are 101 files, and 100 at most are read"
    ]
    assert told(tmp_path, HEAD + ROUTE + "include: large.yaml\n") == [
        "runrelay.yaml:8:10: include: all files together are larger than 1 MiB, which no routes should be"
    ]


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").mkdir()
    assert told(tmp_path, HEAD + ROUTE + "include: a.yaml\n") == ["a.yaml: the file cannot be read: Is a directory"]


def test_the_files_of_the_documentation_load(tmp_path: Path, put: Put) -> None:
    page = (Path(__file__).parents[2] / "docs/how-to/split-the-file.md").read_text()
    first, shop = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)[:2]
    put(routes__shop=shop)
    found = table(tmp_path, first, {"APIFY_TOKEN": "canary-token-1", "HOOK_SECRET": "canary-hook-22"})
    assert (names(found), list(found.sinks)) == (["products"], ["disk", "prices"])


def test_what_is_no_file_is_not_waited_for(tmp_path: Path, put: Put) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    assert told(tmp_path, HEAD + ROUTE + "include: pipe.yaml\n") == [
        "pipe.yaml: this is a pipe or a device: only files are read"
    ]
    assert told(tmp_path, HEAD + ROUTE + "alerts: {to: [{sink: notes, text: '${file:pipe.yaml}'}]}\n") == [
        "runrelay.yaml:8:35: alerts.to[0].text: the file pipe.yaml cannot be read: it is a pipe or a device"
    ]
