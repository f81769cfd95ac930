"""`runrelay doctor` with a real Valkey and the real emulator, whole and with one thing broken at a time."""

import asyncio
import json
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from config.keys import Keys
from console.cli import doctor
from console.cli.main import main
from tests.config.sources.platforms import TOKEN, Emulated, Scripted
from tests.console.beside import SECRET, beside, emulator_beside, scripted_beside, write_file
from tests.console.test_status import late
from workers.ledger.standing import sign_on

Captured = pytest.CaptureFixture[str]
PUBLIC = "http://127.0.0.1:9"
DOOR = f"{PUBLIC}/webhooks/apify"
ENDS = ["ACTOR.RUN.SUCCEEDED", "ACTOR.RUN.FAILED", "ACTOR.RUN.ABORTED", "ACTOR.RUN.TIMED_OUT"]
OURS = {
    "id": "w1",
    "eventTypes": ENDS,
    "requestUrl": DOOR,
    "headersTemplate": json.dumps({"Authorization": f"Bearer {SECRET}"}),
}
ALL_WELL = [
    "file", "redis", "redis_clock", "workers", "holds", "quarantine", "source_data", "spool",
    "apify.token", "apify.clock", "apify.address", "apify.webhooks",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _surroundings(valkey_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    async def prepare(*, worker: bool) -> None:
        redis = Redis.from_url(valkey_server)
        await redis.flushall()
        if worker:
            await sign_on(redis, Keys("rr"), "here:1:ab", round(time.time() * 1000), 10)
        await redis.aclose()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDIS_URL", valkey_server)
    monkeypatch.setenv("RUNRELAY_PUBLIC_URL", PUBLIC)
    asyncio.run(prepare(worker=True))
    yield
    asyncio.run(prepare(worker=False))


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulated]:
    with emulator_beside(tmp_path) as place:
        yield place


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Scripted]:
    with scripted_beside(tmp_path) as place:
        place.says("/users/me", {"data": {"id": "u1", "username": "acme"}}, Date=formatdate(usegmt=True))
        place.says("?offset=0", {"data": {"items": []}})
        place.says("?offset=1", {"data": {"items": []}})
        yield place


def examined(capsys: Captured, code: int) -> dict[str, dict[str, Any]]:
    """What the doctor says, by check; the last word where there are several."""
    assert main(["doctor", "--json"]) == code
    captured = capsys.readouterr()
    assert SECRET not in captured.out + captured.err
    return {one["check"]: one for one in map(json.loads, captured.out.splitlines())}


def bad(capsys: Captured) -> dict[str, dict[str, Any]]:
    found = {check: one for check, one in examined(capsys, 1).items() if not one["ok"]}
    assert all(one["cure"] for one in found.values())
    return found


