"""Recipes of `runrelay init`: each loads, its next steps are there, and each mistake one can make in it is told."""

import json
import re
import tomllib
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from config.contracts.errors import ConfigInvalid
from config.contracts.problem import Problem
from config.document import KeyPath, descend, parse
from config.routes import load
from console.cli.main import main
from console.recipes import recipe, recipes, steps, variables
from tests.console.command import ROOT
from workers.rehearsal import rehearse

Captured = pytest.CaptureFixture[str]

#: What stands below these keys is named by whoever writes the file, or read by somebody else.
FREE = {"fields", "set", "filled", "schema", "input", "headers"}
#: The same in `tests:`.
FREE_IN_TESTS = {"run", "items", "records", "sent", "paths", "texts"}


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("RUNRELAY_CONFIG", "RUNRELAY_PUBLIC_URL", "REDIS_URL", "APIFY_TOKEN", "HOOK_SECRET"):
        monkeypatch.delenv(name, raising=False)


def test_recipes_are_listed_a_line_each(capsys: Captured) -> None:
    assert main(["init", "--json"]) == 0
    assert [json.loads(line)["recipe"] for line in capsys.readouterr().out.splitlines()] == list(recipes())
    assert main(["init"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(recipes())
    assert max(map(len, lines)) <= 140
    assert "file                Every finished run of your Apify account, as files on this machine." in lines


@pytest.mark.parametrize("name", recipes())
def test_a_recipe_passes_check_once_the_token_is_there(
    name: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["init", name]) == 0
    if name != "emulator":
        assert main(["check"]) == 78
        told = capsys.readouterr().err.splitlines()
        assert [line.split(" ")[1:6] for line in told] == [["sources.apify.token:", "the", "token", "is", "empty:"]]
        monkeypatch.setenv("APIFY_TOKEN", "apify_token_0123456789")
    assert main(["check"]) == 0
    assert capsys.readouterr().err == ""
    assert Path(".env").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", sorted(recipes().keys() - {"emulator"}))
def test_its_routes_do_what_its_tests_say(name: str) -> None:
    outcomes = list(rehearse(load(written(name), environ(name))))
    assert outcomes
    assert [str(problem) for outcome in outcomes for problem in outcome.problems] == []


STEPS = {
    (command.strip(), *options.split())
    for name in recipes()
    for command, options in re.findall(r"runrelay ([a-z]+(?: list)?)(?: [^ -]+)?((?: --[a-z]+)*)", "\n".join(steps(name)))
}


@pytest.mark.parametrize("step", sorted(STEPS), ids=" ".join)
def test_every_step_that_is_named_can_be_taken(step: tuple[str, ...], capsys: Captured) -> None:
    command, *options = step
    assert main([*command.split(), "--help"]) == 0
    said = capsys.readouterr().out
    assert [option for option in options if option not in said] == []


def test_every_recipe_says_how_to_check_and_to_start() -> None:
    assert [name for name in recipes() if "runrelay up" not in "\n".join(steps(name))] == []
    assert {("check",), ("check", "--connect"), ("up",)} <= STEPS


@pytest.mark.parametrize("name", recipes())
def test_what_its_sinks_need_is_named(name: str) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    specs = load(written(name), environ(name)).sinks.values()
    needed = {getattr(spec.module, "ABOUT").extra for spec in specs} - {None, ""}
    needed |= {"parquet"} if ".parquet" in recipe(name) else set()
    named = {extra for found in re.findall(r"runrelay\[(.*)\]", "\n".join(steps(name))) for extra in found.split(",")}
    assert named == needed
    assert named <= extras.keys()


def test_what_was_written_and_what_comes_next_is_told(capsys: Captured) -> None:
    assert main(["init", "sqlite"]) == 0
    assert (
        capsys.readouterr().out
        == """\
wrote runrelay.yaml, and into .env:
  APIFY_TOKEN  your API token: Apify Console > Settings > API & Integrations
  HOOK_SECRET  made up for you; webhooks must bring it
next:
  1. Put your API token into .env (Apify Console > Settings > API & Integrations).
  2. runrelay check        is everything right, and do the routes what their tests say?
  3. runrelay up           a receiver and a worker, until Ctrl-C
  4. runrelay call apify/hello-world       in another terminal: run an Actor
     sqlite3 results/runs.db "SELECT * FROM items"
"""
    )


def test_a_file_that_is_there_is_only_replaced_by_force_and_secrets_are_kept(capsys: Captured) -> None:
    Path("runrelay.yaml").write_text("mine")
    Path(".env").write_text("HOOK_SECRET=mine-alone")
    assert main(["init", "file"]) == 1
    assert (Path("runrelay.yaml").read_text(), Path(".env").read_text()) == ("mine", "HOOK_SECRET=mine-alone")
    assert main(["init", "file", "--force", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["added"] == ["APIFY_TOKEN"]
    assert Path(".env").read_text().startswith("HOOK_SECRET=mine-alone\n# your API token")


def test_two_secrets_of_two_recipes_differ() -> None:
    main(["init", "file", "--config", "a/runrelay.yaml"])
    main(["init", "file", "--config", "b/runrelay.yaml"])
    assert Path("a/.env").read_text() != Path("b/.env").read_text()


def test_an_unknown_recipe_is_told_what_there_is(capsys: Captured) -> None:
    assert main(["init", "flie"]) == 1
    assert capsys.readouterr().err == f"runrelay: there is no recipe 'flie'; there are {', '.join(recipes())}\n"


# mistakes in recipes


def environ(name: str) -> dict[str, str]:
    return {variable.name: variable.value or "a-token-0123456789" for variable in variables(name)}


def written(name: str, text: str | None = None) -> Path:
    path = Path("runrelay.yaml")
    path.write_text(recipe(name) if text is None else text, encoding="utf-8")
    return path


def told(name: str, text: str) -> list[Problem]:
    try:
        load(written(name, text), environ(name))
    except ConfigInvalid as exc:
        return list(exc.problems)
    return []


def each(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Every path below the top, from the top down."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, below in steps:
        yield (*path, step)
        yield from each(below, (*path, step))


def places(name: str) -> Iterator[tuple[dict[str, Any], KeyPath]]:
    """A copy of a recipe for each place in it; of those that differ in an index only, one."""
    tree = parse(recipe(name), name).value
    found = {tuple("*" if isinstance(step, int) else step for step in path): path for path in each(tree)}
    for path in found.values():
        yield deepcopy(tree), path


def free(path: KeyPath, *, key: bool) -> bool:
    """Whether anything may stand there. Names of sinks and the like are free; what is below has keys of its own."""
    around = path[:-1] if key else path
    if path[0] in {"sources", "sinks"}:
        return key and len(path) == 2
    return any(step in (FREE_IN_TESTS if path[0] == "tests" else FREE) for step in around)


@pytest.mark.parametrize("name", recipes())
def test_a_misspelled_key_is_told_where_it_stands(name: str) -> None:
    untold = []
    for tree, (*around, key) in places(name):
        if isinstance(key, int) or free((*around, key), key=True):
            continue
        holder = descend(tree, tuple(around))
        holder[f"{key}x"] = holder.pop(key)
        text = json.dumps(tree, indent=1)
        place = parse(text, name).place((*around, f"{key}x"), key=True)
        unknown = f"there is no key `{key}x` here: did you mean `{key}`?"
        problems = told(name, text)
        if not any((at.line, at.column) == place and at.message.startswith(unknown) for at in problems):
            untold.append((*around, key))
    assert untold == []


def wrong(value: Any) -> Any:
    """A value of a type that cannot stand in its place."""
    return 7 if isinstance(value, dict | list) else {"wrong": ["type"]}


@pytest.mark.parametrize("name", recipes())
def test_a_value_of_the_wrong_type_is_told_where_it_stands(name: str) -> None:
    untold = []
    for tree, path in places(name):
        if free(path, key=False):
            continue
        descend(tree, path[:-1])[path[-1]] = wrong(descend(tree, path))
        text = json.dumps(tree, indent=1)
        line = parse(text, name).place(path)[0]
        if not any(at.line == line for at in told(name, text)):
            untold.append(path)
    assert untold == []


#: recipe → what stands in it, what is written instead, and what is said about that
GOLDEN: dict[str, list[tuple[str, str, str]]] = {
}


def test_there_are_two_for_every_recipe() -> None:
    assert {name: len(mistakes) for name, mistakes in GOLDEN.items()} == dict.fromkeys(recipes(), 2)


@pytest.mark.parametrize(("name", "mistake"), [(name, one) for name, found in GOLDEN.items() for one in found])
def test_a_wrong_key_or_type_in_a_recipe_is_told_word_for_word(name: str, mistake: tuple[str, str, str]) -> None:
    written_, instead, message = mistake
    text = recipe(name)
    assert text.count(written_) == 1
    found = told(name, text.replace(written_, instead))
    assert "\n".join(map(str, found)) == f"runrelay.yaml:{message}"
