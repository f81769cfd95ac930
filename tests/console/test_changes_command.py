"""`runrelay changes`, on a real Valkey."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from config.settings import load_settings
from console.cli.main import main
from tests.workers.feeding import FINISHED, Feed, items

Captured = pytest.CaptureFixture[str]
FILE = """\
version: 1
sources: {apify: {token: t0ken-t0ken, api_url: "http://127.0.0.1:9"}}
sinks: {disk: {type: file, base: x}}
routes: [{name: shop, to: [{sink: disk, name: TARGET, only: {key: id}}]}]
"""


@pytest.fixture(autouse=True)
def here(valkey_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDIS_URL", valkey_server)
    asyncio.run(_deliver(valkey_server, tmp_path))
    (tmp_path / "runrelay.yaml").write_text(FILE.replace("TARGET", "crm"))


async def _deliver(url: str, folder: Path) -> None:
    redis = Redis.from_url(url)
    await redis.flushall()
    feed = Feed(redis, load_settings(redis_url=url, spool_dir=folder), folder, "key: id")
    await feed.run(items(a=1, b=1, c=1))
    await redis.aclose()


def said(capsys: Captured, *words: str, code: int = 0) -> list[dict[str, Any]]:
    assert main([*words, "--json"]) == code
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_what_is_remembered_is_listed(capsys: Captured) -> None:
    (one,) = said(capsys, "changes", "list")
    assert 100 < one.pop("bytes") < 1000
    finished = "2026-01-30T07:38:33.000+00:00"
    assert one == {
        "target": "shop/crm",
        "keys": 3,
        "source": "apify",
        "run": "run1",
        "finished": finished,
        "waiting": 0,
        "orphan": False,
    }
    assert FINISHED == 1769758712


def test_what_the_file_does_not_have_is_listed_and_can_be_forgotten(capsys: Captured, tmp_path: Path) -> None:
    (tmp_path / "runrelay.yaml").write_text(FILE.replace("TARGET", "other"))
    assert [one["orphan"] for one in said(capsys, "changes", "list")] == [True]
    assert main(["changes", "list"]) == 0
    shown = capsys.readouterr()
    assert "not in the file" in shown.out
    assert shown.err == "what is not in the file stays until `runrelay changes forget ROUTE/TARGET`\n"
    assert said(capsys, "changes", "forget", "shop/crm", "--yes") == [{"target": "shop/crm", "keys": 3}]
    assert said(capsys, "changes", "list") == []


def test_forgetting_asks_first_and_knows_what_there_is(capsys: Captured) -> None:
    (refused,) = said(capsys, "changes", "forget", "shop/crm", code=2)
    assert "say --yes if it is meant" in refused["message"]
    (unknown,) = said(capsys, "changes", "forget", "shop/cmr", "--yes", code=1)
    assert unknown["message"] == "nothing is remembered of 'shop/cmr': known are shop/crm"


def test_nothing_is_forgotten_while_a_delivery_compares_with_it(capsys: Captured, valkey_server: str) -> None:
    async def begin() -> None:
        redis = Redis.from_url(valkey_server)
        await redis.zadd("rr:turns:shop/crm", {"some": 0})
        await redis.aclose()

    asyncio.run(begin())
    (refused,) = said(capsys, "changes", "forget", "shop/crm", "--yes", code=1)
    assert refused["kind"] == "under_way"
    assert len(said(capsys, "changes", "list")) == 1
