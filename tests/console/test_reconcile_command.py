"""`runrelay reconcile`, against the emulator and a real ledger."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from config.keys import Keys
from console.cli.main import main
from tests.config.sources.platforms import Emulated
from tests.console.beside import PUBLIC, emulator_beside
from workers.care import reconciler
from workers.ledger.ledger import Ledger
from workers.ledger.records import EventRecord

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def platform(tmp_path: Path, valkey_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulated]:
    """A platform, and an empty ledger beside it."""
    monkeypatch.setattr(reconciler, "GRACE", 0.0)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUNRELAY_PUBLIC_URL", PUBLIC)
    monkeypatch.setenv("REDIS_URL", valkey_server)
    monkeypatch.setenv("RUNRELAY_NAMESPACE", "rr")
    asked(valkey_server, lambda redis: redis.flushall())
    with emulator_beside(tmp_path) as place:
        yield place


def asked(url: str, question: Callable[[Redis], Awaitable[Any]]) -> Any:
    async def ask() -> Any:
        redis = Redis.from_url(url)
        try:
            return await question(redis)
        finally:
            await redis.aclose()

    return asyncio.run(ask())


def events(url: str) -> list[EventRecord]:
    found: list[EventRecord] = asked(url, lambda redis: Ledger(redis, Keys("rr")).newest_events(10))
    return found


def begin(url: str, at: int = 1) -> None:
    """A worker started once, long ago."""
    asked(url, lambda redis: redis.set(Keys("rr").since("apify"), at))


def finished_run(capsys: Captured) -> str:
    """The id of a run whose webhook leads nowhere."""
    assert main(["start", "local/writer", "--input", "{}", "--wait-for-finish", "30", "--json"]) == 0
    (run,) = told(capsys)
    return str(run["run_id"])


def told(capsys: Captured) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.usefixtures("platform")
def test_a_dry_run_says_what_the_next_one_takes(valkey_server: str, capsys: Captured) -> None:
    begin(valkey_server)
    run = finished_run(capsys)
    assert main(["reconcile", "--dry-run", "--json"]) == 0
    (found,) = told(capsys)
    assert events(valkey_server) == []
    assert main(["reconcile", "--json"]) == 0
    (taken,) = told(capsys)
    assert (found, taken) == (taken | {"taken": False}, found | {"taken": True})
    assert (taken["source"], taken["run_id"], taken["status"], taken["wanted"]) == ("apify", run, "SUCCEEDED", True)
    assert [(event.run_id, event.via) for event in events(valkey_server)] == [(run, "reconcile")]
    assert main(["reconcile"]) == 0
    assert capsys.readouterr().out == "apify: 0 unannounced runs taken\n"


@pytest.mark.usefixtures("platform")
def test_people_read_which_runs_were_missed(valkey_server: str, capsys: Captured) -> None:
    begin(valkey_server)
    run = finished_run(capsys)
    assert main(["reconcile", "--source", "apify", "--since", "1h"]) == 0
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{run}  SUCCEEDED  20")
    assert last == "apify: 1 unannounced runs taken"


@pytest.mark.usefixtures("platform")
def test_what_ended_longer_ago_is_left_alone(valkey_server: str, capsys: Captured) -> None:
    begin(valkey_server)
    finished_run(capsys)
    time.sleep(0.05)
    assert main(["reconcile", "--since", "10ms", "--json"]) == 0
    assert told(capsys) == []


@pytest.mark.usefixtures("platform")
def test_nothing_is_missed_where_no_worker_has_started(valkey_server: str, capsys: Captured) -> None:
    finished_run(capsys)
    assert main(["reconcile"]) == 0
    said = capsys.readouterr()
    assert (said.out, said.err.split(":")[0], events(valkey_server)) == ("", "apify", [])
    assert asked(valkey_server, lambda redis: redis.dbsize()) == 0


@pytest.mark.usefixtures("platform")
def test_wrong_words_are_said(capsys: Captured) -> None:
    assert main(["reconcile", "--source", "acme", "--json"]) == 1
    assert [one["kind"] for one in told(capsys)] == ["source_not_found"]
    for since in ("1 fortnight", "0"):
        assert main(["reconcile", "--since", since, "--json"]) == 2
        assert [one["kind"] for one in told(capsys)] == ["usage_invalid"]
