"""`runrelay start` and `call`: against a real emulator, receiver and worker, and a platform that loses answers."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from config.contracts.api import Manners
from config.settings import Settings
from config.sources.apify.paths import program_path
from config.sources.apify.starting import RunOptions, announcement
from config.sources.apify.verdict import verdict
from config.sources.apify.webhooks import decode
from console.cli.main import main
from console.starting import followed, has_ended
from tests.console.command import Ended, ran, running
from tests.end_to_end.conftest import PUSHER
from tests.end_to_end.installation import SECRET, installation
from tests.workers.fetch.far_platform import TOKEN, far, http
from workers.fetch.api import HttpApi, open_session

ROUTES = """
sinks: {disk: {type: file, base: "{folder}/results"}}
routes: [{name: all, when: {status: SUCCEEDED}, to: [{sink: disk}]}]
"""
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def actors(tmp_path: Path) -> Path:
    folder = tmp_path / "actors" / "pusher"
    folder.mkdir(parents=True)
    (folder / "actor.yaml").write_text('name: pusher\ncommand: ["{python}", "main.py"]\n')
    (folder / "main.py").write_text(PUSHER)
    return folder.parent


async def _ran(words: list[str], folder: Path, settings: Settings, **more: str) -> Ended:
    return await asyncio.to_thread(ran, words, folder, {"REDIS_URL": settings.redis_url, **more})


async def test_start_makes_the_platform_tell_the_receiver(tmp_path: Path, settings: Settings, actors: Path) -> None:
    async with installation(settings, tmp_path, ROUTES, actors) as up:
        options = [
            "--timeout",
            "30",
            "--memory",
            "256",
            "--max-items",
            "9",
            "--build",
            "latest",
            "--wait-for-finish",
            "0",
        ]
        words = ["start", "local/pusher", "--input", '{"items": 3}', *options, "--restart-on-error", "--json"]
        ended = await _ran(words, tmp_path, settings, RUNRELAY_PUBLIC_URL=up.door)
        assert ended.code == 0, ended.err
        [started] = ended.objects
        assert started["webhook"] == f"{up.door}/webhooks/apify"
        events, deliveries = await up.finished(started["run_id"])
        assert [(event.via, event.kind) for event in events] == [("webhook", "ACTOR.RUN.SUCCEEDED")]
        assert [one.state.value for one in deliveries] == ["delivered"]
        run = await up.api("GET", f"/v2/actor-runs/{started['run_id']}")
        assert {name: run["options"][name] for name in ("timeoutSecs", "memoryMbytes", "maxItems")} == {
            "timeoutSecs": 30,
            "memoryMbytes": 256,
            "maxItems": 9,
        }
        assert SECRET not in ended.out + ended.err


async def test_call_waits_announces_follows_and_prints_the_receipt(
    tmp_path: Path, settings: Settings, actors: Path
) -> None:
    (tmp_path / "input.json").write_text('{"items": 7}')
    async with installation(settings, tmp_path, ROUTES, actors):
        ended = await _ran(["call", "local~pusher", "--input", "@input.json", "--json"], tmp_path, settings)
        assert ended.code == 0, ended.err
        started, announced, last = ended.objects
        assert (started["event"], announced["event"], announced["status"]) == ("started", "announced", "SUCCEEDED")
        [row] = last["receipts"]
        assert (row["expected"], row["read"], row["delivered"], row["status"]) == (7, 7, 7, "balanced")


async def test_call_of_a_run_that_fails_ends_with_1(tmp_path: Path, settings: Settings, actors: Path) -> None:
    async with installation(settings, tmp_path, ROUTES, actors):
        ended = await _ran(["call", "local/pusher", "--input", '{"exit": 3}', "--json"], tmp_path, settings)
        *_, announced, last = ended.objects
        assert (ended.code, announced["status"], last) == (1, "FAILED", {"receipts": []})


async def test_call_without_a_worker_says_so(tmp_path: Path, settings: Settings, actors: Path) -> None:
    async with installation(settings, tmp_path, ROUTES, actors):
        words = ["call", "local/pusher", "--follow-for", "1", "--json"]
        ended = await _ran(words, tmp_path, settings, RUNRELAY_NAMESPACE="nobody")
        assert (ended.code, ended.objects[-1]["kind"]) == (1, "not_delivered")
        assert "runrelay worker" in ended.objects[-1]["message"]


async def test_an_unknown_actor_and_a_platform_that_is_away_are_one_clear_line(
    tmp_path: Path, settings: Settings, actors: Path
) -> None:
    async with installation(settings, tmp_path, ROUTES, actors):
        ended = await _ran(["call", "local/nobody"], tmp_path, settings)
        assert (ended.code, ended.out) == (1, "")
        assert ended.err.startswith("runrelay: the platform does not know it (HTTP 404")
    ended = await _ran(["call", "local/pusher"], tmp_path, settings)
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert ended.err.startswith("runrelay: the platform cannot be reached (ClientConnectorError")


async def test_nothing_is_started_while_the_inbox_is_away(tmp_path: Path, settings: Settings, actors: Path) -> None:
    async with installation(settings, tmp_path, ROUTES, actors) as up:
        ended = await asyncio.to_thread(ran, ["call", "local/pusher"], tmp_path, {"REDIS_URL": "redis://127.0.0.1:1/0"})
        assert (ended.code, ended.err.count("\n"), "REDIS_URL" in ended.err) == (1, 1, True)
        assert (await up.api("GET", "/v2/actor-runs"))["total"] == 0


async def test_ctrl_c_while_a_call_waits_says_that_the_run_goes_on(
    tmp_path: Path, settings: Settings, actors: Path
) -> None:
    main_py = actors / "pusher" / "main.py"
    main_py.write_text("import time\ntime.sleep(60)\n")
    async with installation(settings, tmp_path, ROUTES, actors):
        with running(["call", "local/pusher"], tmp_path, {"REDIS_URL": settings.redis_url}) as process:
            assert process.stderr
            while " READY" not in await asyncio.to_thread(process.stderr.readline):
                pass
            process.send_signal(signal.SIGINT)
            _, told = await asyncio.to_thread(process.communicate, timeout=30)
    assert process.returncode == 130
    assert "goes on at the platform" in told


@dataclass
class Forgetful:
    """A platform that starts the run and then hangs up."""

    runs: list[dict[str, Any]]
    webhooks: list[str] = field(default_factory=list)
    url: str = ""

    async def start(self, request: web.Request) -> web.Response:
        self.webhooks.append(request.query["webhooks"])
        assert request.transport
        request.transport.abort()
        return web.Response()

    async def listed(self, _: web.Request) -> web.Response:
        return web.json_response({"data": {"items": self.runs}})


@asynccontextmanager
async def forgetful(runs: list[dict[str, Any]]) -> AsyncIterator[Forgetful]:
    platform = Forgetful(runs)
    app = web.Application()
    app.router.add_post("/v2/acts/acme~shop/runs", platform.start)
    app.router.add_get("/v2/acts/acme~shop/runs", platform.listed)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    platform.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield platform
    await runner.cleanup()


def _file(folder: Path, api_url: str, secrets: str = "[s3cret-of-mine]") -> None:
    source = f"{{token: t0ken-of-mine, api_url: {api_url}, webhook: {{secrets: {secrets}}}}}"
    (folder / "runrelay.yaml").write_text(
        f"version: 1\nsources: {{apify: {source}}}\nsinks: {{out: {{type: stdout}}}}\n"
        "routes: [{name: all, to: [{sink: out}]}]\n"
    )


def _at(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


async def test_a_start_whose_answer_was_lost_is_not_repeated_and_what_started_since_is_named(tmp_path: Path) -> None:
    runs = [
        {"id": "RunOfNow", "status": "RUNNING", "startedAt": _at(60)},
        {"id": "RunOfBefore", "status": "RUNNING", "startedAt": _at(-3600)},
    ]
    async with forgetful(runs) as platform:
        _file(tmp_path, platform.url)
        more = {"RUNRELAY_PUBLIC_URL": "http://127.0.0.1:8080"}
        ended = await asyncio.to_thread(ran, ["start", "acme/shop", "--json"], tmp_path, more)
    assert (ended.code, len(platform.webhooks)) == (1, 1)
    [said] = ended.objects
    assert said["kind"] == "start_unknown"
    assert "RunOfNow (RUNNING)" in said["message"]
    assert "RunOfBefore" not in said["message"]


async def test_if_nothing_has_started_since_it_says_that(tmp_path: Path) -> None:
    async with forgetful([]) as platform:
        _file(tmp_path, platform.url)
        more = {"RUNRELAY_PUBLIC_URL": "http://127.0.0.1:8080/"}
        first = await asyncio.to_thread(ran, ["start", "acme/shop", "--json"], tmp_path, more)
        await asyncio.to_thread(ran, ["start", "acme/shop"], tmp_path, more)
    assert "No run of acme/shop has started since" in first.objects[0]["message"]
    [one], [two] = (decode(value) for value in platform.webhooks)
    assert one.idempotency_key != two.idempotency_key  # a second start is another one, and needs its own webhook
    assert one == msgspec.structs.replace(two, idempotency_key=one.idempotency_key)
    assert one.request_url == "http://127.0.0.1:8080/webhooks/apify"
    assert json.loads(one.headers_template or "") == {"Authorization": "Bearer s3cret-of-mine"}


@pytest.mark.parametrize(
    ("public_url", "secrets", "kind"),
    [
        ("", "[s3cret-of-mine]", "public_url_missing"),
        ("http://127.0.0.1:8080", "[s3cret-of-mine]", "public_url_loopback"),
        ("http://localhost:8080", "[s3cret-of-mine]", "public_url_loopback"),
        ("http://[::1]:8080", "[s3cret-of-mine]", "public_url_loopback"),
    ],
)
def test_a_webhook_that_could_never_arrive_is_refused_before_anything_starts(
    public_url: str, secrets: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.chdir(tmp_path)
    _file(tmp_path, "https://api.apify.invalid", secrets)
    monkeypatch.setenv("RUNRELAY_PUBLIC_URL", public_url)
    assert main(["start", "acme/shop", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["kind"] == kind


@pytest.mark.parametrize(
    "words", [["../../users/me"], [".."], ["acme/.."], ["acme/shop/x"], ["a b"], ["acme/shop", "--input", "{x"]]
)
def test_what_cannot_be_an_actor_or_an_input_is_wrong_usage(words: list[str], capsys: Captured) -> None:
    assert main(["call", *words]) == 2


def test_several_sources_have_to_be_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.chdir(tmp_path)
    _file(tmp_path, "https://api.apify.invalid")
    file = tmp_path / "runrelay.yaml"
    file.write_text(file.read_text().replace("sources: {", "sources: {second: {type: apify, token: t}, "))
    assert main(["call", "acme/shop"]) == 1
    assert "--source; the file has second, apify" in capsys.readouterr().err
    assert main(["call", "acme/shop", "--source", "third"]) == 1


def test_options_are_written_as_the_platform_names_them() -> None:
    options = RunOptions(
        timeout=0.5,
        memory=128,
        max_items=1,
        max_total_charge_usd=2.0,
        restart_on_error=False,
        build="0.1.2",
        wait_for_finish=60.0,
        force_permission_level="LIMITED_PERMISSIONS",
    )
    assert options.params() == {
        "timeout": "0.5",
        "memory": 128,
        "maxItems": 1,
        "maxTotalChargeUsd": "2",
        "restartOnError": "false",
        "build": "0.1.2",
        "waitForFinish": "60",
        "forcePermissionLevel": "LIMITED_PERMISSIONS",
    }
    assert RunOptions().params() == {}


def test_an_actor_has_one_path_however_it_is_named_and_a_task_another() -> None:
    names = ("acme/shop", "acme~shop", "E2jjCZBezvAZnX8Rb", "task:acme/nightly", "task:T2jjCZBezvAZnX8Rb")
    assert [program_path(name) for name in names] == [
        "/acts/acme~shop",
        "/acts/acme~shop",
        "/acts/E2jjCZBezvAZnX8Rb",
        "/actor-tasks/acme~nightly",
        "/actor-tasks/T2jjCZBezvAZnX8Rb",
    ]


@pytest.mark.parametrize(
    ("status", "finished", "ended"),
    [
        ("SUCCEEDED", None, True),
        ("TIMED-OUT", "2026-11-22T10:00:00.000Z", True),
        ("EVICTED", "2026-11-22T10:00:00.000Z", True),
        ("EVICTED", None, False),
        ("TIMING-OUT", "2026-11-22T10:00:00.000Z", False),
        ("RUNNING", None, False),
    ],
)
def test_a_run_has_ended_by_its_status_or_by_its_time(status: str, finished: str | None, ended: bool) -> None:
    assert has_ended({"id": "r", "status": status, "finishedAt": finished}) is ended


def test_the_announcement_is_the_platform_s_own() -> None:
    run = {"id": "R", "actId": "A", "userId": "U", "status": "TIMED-OUT", "finishedAt": "2026-11-22T10:00:00.000Z"}
    kind, body = announcement(run)
    assert (kind, json.loads(body)) == (
        "ACTOR.RUN.TIMED_OUT",
        {
            "userId": "U",
            "createdAt": "2026-11-22T10:00:00.000Z",
            "eventType": "ACTOR.RUN.TIMED_OUT",
            "eventData": {"actorId": "A", "actorRunId": "R"},
            "resource": run,
        },
    )
    assert announcement(run) == (kind, body)


async def test_a_run_is_looked_at_again_however_long_a_platform_in_trouble_asks_to_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("console.starting._LONGEST_PAUSE", 0.01)
    ended = json.dumps({"data": {"id": "r1", "status": "SUCCEEDED"}}).encode()
    async with far(http(503, Retry_After=86_400), http(200, ended)) as place, open_session() as session:
        api = HttpApi(session, Manners(place.url, TOKEN, verdict))
        seen = [run["status"] async for run in followed(api, {"id": "r1", "status": "RUNNING"})]
    assert (seen, len(place.requests)) == (["RUNNING", "SUCCEEDED"], 2)
