"""What a platform, a file or an answer says is shown, and never obeyed by the terminal it is shown on."""

import json
from pathlib import Path

import pytest
from rich.table import Table

from config.contracts.errors import ConfigInvalid
from config.contracts.problem import Problem
from config.logs import CONTROL
from console.cli.main import main
from console.cli.output import Output, plain, report, report_problems
from tests.config.test_logs import HOSTILE

Captured = pytest.CaptureFixture[str]
hostile = pytest.mark.parametrize("hostile", HOSTILE, ids=ascii)


def harmless(said: str, lines: int) -> None:
    assert said.count("\n") == lines
    assert not CONTROL.search(said.replace("\n", ""))
    said.encode()


@hostile
def test_a_cell_of_a_table_stays_in_its_place(capsys: Captured, hostile: str) -> None:
    table = Table("a", "b", box=None)
    table.add_row(plain(f"x{hostile}y"), plain("[bold]z[/]"))
    Output(json=False).show(table)
    said = capsys.readouterr().out
    harmless(said, 2)
    assert "[bold]z[/]" in said


@hostile
def test_a_line_that_repeats_somebody_cannot_steer(capsys: Captured, hostile: str) -> None:
    out = Output(json=False)
    for say in (out.tell, out.note, out.show):
        say(f"x{hostile}y")
    captured = capsys.readouterr()
    breaks = hostile.count("\n")
    harmless(captured.out, 2 + 2 * breaks)
    harmless(captured.err, 1 + breaks)


@hostile
def test_json_keeps_the_value_and_shows_nothing_raw(capsys: Captured, hostile: str) -> None:
    Output(json=True).fact(name=f"x{hostile}y")
    said = capsys.readouterr().out
    harmless(said, 1)
    assert json.loads(said) == {"name": f"x{hostile}y"}


@hostile
def test_an_error_message_cannot_look_like_another_line_of_ours(capsys: Captured, hostile: str) -> None:
    report("failed", f"they said{hostile}runrelay: all is well", json=False)
    said = capsys.readouterr().err
    assert not CONTROL.search(said.replace("\n", ""))
    assert [line for line in said.split("\n") if line.startswith("runrelay:")] == said.split("\n")[:1]


@hostile
def test_a_problem_is_one_line(capsys: Captured, hostile: str) -> None:
    report_problems(ConfigInvalid([Problem(f"a{hostile}b", f"c{hostile}d", 1, 1, f"e{hostile}f")]), json=False)
    harmless(capsys.readouterr().err, 1)


def test_a_key_of_the_file_cannot_steer(capsys: Captured, tmp_path: Path) -> None:
    path = tmp_path / "runrelay.yaml"
    path.write_text('"\\e[2J\\u202e\\n": 1\n')
    assert main(["check", "--config", str(path)]) == 78
    said = capsys.readouterr().err
    assert r"\x1b[2J\u202e" in said
    assert not CONTROL.search(said.replace("\n", ""))