@pytest.mark.usefixtures("emulator")
def test_where_all_is_well_it_says_so_and_ends_with_0(capsys: Captured) -> None:
    said = examined(capsys, 0)
    assert list(said) == ALL_WELL
    assert all(one["ok"] and not one["cure"] for one in said.values())
    assert main(["doctor"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(ALL_WELL)


def test_a_webhook_whose_dispatches_fail_is_found_with_its_cure(emulator: Emulated, capsys: Captured) -> None:
    """Nothing listens at the door: the platform gets no answer."""
    assert main(["webhooks", "register", "local/writer", "--json"]) == 0
    webhook = json.loads(capsys.readouterr().out)["webhook"]
    assert (
        examined(capsys, 0)["apify.webhooks"]["message"]
        == "1 persistent webhook that leads here, and nothing against it"
    )
    asked(emulator, "PUT", f"/webhooks/{webhook}", {"doNotRetry": True})
    dispatch = asked(emulator, "POST", f"/webhooks/{webhook}/test")["id"]
    while asked(emulator, "GET", f"/webhook-dispatches/{dispatch}")["status"] == "ACTIVE":
        time.sleep(0.02)
    message = f"1 of the last 1 dispatches of webhook {webhook} failed, the newest with no answer"
    assert {check: one["message"] for check, one in bad(capsys).items()} == {"apify.webhooks": message}


def test_a_webhook_that_is_not_as_it_should_be_is_found(platform: Scripted, capsys: Captured) -> None:
    theirs = {**OURS, "headersTemplate": "{}", "isEnabled": False}
    others = {**OURS, "id": "w2", "requestUrl": "http://127.0.0.1:99/webhooks/apify"}
    dispatches = [
        {"id": f"d{n}", "status": "ACTIVE" if n == 0 else "FAILED" if n == 1 else "SUCCEEDED"} for n in range(25)
    ]
    of_a_run = {**OURS, "id": "w3", "eventTypes": [], "isAdHoc": True}
    platform.says("?offset=0", {"data": {"items": [theirs, others, of_a_run]}})
    platform.says("?offset=3", {"data": {"items": []}})
    platform.says("/webhooks/w1", {"data": theirs})
    platform.says("/webhooks/w1/dispatches", {"data": {"items": dispatches}})
    platform.says("/webhook-dispatches/d1", {"data": {"id": "d1", "calls": [{"responseStatus": 401}]}})
    assert main(["doctor", "--json"]) == 1
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["message"], one["cure"]) for one in said if not one["ok"]] == [
        ("webhook w1 is switched off", "switch it on in the Console"),
        ("webhook w1 differs from what it should be in headersTemplate", "runrelay webhooks adopt w1"),
        (
            "1 of the last 20 dispatches of webhook w1 failed, the newest with HTTP 401",
            "make it bring our secret: runrelay webhooks adopt w1",
        ),
    ]


def test_a_failure_that_a_success_came_after_is_over(platform: Scripted, capsys: Captured) -> None:
    dispatches = [{"id": f"d{n}", "status": "FAILED" if n else "SUCCEEDED"} for n in range(25)]
    platform.says("?offset=0", {"data": {"items": [OURS]}})
    platform.says("/webhooks/w1", {"data": OURS})
    platform.says("/webhooks/w1/dispatches", {"data": {"items": dispatches}})
    assert examined(capsys, 0)["apify.webhooks"]["ok"]


def test_a_platform_whose_clock_is_another_is_found(platform: Scripted, capsys: Captured) -> None:
    platform.says("/users/me", {"data": {"id": "u1"}}, Date=formatdate(time.time() - 300, usegmt=True))
    assert list(found := bad(capsys)) == ["apify.clock"]
    assert "the platform are " in found["apify.clock"]["message"]


def test_a_token_that_is_refused_is_found_and_the_rest_is_still_examined(platform: Scripted, capsys: Captured) -> None:
    write_file(Path(), platform.source.manners.base_url.removesuffix("/v2"), token="another-token-0123")
    said = examined(capsys, 1)
    assert [check for check, one in said.items() if not one["ok"]] == ["apify.token", "apify.webhooks"]
    assert said["apify.token"]["cure"] == "check `token` of the source"
    assert "another-token" not in json.dumps(said)


def test_an_account_that_the_source_does_not_serve_is_found(platform: Scripted, capsys: Captured) -> None:
    file = Path("runrelay.yaml")
    file.write_text(file.read_text().replace("webhook:", "accounts: [u2], webhook:"))
    assert list(found := bad(capsys)) == ["apify.token"]
    assert found["apify.token"]["message"] == "it belongs to u1, whose runs are not among `accounts`: u2"


