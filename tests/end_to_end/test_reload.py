"""Secrets and routes that change while receiver and worker run: as processes of their own, and in one loop."""

import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from config import reloading
from config.settings import Settings
from console.processes import Crew
from tests.console.command import COMMAND, environment, ran
from tests.end_to_end.far_side import FarSide, far_side
from tests.end_to_end.installation import EVENTS, eventually, installation

OLD, NEW = "old-secret-0123456789", "new-secret-0123456789"
SOURCES = """\
version: 1
sources:
  apify: {token: apify-token-0123456789, webhook: {secrets: ["${HOOK_SECRET}"]}}
  second: {type: apify, token: apify-token-0123456789, webhook: {secrets: ["${file:secret}"]}}
"""
ROUTES = """\
sinks: {out: {type: stdout}}
routes: [{name: all, to: [{sink: out}]}]
"""
TEST = {"eventType": EVENTS[0].replace("SUCCEEDED", "CREATED"), "resource": {"id": "abc"}}


@dataclass
class Process:
    """A receiver or a worker of its own."""

    url: str
    crew: Crew
    http: ClientSession
    lines: list[dict[str, Any]]

    def hang_up(self) -> None:
        self.crew.children[0].process.send_signal(signal.SIGHUP)

    async def knock(self, source: str, secret: str) -> int:
        """The status of a webhook that is good but for the secret, perhaps."""
        headers = {"Authorization": f"Bearer {secret}"}
        async with self.http.post(f"{self.url}/webhooks/{source}", json=TEST, headers=headers) as response:
            return response.status

    async def answers(self, source: str, secret: str, status: int) -> None:
        async def so() -> bool | None:
            return (await self.knock(source, secret)) == status or None

        await eventually(so)

    async def told(self, event: str) -> dict[str, Any]:
        """The first line of this event."""

        async def line() -> dict[str, Any] | None:
            return next((line for line in self.lines if line.get("event") == event), None)

        return await eventually(line)

    async def figure(self) -> list[str]:
        async with self.http.get(f"{self.url}/metrics") as response:
            text = await response.text()
        return [line for line in text.splitlines() if line.startswith("runrelay_config_reload_success")]


def write(folder: Path) -> None:
    (folder / "runrelay.yaml").write_text(SOURCES + ROUTES)
    (folder / ".env").write_text(f"HOOK_SECRET={OLD}\n")
    (folder / "secret").write_text(OLD)


@asynccontextmanager
async def process(part: str, folder: Path, redis_url: str) -> AsyncIterator[Process]:
    write(folder)
    env = environment(folder / "home", {"REDIS_URL": redis_url, "RUNRELAY_SPOOL_DIR": str(folder / "spool")})
    lines: list[dict[str, Any]] = []
    async with ClientSession() as http, Crew(lambda _, line: lines.append(json.loads(line))) as crew:
        url = await crew.start(part, [part, "--port", "0"], env=env, cwd=folder)
        yield Process(url, crew, http, lines)


async def test_a_rotated_secret_opens_the_door_and_the_old_one_no_longer_does(tmp_path: Path, valkey_url: str) -> None:
    async with process("receiver", tmp_path, valkey_url) as receiver:
        assert [await receiver.knock("apify", secret) for secret in (OLD, NEW)] == [200, 401]
        (tmp_path / ".env").write_text(f"HOOK_SECRET={NEW}\n")
        (tmp_path / "secret").write_text(NEW)
        await receiver.answers("apify", NEW, 200)
        assert [await receiver.knock(source, OLD) for source in ("apify", "second")] == [401, 401]
        assert await receiver.knock("second", NEW) == 200
        assert await receiver.figure() == ["runrelay_config_reload_success 1.0"]


async def test_a_broken_file_keeps_the_door_as_it_is_and_says_where_it_is_broken(
    tmp_path: Path, valkey_url: str
) -> None:
    file = tmp_path / "runrelay.yaml"
    async with process("receiver", tmp_path, valkey_url) as receiver:
        file.write_text((SOURCES + ROUTES).replace("HOOK_SECRET", "HOOK_SECRTE"))
        receiver.hang_up()
        line = await receiver.told("config.reload_failed")
        assert (line["level"], line["problem"].partition(": ")[0]) == ("error", "runrelay.yaml:3:62")
        assert await receiver.figure() == ["runrelay_config_reload_success 0.0"]
        assert [await receiver.knock("apify", secret) for secret in (OLD, NEW)] == [200, 401]
        file.write_text(SOURCES + ROUTES)
        receiver.hang_up()
        await receiver.told("config.reloaded")
        assert await receiver.figure() == ["runrelay_config_reload_success 1.0"]


