from pathlib import Path

import pytest

from emulator import runlog
from emulator.runlog import Logs, RunLog, without_colours


def lines_of(path: Path) -> list[str]:
    return [line.split(" ", 1)[1] for line in path.read_text().splitlines()]


async def test_lines_are_whole_whatever_pieces_they_come_in(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "run.log")
    for piece in (b"on", b"e\ntw", b"o\r\n\n\xff", b"three"):
        log.feed(piece)
    log.say("between")
    log.feed(b"last")
    log.close()

    assert lines_of(log.path) == ["one", "two", "", "\ufffdthree", "ACTOR: between", "last"]


async def test_a_line_without_end_is_cut(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "run.log")
    log.feed(b"x" * 70_000)
    log.feed(b"y\n")
    log.close()

    assert lines_of(log.path) == ["x" * 70_000, "y"]


async def test_the_log_is_capped_in_characters_over_all_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runlog, "MAX_CHARACTERS", 100)
    logs = Logs(tmp_path)
    log = logs.open("run")
    log.feed(("ü" * 30 + "\n").encode())
    logs.close("run")
    log = logs.open("run")
    for _ in range(3):
        log.feed(b"a\nb\n")
    logs.close("run")

    assert lines_of(log.path) == ["ü" * 30, "a"]


async def test_a_closed_or_unknown_log_reads_as_it_is(tmp_path: Path) -> None:
    logs = Logs(tmp_path)

    assert list(logs.read("nobody")) == []
    assert logs.follow("nobody") is None
    logs.close("nobody")


def test_colours_are_taken_out() -> None:
    assert without_colours("\x1b[1;31mred\x1b[0m \x1b[2Kplain") == "red plain"
