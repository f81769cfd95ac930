"""A function of somebody's own that never returns, and somebody who wants to stop what called it."""

import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.console.command import COMMAND, environment

FILE = """\
version: 1
sources: {apify: {token: t0ken-of-mine, webhook: {secrets: [a-secret-of-mine]}}}
sinks: {out: {type: file, base: results/}}
routes: [{name: all, read: {transform: "mine:hangs"}, to: [{sink: out, path: x.jsonl}]}]
tests: [{name: one, given: {items: [{a: 1}]}, expect: {route: all}}]
"""
MINE = """\
import pathlib, time
def hangs(item, run):
    pathlib.Path("begun").touch()
    while True:
        time.sleep(0.01)
"""


@pytest.mark.parametrize(
    ("words", "number"),
    [(["worker", "--port", "0"], signal.SIGTERM), (["check"], signal.SIGINT), (["test"], signal.SIGINT)],
)
def test_what_waits_for_a_test_that_hangs_can_be_stopped(
    tmp_path: Path, words: list[str], number: signal.Signals
) -> None:
    (tmp_path / "runrelay.yaml").write_text(FILE)
    (tmp_path / "mine.py").write_text(MINE)
    env = environment(tmp_path, {"PYTHONPATH": str(tmp_path)})
    with subprocess.Popen([*COMMAND, *words], cwd=tmp_path, env=env, stderr=subprocess.PIPE) as process:
        try:
            while process.poll() is None and not (tmp_path / "begun").exists():
                time.sleep(0.01)
            process.send_signal(number)
            process.wait(20)
        finally:
            process.kill()
        said = process.stderr.read().decode() if process.stderr else ""
    assert (tmp_path / "begun").exists(), said
    assert "Traceback" not in said
