"""`runrelay check --connect`: what is not there, or lets nobody in, is said before anything is delivered."""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import BaseModel

from config.contracts.errors import Transient, Unauthorized
from config.contracts.reasons import Reason
from config.contracts.sink import Surroundings
from console.cli.main import main


class Config(BaseModel, extra="forbid", frozen=True):
    trouble: str = ""


class Target(BaseModel, extra="forbid", frozen=True):
    table: str = ""


class Tried:
    def __init__(self, trouble: str) -> None:
        self.trouble = trouble

    async def check(self, options: Any) -> None:
        if self.trouble == "password":
            raise Unauthorized(Reason.TOKEN_REFUSED, "the password of `etl` is wrong: mend `url`")
        if self.trouble == "bug":
            raise KeyError(self.trouble)
        if options.table == "frozen":
            raise Unauthorized(Reason.TARGET_REFUSED, "no column `price`: ALTER TABLE frozen ADD COLUMN price numeric")


@asynccontextmanager
async def connect(config: Config, around: Surroundings) -> AsyncIterator[Any]:
    if config.trouble == "down":
        raise Transient(Reason.TARGET_UNAVAILABLE, "nobody listens at db:5432")
    yield object() if config.trouble == "unchecked" else Tried(config.trouble)


@pytest.fixture(autouse=True)
def _planted(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("planted.shelf")
    vars(module).update(
        Config=Config, Target=Target, TAKES=frozenset({"items"}), WHOLE=False, connect=connect, ALERTS=True
    )
    monkeypatch.setitem(sys.modules, "planted", ModuleType("planted"))
    monkeypatch.setitem(sys.modules, "planted.shelf", module)


def checked(
    folder: Path, capsys: pytest.CaptureFixture[str], sinks: dict[str, Any], to: list[dict[str, Any]], **more: Any
) -> tuple[int, list[dict[str, Any]]]:
    said = {
        "version": 1,
        "sources": {
            "apify": {
                "token": "t-0123456789",
                "api_url": "http://127.0.0.1:9",
                "webhook": {"secrets": ["s-0123456789-0123456789-0123456789"]},
            }
        },
        "sinks": {name: {"type": "planted.shelf", **options} for name, options in sinks.items()},
        "routes": [{"name": "all", "to": to}],
        **more,
    }
    path = folder / "runrelay.yaml"
    path.write_text(json.dumps(said))
    code = main(["check", "--connect", "--json", "--config", str(path)])
    lines = map(json.loads, capsys.readouterr().out.splitlines())
    return code, [line for line in lines if "reached" in line and not line["reached"].startswith("source")]


def test_every_target_is_tried_with_its_own_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    to = [{"sink": "db", "table": "good"}, {"sink": "db", "name": "old", "table": "frozen"}, {"sink": "plain"}]
    code, told = checked(tmp_path, capsys, {"db": {}, "plain": {"trouble": "unchecked"}}, to)
    assert code == 1
    assert told == [
        {"reached": "target all/db", "ok": True, "message": "planted.shelf: it can be written to"},
        {
            "reached": "target all/old",
            "ok": False,
            "message": "no column `price`: ALTER TABLE frozen ADD COLUMN price numeric",
        },
        {
            "reached": "target all/plain",
            "ok": True,
            "message": "planted.shelf: connected; whether it can be written to, its first delivery tells",
        },
    ]


def test_each_trouble_is_one_line_and_hides_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sinks = {name: {"trouble": name} for name in ("down", "password", "bug")}
    code, told = checked(
        tmp_path, capsys, sinks, [{"sink": "down"}], alerts={"to": [{"sink": "password"}, {"sink": "bug"}]}
    )
    assert code == 1
    assert [(one["reached"], one["message"]) for one in told] == [
        ("target all/down", "nobody listens at db:5432"),
        ("alerts to password", "the password of `etl` is wrong: mend `url`"),
        ("alerts to bug", "its sink broke with KeyError: that is a bug of the sink"),
    ]


def test_a_platform_nobody_answers_at_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checked(tmp_path, capsys, {"db": {}}, [{"sink": "db"}])
    code = main(["check", "--connect", "--config", str(tmp_path / "runrelay.yaml")])
    shown = capsys.readouterr().out
    assert code == 1
    assert "BAD source apify: " in shown
    assert "ok  target all/db: planted.shelf: it can be written to" in shown
    assert "t-0123456789" not in shown
