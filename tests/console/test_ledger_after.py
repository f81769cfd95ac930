"""`runrelay runs` and `show` tell what is, or is not, deleted after a delivery."""

import asyncio
import json
from pathlib import Path

import pytest
from redis.asyncio import Redis

from config.contracts.after import AfterState
from config.contracts.event import event_id
from console.cli.main import main
from tests.workers.ledger.books import LIFE, Books, after, delivery

Captured = pytest.CaptureFixture[str]
WISH = after("dataset", "run")
ROWS = delivery(event=event_id("apify", None, b"{}"))


@pytest.fixture(autouse=True)
def ledger(valkey_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def fill() -> None:
        redis = Redis.from_url(valkey_server)
        await redis.flushall()
        books = Books(redis)
        await books.plan(ROWS, after=WISH)
        await books.end(ROWS)
        await redis.aclose()

    asyncio.run(fill())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDIS_URL", valkey_server)
    monkeypatch.setenv("RUNRELAY_NAMESPACE", "rr")
    monkeypatch.setenv("COLUMNS", "200")


def keep(valkey_server: str) -> None:
    async def kept() -> None:
        books = Books(Redis.from_url(valkey_server))
        await books.overdue("af", WISH.id)
        await books.ledger.sweep(10)
        taken = await books.ledger.take_after(WISH.id, 1)
        assert taken
        await books.ledger.finish(taken[0], AfterState.KEPT, reason="superseded", detail="resurrected")
        await books.redis.aclose()

    asyncio.run(kept())


def told(capsys: Captured) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_runs_says_that_it_is_pending_and_what_became_of_it(valkey_server: str, capsys: Captured) -> None:
    assert main(["runs"]) == 0
    assert "1 delivered; delete dataset+run: waiting" in capsys.readouterr().out
    keep(valkey_server)
    assert main(["runs", "--json"]) == 0
    (event,) = told(capsys)
    facts = event["after"]
    assert isinstance(facts, dict)
    assert (facts["state"], facts["delete"], facts["reason"]) == ("kept", ["dataset", "run"], "superseded")


@pytest.mark.parametrize("id", ["run1", ROWS.id[:8]])
def test_show_tells_all_of_it(id: str, valkey_server: str, capsys: Captured) -> None:
    keep(valkey_server)
    assert main(["show", id, "--json"]) == 0
    *_, last = told(capsys)
    assert {key: last[key] for key in ("after", "run_id", "state", "life", "detail")} == {
        "after": WISH.id,
        "run_id": "run1",
        "state": "kept",
        "life": LIFE,
        "detail": "resurrected",
    }
    assert main(["show", id]) == 0
    assert "delete     dataset, run" in capsys.readouterr().out