async def test_sources_come_and_go(tmp_path: Path, valkey_url: str) -> None:
    file = tmp_path / "runrelay.yaml"
    async with process("receiver", tmp_path, valkey_url) as receiver:
        assert [await receiver.knock(source, OLD) for source in ("second", "third")] == [200, 404]
        fenced = SOURCES.replace("webhook: {", "webhook: {allow_ips: [192.0.2.1], ", 1)
        file.write_text(fenced.replace("second:", "third:") + ROUTES)
        receiver.hang_up()
        await receiver.answers("third", OLD, 200)
        assert [await receiver.knock(source, OLD) for source in ("second", "apify")] == [404, 403]


async def test_a_worker_hears_a_hangup_and_says_how_it_went(tmp_path: Path, valkey_url: str) -> None:
    async with process("worker", tmp_path, valkey_url) as worker:
        assert await worker.figure() == ["runrelay_config_reload_success 1.0"]
        (tmp_path / "runrelay.yaml").write_text(SOURCES + ROUTES.replace("sink: out", "sink: nowhere"))
        worker.hang_up()
        line = await worker.told("config.reload_failed")
        assert line["problem"].startswith("runrelay.yaml:6:34: routes[0].to[0].sink: ")
        assert await worker.figure() == ["runrelay_config_reload_success 0.0"]


FAILING = "tests: [{name: one, given: {items: [{n: 1}]}, expect: {route: all, sent: {out: [{n: 2}]}}}]\n"
OBJECTION = "runrelay.yaml:7:85: tests[0].expect.sent.out[0].n: test 'one': `out`, item 0: `n` should be 2, and is 1"


async def test_a_worker_keeps_the_file_it_has_when_the_tests_of_the_new_one_fail(
    tmp_path: Path, valkey_url: str
) -> None:
    async with process("worker", tmp_path, valkey_url) as worker:
        (tmp_path / "runrelay.yaml").write_text(SOURCES + ROUTES + FAILING)
        worker.hang_up()
        assert (await worker.told("config.reload_failed"))["problem"] == OBJECTION
        assert await worker.figure() == ["runrelay_config_reload_success 0.0"]
        (tmp_path / "runrelay.yaml").write_text(SOURCES + ROUTES + FAILING.replace("n: 2", "n: 1"))
        worker.hang_up()
        await worker.told("config.reloaded")
        assert await worker.figure() == ["runrelay_config_reload_success 1.0"]


def test_a_worker_does_not_start_on_a_file_whose_tests_fail(tmp_path: Path, valkey_server: str) -> None:
    write(tmp_path)
    (tmp_path / "runrelay.yaml").write_text(SOURCES + ROUTES + FAILING)
    for words in (["worker", "--port", "0"], ["up", "--port", "0", "--worker-port", "0"]):
        ended = ran(words, tmp_path, {"REDIS_URL": valkey_server, "RUNRELAY_SPOOL_DIR": str(tmp_path / "spool")})
        assert (ended.code, ended.err) == (78, f"{OBJECTION}\n")


async def test_a_receiver_opens_whatever_the_tests_say(tmp_path: Path, valkey_url: str) -> None:
    """What it takes waits for a worker with a file that is right."""
    async with process("receiver", tmp_path, valkey_url) as receiver:
        (tmp_path / "runrelay.yaml").write_text(SOURCES + ROUTES + FAILING)
        receiver.hang_up()
        await receiver.told("config.reloaded")
        assert await receiver.knock("apify", OLD) == 200


def test_a_hangup_ends_who_has_lost_its_terminal(tmp_path: Path, valkey_server: str) -> None:
    write(tmp_path)
    terminal, theirs = os.openpty()
    env = environment(tmp_path / "home", {"REDIS_URL": valkey_server})
    words = [*COMMAND, "receiver", "--port", "0"]
    with subprocess.Popen(words, cwd=tmp_path, env=env, stdin=theirs, stdout=-1, stderr=-1, text=True) as receiver:
        try:
            os.close(theirs)
            assert receiver.stdout
            assert receiver.stderr
            receiver.stdout.readline()
            receiver.send_signal(signal.SIGHUP)
            assert any("config.reloaded" in line for line in receiver.stderr)
            os.close(terminal)
            receiver.send_signal(signal.SIGHUP)
            assert receiver.wait(30) == 0
        finally:
            receiver.kill()


