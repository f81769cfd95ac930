"""`runrelay schema`: what an editor holds a routes file against."""

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from config.contracts.errors import ConfigInvalid
from config.document import KeyPath, descend, parse
from config.routes import load
from console.cli.main import main
from console.recipes import recipe, recipes
from console.schema import FILE, modeline, schema
from tests.config.loading import told
from tests.config.test_documented import FILES
from tests.config.test_examples import FIELDS, whole
from tests.console.recipe_files import environ

SCHEMA = schema()
VALIDATOR = jsonschema_rs.validator_for(SCHEMA)
RECIPES = {name: parse(recipe(name), name).value for name in recipes()}


def fits(document: Any) -> bool:
    return VALIDATOR.is_valid(document)


def test_it_is_a_schema_of_its_own() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    for reference in _references(SCHEMA):
        before, _, name = reference.rpartition("/")
        assert (before, name in SCHEMA["$defs"]) == ("#/$defs", True), reference


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        yield from ([part["$ref"]] if isinstance(part.get("$ref"), str) else [])
        part = list(part.values())
    if isinstance(part, list):
        for inner in part:
            yield from _references(inner)


def test_every_key_has_its_description() -> None:
    for name in ("file", "http", "postgres"):
        properties = SCHEMA["$defs"][f"sink.{name}"]["properties"]
        assert [key for key, option in properties.items() if not option.get("description")] == []
    assert [key for key, option in SCHEMA["$defs"]["target"]["properties"].items() if not option["description"]] == []


def test_defaults_and_examples_are_as_somebody_would_write_them() -> None:
    retry = SCHEMA["$defs"]["retry"]["properties"]["for"]
    assert (retry["default"], retry["examples"]) == ("75h", ["75h"])
    settle = SCHEMA["$defs"]["source.apify.settleoptions"]["properties"]["quiet"]
    assert settle["default"] == "10s"
    assert SCHEMA["$defs"]["target"]["properties"]["fields"]["examples"] == [
        {"url": "item.url", "price": "item.price | number"},
        ["url", "price"],
    ]


def test_of_a_key_of_targets_it_says_whose_it_is() -> None:
    described = SCHEMA["$defs"]["target"]["properties"]["bisect"]["description"]
    assert described.startswith("http: Halve a batch")


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_fits(name: str) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(RECIPES[name])] == []


@pytest.mark.parametrize("text", [text for _, text in FILES], ids=[page for page, _ in FILES])
def test_every_whole_file_in_the_documentation_fits(text: str) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(parse(text, "").value)] == []


def test_every_example_of_a_key_fits_in_its_place() -> None:
    for (shape, key), info in FIELDS.items():
        for line in info.examples or []:
            file = whole(shape, key, parse(str(line), "").value)
            assert [error.message for error in VALIDATOR.iter_errors(file)] == [], line


SMALL = """\
version: 1
sources: {apify: {token: "${APIFY_TOKEN}", webhook: {secrets: ["${HOOK_SECRET}"]}}}
sinks: {out: {type: file, base: results/}}
routes: [{name: all, when: {status: SUCCEEDED}, to: [{sink: out, path: "{{ run.id }}.jsonl"}]}]
"""
GOOD = {
    "a type that is the name": ("out: {type: file", "file: {base: x}, out: {type: file"),
    "another name of a type": ("out: {type: file, base: results/}", 'out: {type: s3, url: "s3://a/b"}'),
    "another name as the name": (
        "out: {type: file, base: results/}",
        'out: {type: file, base: x}, s3: {url: "s3://a/b"}',
    ),
    "a module of somebody's own": ("type: file, base: results/", "type: acme.teams, channel: jobs"),
    "a type from the environment": ("type: file, base: results/", 'type: "${SINK}", base: results/'),
    "a reference for a number": ("to: [", 'batch: {items: "${MANY}"}, to: ['),
    "a reference for an amount": ("to: [", 'batch: {bytes: "${MUCH:-4MiB}"}, to: ['),
    "a reference for a word": ("to: [", 'bad_items: "${BAD:-fail}", to: ['),
    "a reference for a truth value": ("to: [", 'final: "${FINAL:-false}", to: ['),
    "one for a list of one": ("status: SUCCEEDED", "status: [SUCCEEDED]"),
    "nothing as an amount": ("to: [", "retry: {backoff: [0, 5s]}, to: ["),
    "a number for an expression": ("path:", "set: {n: 1, sure: true}, path:"),
    "included routes": ("routes:", "include: routes/*.yaml\nroutes:"),
}


@pytest.mark.parametrize(("old", "new"), GOOD.values(), ids=GOOD.keys())
def test_what_may_be_written_fits(old: str, new: str) -> None:
    assert old in SMALL
    assert fits(parse(SMALL.replace(old, new, 1), "").value)


def test_a_sink_whose_name_is_its_type_has_its_options() -> None:
    file = parse(SMALL, "").value
    assert fits(file | {"sinks": {"file": {"base": "x"}}})
    assert not fits(file | {"sinks": {"file": {"bsae": "x"}}})
    assert not fits(file | {"sinks": {"file": {"type": "http", "base": "x"}}})


def test_a_file_that_is_included_fits() -> None:
    assert fits({"routes": [{"name": "one", "to": [{"sink": "out"}]}]})
    assert fits({"sinks": {"out": {"type": "file", "base": "x"}}})
    assert not fits({})
    assert not fits({"sources": {}, "routes": [{"name": "one", "to": [{"sink": "out"}]}]})