@pytest.mark.usefixtures("platform")
@pytest.mark.parametrize(
    ("public", "api", "message"),
    [
        ("", "", "RUNRELAY_PUBLIC_URL is not set"),
        ("http://localhost:8080", "http://192.0.2.1:9", "the platform cannot reach localhost"),
    ],
)
def test_an_address_the_platform_cannot_reach_is_found(
    public: str, api: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr(doctor, "LIMIT", 0.5)
    monkeypatch.setenv("RUNRELAY_PUBLIC_URL", public)
    if api:
        write_file(tmp_path, api)
    assert bad(capsys)["apify.address"]["message"].startswith(message)


def test_a_source_without_secrets_is_found(platform: Scripted, capsys: Captured) -> None:
    file = Path("runrelay.yaml")
    file.write_text(file.read_text().replace(f", webhook: {{secrets: [{SECRET}]}}", ""))
    assert list(found := bad(capsys)) == ["apify.address"]
    assert "webhook.secrets" in found["apify.address"]["cure"]


def test_with_redis_and_platform_down_everything_else_is_examined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    write_file(tmp_path, "http://127.0.0.1:1")
    said = examined(capsys, 1)
    assert {check: one["ok"] for check, one in said.items()} == {
        "file": True,
        "redis": False,
        "spool": True,
        "apify.token": False,
        "apify.address": True,
        "apify.webhooks": False,
    }
    assert "REDIS_URL" in said["redis"]["cure"]
    assert "api_url" in said["apify.token"]["cure"]


def test_a_stale_route_and_a_run_in_quarantine_have_their_cure(
    emulator: Emulated, valkey_server: str, tmp_path: Path, capsys: Captured
) -> None:
    late(valkey_server, tmp_path)
    said = bad(capsys)
    assert said["freshness"]["message"] == "all should have delivered: every 6h is wanted"
    assert said["freshness"]["cure"].startswith("`runrelay runs` lists what came")
    assert said["quarantine"]["message"] == "all: 2 of apify are held (not_as_expected)"
    assert said["quarantine"]["cure"].startswith("`runrelay quarantine show ")


def test_a_platform_that_does_not_answer_in_time_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    @asynccontextmanager
    async def silent() -> AsyncIterator[str]:
        server = await asyncio.start_server(lambda *_: asyncio.sleep(60), "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    monkeypatch.setattr(doctor, "LIMIT", 0.3)
    with beside(silent) as url:
        write_file(tmp_path, url)
        assert bad(capsys)["apify.token"]["message"] == "no answer within 0 s"


@pytest.mark.usefixtures("platform")
def test_nobody_at_work_is_found(valkey_server: str, capsys: Captured) -> None:
    asyncio.run(_flushed(valkey_server))
    assert list(bad(capsys)) == ["workers"]


@pytest.mark.usefixtures("platform")
def test_a_spool_folder_nobody_may_write_to_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    (tmp_path / "spool").write_text("a file is no folder")
    monkeypatch.setenv("RUNRELAY_SPOOL_DIR", str(tmp_path / "spool" / "below"))
    assert list(found := bad(capsys)) == ["spool"]
    assert "RUNRELAY_SPOOL_DIR" in found["spool"]["cure"]


@pytest.mark.usefixtures("platform")
def test_a_redis_that_forgets_is_found_setting_by_setting(valkey_server: str, capsys: Captured) -> None:
    async def put(name: str, value: str) -> None:
        redis = Redis.from_url(valkey_server)
        await redis.config_set(name, value)
        await redis.aclose()

    asyncio.run(put("appendfsync", "no"))
    try:
        found = bad(capsys)
    finally:
        asyncio.run(put("appendfsync", "always"))
    assert list(found) == ["redis"]
    assert found["redis"]["message"].startswith("appendfsync is no: ")
    assert found["redis"]["cure"] == "set `appendfsync always`"


def test_a_file_that_cannot_be_used_is_found_and_redis_is_examined_all_the_same(capsys: Captured) -> None:
    Path("runrelay.yaml").write_text("version: 7\n")
    said = examined(capsys, 1)
    assert (said["file"]["ok"], said["redis"]["ok"], said["spool"]["ok"]) == (False, True, True)
    assert said["file"]["cure"] == "mend it: `runrelay check` shows where"


async def _flushed(url: str) -> None:
    redis = Redis.from_url(url)
    await redis.flushall()
    await redis.aclose()


def asked(place: Emulated, method: str, path: str, body: object = None) -> dict[str, Any]:
    """What the emulator says to its owner."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    raw = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(place.source.manners.base_url + path, raw, headers, method=method)
    with urllib.request.urlopen(request) as answer:
        return dict(json.load(answer)["data"])
