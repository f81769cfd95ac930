"""Recipes of `runrelay init`: each loads, does what its tests say, and its next steps can be taken."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from config.routes import load
from console.cli.main import main
from console.recipes import recipe, recipes, steps, variables
from tests.console.command import ROOT
from tests.console.recipe_files import SECRET, environ, written
from workers.rehearsal import rehearse

Captured = pytest.CaptureFixture[str]


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
def test_a_recipe_passes_check_once_what_is_empty_is_filled_in(
    name: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["init", name]) == 0
    empty = [variable.name for variable in variables(name) if not variable.value]
    if empty:
        assert main(["check"]) == 78
        told = re.findall(r"^\S+ sources\.\S+: .* is empty\b.*$", capsys.readouterr().err, re.MULTILINE)
        assert len(told) == len(empty)
    for variable in empty:
        monkeypatch.setenv(variable, SECRET)
    assert main(["check"]) == 0
    assert capsys.readouterr().err == ""
    assert Path(".env").stat().st_mode & 0o777 == 0o600


def test_a_gap_in_an_address_is_told(capsys: Captured) -> None:
    assert main(["init", "github-workflow"]) == 0
    main(["check"])
    assert (
        "sources.github.api.url: `${GITHUB_REPOSITORY}` is empty: set the variable, or write "
        "`${GITHUB_REPOSITORY:-}` if it may be\n"
    ) in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(recipes().keys() - {"emulator"}))
def test_its_routes_do_what_its_tests_say(name: str) -> None:
    outcomes = list(rehearse(load(written(name), environ(name))))
    assert outcomes
    assert [str(problem) for outcome in outcomes for problem in outcome.problems] == []


STEPS = {
    (command.strip(), *options.split())
    for name in recipes()
    for command, options in re.findall(
        r"runrelay ([a-z]+(?: list)?)(?: [^ -]+)?((?: --[a-z]+)*)", "\n".join(steps(name))
    )
}


@pytest.mark.parametrize("step", sorted(STEPS), ids=" ".join)
def test_every_step_that_is_named_can_be_taken(step: tuple[str, ...], capsys: Captured) -> None:
    command, *options = step
    assert main([*command.split(), "--help"]) == 0
    said = capsys.readouterr().out
    assert [option for option in options if option not in said] == []


def test_recipes_of_other_platforms_say_what_was_read_and_what_was_not_checked() -> None:
    others = {name for name in recipes() if re.search(r"^    type: (generic|ittybit)$", recipe(name), re.MULTILINE)}
    said = {name for name in recipes() if re.search(r"(?s)\n# Read for this in .*\n# Not checked: ", recipe(name))}
    assert said == others - {"generic"}
    assert len(said) == 7


def test_every_recipe_says_how_to_check_and_to_start() -> None:
    assert [name for name in recipes() if "runrelay up" not in "\n".join(steps(name))] == []
    assert {("check",), ("check", "--connect"), ("up",)} <= STEPS


@pytest.mark.parametrize("name", recipes())
def test_what_its_sinks_need_is_named(name: str) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    specs = load(written(name), environ(name)).sinks.values()
    needed = {about.extra for spec in specs if (about := getattr(spec.module, "ABOUT", None))} - {None, ""}
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
    assert (
        capsys.readouterr().err
        == f"runrelay: there is no recipe 'flie': did you mean `file`? there are {', '.join(recipes())}\n"
    )