BAD = {
    "no version": ("version: 1\n", ""),
    "another version": ("version: 1", "version: 2"),
    "a key of the file": ("routes:", "ruotes:"),
    "a key of a source": ("token:", "tokn:"),
    "a key of the webhook": ("secrets:", "secret:"),
    "a type": ("type: file", "type: flie"),
    "no type": ("type: file, ", ""),
    "a key of a sink": ("base:", "bsae:"),
    "a key of another type of sink": ("base:", "url:"),
    "a key of a route": ("when:", "on:"),
    "a key of when": ("status:", "state:"),
    "a key of a target": ("path:", "paht:"),
    "a target without a sink": ("sink: out, ", ""),
    "a number for text": ("name: all", "name: 7"),
    "a list for a mapping": ("when: {status: SUCCEEDED}", "when: [SUCCEEDED]"),
    "a mapping for a list": ("to: [{sink: out,", "to: {a: {sink: out,"),
    "a name with a space": ("sinks: {out:", "sinks: {o t:"),
    "an amount without its unit": ("to: [", "retry: {for: 75}, to: ["),
    "an amount with another unit": ("to: [", "retry: {for: 75 hours}, to: ["),
    "a size as a duration": ("to: [", "batch: {bytes: 5s}, to: ["),
    "a percentage without its sign": ("to: [", "expect: {filled: {url: 0.9}}, to: ["),
    "too many": ("to: [", "batch: {items: 1000000}, to: ["),
    "a word that is none": ("to: [", "bad_items: drop, to: ["),
    "yes or no": ("to: [", "final: maybe, to: ["),
    "nothing at all": ("to: [", "read: {records: []}, to: ["),
    "a key of alerts": ("routes:", "alerts: {to: [{sink: out}], kind: paused}\nroutes:"),
    "a kind of alerts": ("routes:", "alerts: {to: [{sink: out}], kinds: [pasued]}\nroutes:"),
    "a key of a test": ("routes:", "tests: [{name: one, given: {}, expects: {route: all}}]\nroutes:"),
}


@pytest.mark.parametrize(("old", "new"), BAD.values(), ids=BAD.keys())
def test_a_slip_neither_fits_nor_loads(old: str, new: str, tmp_path: Path) -> None:
    assert old in SMALL
    text = SMALL.replace(old, new, 1)
    if old == "to: [{sink: out,":
        text = text.replace('jsonl"}]', 'jsonl"}}')
    assert not fits(parse(text, "").value)
    assert told(tmp_path, text, {"APIFY_TOKEN": "canary-token-1", "HOOK_SECRET": "canary-hook-22"})


def _paths(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    yield path
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        yield from _paths(inner, (*path, step))


PLACES = [(name, path) for name, document in RECIPES.items() for path in _paths(document) if path]


def _problems(name: str, document: Any, folder: Path) -> list[str]:
    file = folder / "runrelay.yaml"
    file.write_text(json.dumps(document), encoding="utf-8")
    try:
        load(file, environ(name))
    except ConfigInvalid as exc:
        return [problem.message for problem in exc.problems]
    return []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recipes")


#: Each key of the recipes once, whatever sink or route it is of.
KEYS = {tuple(step for step in path[-2:] if isinstance(step, str)): (name, path) for name, path in PLACES}


def test_a_key_that_the_loader_does_not_know_fits_nowhere(folder: Path) -> None:
    """Each key of the recipes, misspelled."""
    unknown = 0
    for name, path in KEYS.values():
        document = deepcopy(RECIPES[name])
        around, key = descend(document, path[:-1]), path[-1]
        if isinstance(around, dict):
            around[f"{key}s_"] = around.pop(key)
            problems = _problems(name, document, folder)
            assert fits(document) or problems, (name, path)
            if any("there is no key" in problem for problem in problems):
                unknown += 1
                assert not fits(document), (name, path)
    assert unknown > 50


OTHERS = [0, 7, -1, 0.5, True, False, "", "text", "7", "yes", "5s", "4MiB", "50%", "5/s", [], ["text"], {}, {"a": "b"}]


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sampled_from(PLACES), st.sampled_from([*OTHERS, "${HOOK_SECRET}", "${NO:-5s}", "${NO:-7}"]))
def test_whatever_loads_fits(folder: Path, place: tuple[str, KeyPath], other: Any) -> None:
    """A recipe with another value in one place."""
    name, path = place
    document = deepcopy(RECIPES[name])
    descend(document, path[:-1])[path[-1]] = other
    if not _problems(name, document, folder):
        assert fits(document)


def test_it_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == SCHEMA
    assert main(["schema", "--json"]) == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [SCHEMA]


def test_it_is_written_beside_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["schema", "--output", FILE]) == 0
    assert json.loads((tmp_path / FILE).read_text()) == SCHEMA
    assert capsys.readouterr().out.splitlines()[-1] == modeline() == f"# yaml-language-server: $schema={FILE}"


def test_it_knows_a_sink_of_ones_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "--type", "tests.config.plugins.shelf"]) == 0
    ours = jsonschema_rs.validator_for(json.loads(capsys.readouterr().out))
    text = SMALL.replace("type: file, base: results/", "type: tests.config.plugins.shelf, base: x, password: y")
    assert ours.is_valid(parse(text, "").value)
    assert not ours.is_valid(parse(text.replace("password", "passwrd"), "").value)


def test_a_sink_that_is_none_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "--type", "acme.nothing"]) == 1
    assert "there is no module `acme.nothing`" in capsys.readouterr().err
