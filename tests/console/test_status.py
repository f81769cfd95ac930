"""`runrelay status` on a real Valkey: one delivery waits paused, one is dead, one is delivered."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from config.contracts.delivery import DeliveryState
from config.route import GATE
from console.cli.main import main
from tests.console.beside import write_file
from tests.workers.ledger.books import Books, delivery
from workers.ledger.records import Born, Signal
from workers.ledger.standing import sign_on

Captured = pytest.CaptureFixture[str]
SECOND, HOUR_MS = "2026-02-01T00:00:00.000Z", 3600_000
PAUSED, DEAD, GOOD = (delivery(target) for target in ("crm", "lake", "disk"))


async def _fill(redis: Redis) -> None:
    await redis.flushall()
    books = Books(redis)
    await books.accept(b"not planned yet")
    await books.plan(PAUSED, DEAD, GOOD)
    paused, dead = await books.ledger.take_delivery(PAUSED.id, 1), await books.ledger.take_delivery(DEAD.id, 1)
    assert paused
    assert dead
    await books.ledger.hand_back(paused[0], "paused", 60, reason="token_refused", detail="HTTP 401")
    await books.set("dl", PAUSED.id, at=await books.now() - 3 * 3600 * 1000)
    await books.ledger.finish(dead[0], DeliveryState.DEAD, reason="path_escape")
    await books.end(GOOD)
    await sign_on(redis, books.keys, "here:1:ab", await books.now(), 10)


def _in_books(url: str, work: Callable[[Books], Awaitable[object]]) -> None:
    async def go() -> None:
        redis = Redis.from_url(url)
        await work(Books(redis))
        await redis.aclose()

    asyncio.run(go())


def _redis(url: str, fill: bool) -> None:
    _in_books(url, lambda books: _fill(books.redis) if fill else books.redis.flushall())


@pytest.fixture(autouse=True)
def _surroundings(valkey_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDIS_URL", valkey_server)
    write_file(tmp_path, "http://127.0.0.1:9")
    _redis(valkey_server, fill=True)
    yield
    _redis(valkey_server, fill=False)


def told(capsys: Captured) -> dict[str, Any]:
    return dict(json.loads(capsys.readouterr().out))


def test_scripts_get_everything_in_one_object(capsys: Captured) -> None:
    assert main(["status", "--json"]) == 0
    said = told(capsys)
    assert (said["sources"], said["workers"], said["open"], said["dead"]) == (["apify"], ["here:1:ab"], 2, 1)
    assert said["states"] == {"events": {"accepted": 1}, "deliveries": {"paused": 1}}
    [paused], [dead], [oldest] = said["paused"], said["dead_by_reason"], said["oldest_deliveries"]
    assert (paused["kind"], paused["name"], paused["reason"]) == ("target", "all/crm", "token_refused")
    assert (dead["reason"], dead["number"], dead["example"]) == ("path_escape", 1, DEAD.id)
    assert (oldest["route"], oldest["target"], oldest["age"] // 3600) == ("all", "crm", 3)
    assert (list(said["last_delivery"]), said["slots_wanted"]) == (["all"], 1)
    assert said["redis"]["findings"] == []
    assert 0 < said["redis"]["used"] < said["redis"]["limit"]


def test_people_get_one_screen(capsys: Captured) -> None:
    assert main(["status"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < 24
    for words in (
        "sources        apify",
        "workers        here:1:ab",
        "open           2; 1 want a worker's slot now",
        "  deliveries   1 paused",
        "oldest         all/crm waits for 3 h",
        "dead           1",
    ):
        assert words in lines
    assert any(
        line.startswith("paused         target all/crm: token_refused since ") and line.endswith(", 1 waits")
        for line in lines
    )
    assert any(line.strip().startswith("1 path_escape, the newest") for line in lines)


FRESH = "routes: [{name: all, freshness: {every: 6h}, to: [{sink: out}]}]"


def late(url: str, folder: Path) -> None:
    """A route delivered seven hours ago and must every six; two deliveries of it are in quarantine."""

    async def go(books: Books) -> None:
        gate, held = delivery(GATE), [delivery("crm", life=SECOND), delivery("lake", life=SECOND)]
        await books.plan(gate, body=b"gate")
        taken = await books.ledger.take_delivery(gate.id, 1)
        assert taken
        born = [Born(one, DeliveryState.QUARANTINED, "not_as_expected", "too few") for one in held]
        await books.ledger.judge(taken[0], born, None, Signal.READ, reason="not_as_expected")
        await cast("Awaitable[int]", books.redis.hset("rr:fresh", "all", str(await books.now() - 7 * HOUR_MS)))

    file = folder / "runrelay.yaml"
    before = file.read_text()
    file.write_text(before[: before.index("routes:")] + FRESH + "\n")
    _in_books(url, go)


def test_routes_that_are_stale_and_what_is_in_quarantine_are_shown(
    valkey_server: str, tmp_path: Path, capsys: Captured
) -> None:
    late(valkey_server, tmp_path)
    assert main(["status"]) == 0
    out = capsys.readouterr().out.splitlines()
    held, stale = (next(line for line in out if line.startswith(word)) for word in ("quarantined", "stale"))
    assert held.startswith("quarantined    all: 2 not_as_expected, the oldest since ")
    assert ": runrelay quarantine show " in held
    assert stale.startswith("stale          all: since ")
    assert ", every 6h is wanted, last delivery " in stale
    assert len(out) < 24
    assert not any(line.startswith("oldest         all/lake") for line in out)
    assert main(["status", "--json"]) == 0
    said = told(capsys)
    [group], [route] = said["quarantined"], said["stale"]
    assert group.pop("oldest").startswith("20")
    assert group.pop("example") in {delivery(name, life=SECOND).id for name in ("crm", "lake")}
    assert group == {"route": "all", "source": "apify", "reason": "not_as_expected", "count": 2}
    since, last = (datetime.fromisoformat(route.pop(name)) for name in ("since", "last"))
    assert (route, since - last) == ({"route": "all", "wanted": "every 6h"}, timedelta(hours=6))


def test_a_file_that_cannot_be_used_hides_nothing(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "runrelay.yaml").write_text("version: 7\n")
    assert main(["status", "--json"]) == 0
    captured = capsys.readouterr()
    assert "runrelay check" in captured.err
    assert json.loads(captured.out)["open"] == 2


def test_nobody_at_work_is_said(valkey_server: str, capsys: Captured) -> None:
    _redis(valkey_server, fill=False)
    assert main(["status"]) == 0
    assert "workers        none has signed on lately: nothing is delivered" in capsys.readouterr().out


def test_without_redis_it_is_one_clear_line(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    assert main(["status", "--json"]) == 1
    assert told(capsys)["kind"] == "queue_unavailable"