async def test_a_whole_installation_passes_a_hangup_on(tmp_path: Path) -> None:
    write(tmp_path)
    lines: list[str] = []
    async with Crew(lambda _, line: lines.append(line), patience=30) as crew:
        words = ["up", "--port", "0", "--worker-port", "0"]
        await crew.start("up", words, env=environment(tmp_path / "home"), cwd=tmp_path)
        crew.children[0].process.send_signal(signal.SIGHUP)

        async def both() -> bool | None:
            told = {line.partition("|")[0].strip() for line in lines if "config.reloaded" in line}
            return told == {"receiver", "worker"} or None

        await eventually(both)
        assert crew.children[0].process.returncode is None


# in one loop


def routes_to(url: str, name: str) -> str:
    return f"""\
sinks: {{crm: {{type: http, url: "{url}", batch: {{items: 5}}}}}}
routes: [{{name: {name}, to: [{{sink: crm}}]}}]
"""


async def asked(side: FarSide) -> None:
    """Wait until a delivery is under way."""

    async def so() -> bool | None:
        return bool(side.requests) or None

    await eventually(so)


async def test_the_next_run_takes_the_new_route_and_a_delivery_under_way_ends_with_its_own(
    settings: Settings, tmp_path: Path, actors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reloading, "PAUSE", 0.05)
    hasty = settings.model_copy(update={"slice_seconds": 0.5})
    file = tmp_path / "runrelay.yaml"
    async with (
        far_side(pause=0.2) as before,
        far_side() as after,
        installation(hasty, tmp_path, routes_to(before.url, "one"), actors) as place,
    ):
        first = (await place.start("local~pusher", {"items": 40}))["id"]
        await asked(before)
        head = file.read_text().partition("sinks:")[0]
        file.write_text(head + routes_to(after.url, "two"))
        second = (await place.start("local~pusher", {"items": 10}))["id"]
        (_, (old,)), (_, (new,)) = [await place.finished(run) for run in (first, second)]
    assert [(one.delivery.route, one.state) for one in (old, new)] == [("one", "delivered"), ("two", "delivered")]
    assert [item["n"] for item in before.items] == list(range(40))
    assert [item["n"] for item in after.items] == list(range(10))


async def test_a_delivery_under_way_goes_on_with_todays_values(
    settings: Settings, tmp_path: Path, actors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reloading, "PAUSE", 0.05)
    hasty = settings.model_copy(update={"slice_seconds": 0.5})
    async with far_side(pause=0.2) as before, far_side() as after:
        (tmp_path / ".env").write_text(f"SIDE={before.url}\n")
        async with installation(hasty, tmp_path, routes_to("${SIDE}", "one"), actors) as place:
            run = (await place.start("local~pusher", {"items": 40}))["id"]
            await asked(before)
            (tmp_path / ".env").write_text(f"SIDE={after.url}\n")
            _, (delivery,) = await place.finished(run)
    assert delivery.state == "delivered"
    assert len(before.items) < 40
    assert [item["n"] for item in before.items + after.items] == list(range(40))


async def test_a_new_source_is_worked_for(
    settings: Settings, tmp_path: Path, actors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run of it that nobody announces is found, and one it lost is not looked for any more."""
    monkeypatch.setattr(reloading, "PAUSE", 0.05)
    monkeypatch.setattr("workers.care.reconciler.GRACE", 0.0)
    file = tmp_path / "runrelay.yaml"
    async with (
        far_side() as side,
        installation(settings, tmp_path, routes_to(side.url, "all"), actors) as place,
    ):
        text = file.read_text().replace(
            "  apify:\n", "  other:\n    type: apify\n    reconcile: {every: 1s, lookback: 1h}\n"
        )
        file.write_text(text)

        async def started() -> bool | None:
            return bool(await place.ledger.redis.exists("rr:since:other")) or None

        await eventually(started)
        run = (await place.api("POST", "/v2/acts/local~pusher/runs", json={"items": 3}))["id"]

        async def delivered() -> bool | None:
            _, deliveries = await place.ledger.of_run("other", run)
            return (bool(deliveries) and all(one.state.final for one in deliveries)) or None

        await eventually(delivered)
    assert [item["n"] for item in side.items] == [0, 1, 2]
