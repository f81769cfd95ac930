"""What every command promises: exit codes, one JSON object a line, help with an example, no traceback."""

import json
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from console import VERSION
from console.cli.main import GROUPS, main
from scripts.reference import COMMANDS, command_line, commands
from tests.console.command import ROOT

GOOD = """\
version: 1
sources: {apify: {token: t0ken-of-mine, webhook: {secrets: [s3cret-of-mine]}}}
sinks: {out: {type: file, base: results/}, unused: {type: stdout}}
routes: [{name: all, when: {status: SUCCEEDED}, to: [{sink: out}]}]
"""
BAD = GOOD.replace("sink: out", "sink: uot").replace("status:", "statsu:")

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("RUNRELAY_CONFIG", "RUNRELAY_PUBLIC_URL", "REDIS_URL", "APIFY_TOKEN", "HOOK_SECRET"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("words", [words for words, _ in commands()], ids=" ".join)
def test_every_command_has_help_with_an_example_and_json(words: list[str], capsys: Captured) -> None:
    assert main([*words, "--help"]) == 0
    said = capsys.readouterr().out
    assert "Example" in said
    assert f"runrelay {' '.join(words)}" in said
    assert "--json" in said


def test_the_reference_is_what_the_commands_say() -> None:
    assert COMMANDS.read_text() == command_line(), "run: python scripts/reference.py"


def test_the_version_is_the_project_s(capsys: Captured) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert main(["--version"]) == 0
    assert (VERSION, capsys.readouterr().out) == (project["version"], f"runrelay {project['version']}\n")


def test_a_good_file_is_counted(tmp_path: Path, capsys: Captured) -> None:
    Path("runrelay.yaml").write_text(GOOD)
    assert main(["check"]) == 0
    told = capsys.readouterr()
    assert told.out == "runrelay.yaml: 1 source, 2 sinks, 1 route: ok\n"
    assert "sinks.unused: no route uses this sink (warning)" in told.err


def test_validate_is_check(capsys: Captured) -> None:
    Path("runrelay.yaml").write_text(GOOD)
    assert main(["validate", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert {key: said[key] for key in ("status", "sources", "sinks", "routes")} == {
        "status": "ok",
        "sources": ["apify"],
        "sinks": ["out", "unused"],
        "routes": ["all"],
    }


def test_every_problem_of_a_file_has_its_own_line(capsys: Captured) -> None:
    Path("runrelay.yaml").write_text(BAD)
    assert main(["check"]) == 78
    told = capsys.readouterr()
    lines = told.err.splitlines()
    assert told.out == ""
    assert [line.split(" ")[0] for line in lines] == ["runrelay.yaml:4:29:", "runrelay.yaml:4:61:"]


def test_problems_are_objects_with_json(capsys: Captured) -> None:
    Path("runrelay.yaml").write_text(BAD)
    assert main(["check", "--json"]) == 78
    said = json.loads(capsys.readouterr().out)
    assert (said["kind"], [problem["line"] for problem in said["problems"]]) == ("config_invalid", [4, 4])
    assert said["problems"][1] == {
        "file": "runrelay.yaml",
        "line": 4,
        "column": 61,
        "path": "routes[0].to[0].sink",
        "message": "no sink `uot` is defined: did you mean `out`? defined are out, unused",
    }


@pytest.mark.parametrize("command", ["check", "receiver", "worker", "up"])
def test_nothing_starts_without_a_file_or_on_a_wrong_one(command: str, capsys: Captured) -> None:
    assert main([command]) == 78
    assert "`runrelay init` writes one" in capsys.readouterr().err
    Path("runrelay.yaml").write_text(BAD)
    assert main([command]) == 78


def test_a_setting_that_cannot_be_used_is_a_configuration_error(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    Path("runrelay.yaml").write_text(GOOD)
    monkeypatch.setenv("RUNRELAY_DURABILITY", "maybe")
    assert main(["check"]) == 78
    assert capsys.readouterr().err.startswith("RUNRELAY_DURABILITY: ")


def test_the_file_is_named_by_option_or_variable(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    Path("other.yaml").write_text(GOOD)
    assert main(["check", "--config", "other.yaml"]) == 0
    monkeypatch.setenv("RUNRELAY_CONFIG", "other.yaml")
    assert main(["check"]) == 0
    assert capsys.readouterr().out == "other.yaml: 1 source, 2 sinks, 1 route: ok\n" * 2


def test_settings_may_stand_in_the_dotenv_beside_the_file(capsys: Captured) -> None:
    Path("there").mkdir()
    Path("there/runrelay.yaml").write_text(GOOD)
    Path("there/.env").write_text("RUNRELAY_MAX_JOBS=none\n")
    assert main(["check", "--config", "there/runrelay.yaml"]) == 78
    assert capsys.readouterr().err.startswith("RUNRELAY_MAX_JOBS: ")


@pytest.mark.parametrize(
    "words", [["chekc"], ["check", "--nope"], ["receiver", "--port", "x"], ["receiver", "--port", "70000"], ["start"]]
)
def test_wrong_usage_ends_with_2(words: list[str], capsys: Captured) -> None:
    assert main(words) == 2
    assert main([*words, "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["kind"] == "usage_invalid"


def test_redis_that_is_not_there_is_one_clear_line(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:hush-hush@127.0.0.1:1/0")
    assert main(["runs"]) == 1
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1)
    assert "REDIS_URL" in told.err
    assert "hush" not in told.err


def test_a_port_in_use_is_one_clear_line(capsys: Captured) -> None:
    import socket

    Path("runrelay.yaml").write_text(GOOD)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["emulator", "--data", "data", "--port", port, "--json"]) == 1
        assert json.loads(capsys.readouterr().out)["kind"] == "emulator_failed"
        assert main(["receiver", "--port", port, "--json"]) == 1
        assert json.loads(capsys.readouterr().out) == {
            "kind": "address_unusable",
            "message": "Address already in use: choose another --host or --port (0: any free one)",
        }


@pytest.mark.parametrize(("group", "names"), GROUPS.items())
def test_a_command_is_found_in_the_module_that_is_loaded_for_it(group: str, names: tuple[str, ...]) -> None:
    found = typer.Typer()
    found.callback()(lambda: None)
    import_module(f"console.cli.{group}").add_to(found)
    assert tuple(vars(get_command(found))["commands"]) == names
