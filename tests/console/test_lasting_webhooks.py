"""`runrelay webhooks register|adopt|send`: what the platform is asked to keep, and what is never sent to strangers."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from console.cli.main import main
from tests.config.sources.platforms import Scripted
from tests.console.beside import SECRET, beside, scripted_beside, write_file

Captured = pytest.CaptureFixture[str]
PUBLIC = "http://127.0.0.1:9"
DOOR = f"{PUBLIC}/webhooks/apify"
ENDS = ["ACTOR.RUN.SUCCEEDED", "ACTOR.RUN.FAILED", "ACTOR.RUN.ABORTED", "ACTOR.RUN.TIMED_OUT"]
HEADERS = json.dumps({"Authorization": f"Bearer {SECRET}"})
OURS = {"id": "w1", "eventTypes": ENDS, "requestUrl": DOOR, "headersTemplate": HEADERS}


@pytest.fixture(autouse=True)
def _surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUNRELAY_PUBLIC_URL", PUBLIC)


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Scripted]:
    with scripted_beside(tmp_path) as place:
        yield place


def told(capsys: Captured) -> dict[str, Any]:
    [line] = capsys.readouterr().out.splitlines()
    return dict(json.loads(line))


@pytest.mark.parametrize(
    ("program", "path", "condition"),
    [
        ("acme/shop", "/acts/acme~shop", {"actorId": "x1"}),
        ("task:acme/nightly", "/actor-tasks/acme~nightly", {"actorTaskId": "x1"}),
    ],
)
def test_a_webhook_is_made_for_every_end_of_what_it_watches(
    program: str, path: str, condition: dict[str, str], platform: Scripted, capsys: Captured
) -> None:
    platform.says(path, {"data": {"id": "x1"}})
    platform.says("/webhooks", {"data": OURS}, status=201)
    assert main(["webhooks", "register", program, "--json"]) == 0
    assert told(capsys) == {"webhook": "w1", "url": DOOR, "events": ENDS, "actor": program}
    asked = json.loads(platform.bodies[-1])
    assert asked.pop("idempotencyKey").startswith("runrelay-")
    assert asked == {
        "eventTypes": ENDS,
        "requestUrl": DOOR,
        "headersTemplate": HEADERS,
        "condition": condition,
        "description": f"Runrelay: tells {DOOR} how runs end",
    }


def test_one_key_belongs_to_one_receiver_and_what_it_watches(platform: Scripted) -> None:
    platform.says("/webhooks", {"data": OURS}, status=201)
    keys = []
    for name, ident in (("a", "x1"), ("a", "x1"), ("b", "x2")):
        platform.says(f"/acts/acme~{name}", {"data": {"id": ident}})
        assert main(["webhooks", "register", f"acme/{name}"]) == 0
        keys.append(json.loads(platform.bodies[-1])["idempotencyKey"])
    assert keys[0] == keys[1] != keys[2]


def test_one_that_was_registered_before_and_differs_is_not_passed_over(platform: Scripted, capsys: Captured) -> None:
    platform.says("/acts/acme~shop", {"data": {"id": "x1"}})
    platform.says("/webhooks", {"data": {**OURS, "headersTemplate": '{"Authorization": "Bearer old"}'}}, status=201)
    assert main(["webhooks", "register", "acme/shop", "--json"]) == 1
    said = told(capsys)
    assert (said["kind"], said["message"].endswith("runrelay webhooks adopt w1")) == ("webhook_differs", True)


def test_adopting_adds_what_is_missing_and_keeps_the_rest(platform: Scripted, capsys: Captured) -> None:
    theirs = {
        "id": "w1",
        "eventTypes": ["ACTOR.BUILD.FAILED", "ACTOR.RUN.SUCCEEDED"],
        "requestUrl": DOOR,
        "headersTemplate": '{"authorization": "Basic 0ld-0ld", "X-Team": "data"}',
        "payloadTemplate": '{"id": {{resource.id}}}',
    }
    platform.says("/webhooks/w1", {"data": theirs})
    assert main(["webhooks", "adopt", "w1", "--yes", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"webhook": "w1", "url": DOOR, "changed": ["eventTypes", "headersTemplate"]}
    assert captured.err.splitlines()[:4] == [
        "+ eventTypes: ACTOR.RUN.FAILED",
        "+ eventTypes: ACTOR.RUN.ABORTED",
        "+ eventTypes: ACTOR.RUN.TIMED_OUT",
        "+ headersTemplate: Authorization: ***",
    ]
    assert "webhook.run_id" in captured.err
    assert platform.asked[-1] == "PUT /v2/webhooks/w1"
    changes = json.loads(platform.bodies[-1])
    assert changes == {
        "eventTypes": ["ACTOR.BUILD.FAILED", *ENDS],
        "headersTemplate": json.dumps({"X-Team": "data", "Authorization": f"Bearer {SECRET}"}),
    }
    assert SECRET not in captured.out + captured.err


def test_what_is_ours_already_is_left_alone(platform: Scripted, capsys: Captured) -> None:
    platform.says("/webhooks/w1", {"data": OURS})
    assert main(["webhooks", "adopt", "w1"]) == 0
    assert capsys.readouterr().out == "webhook w1 was ours already\n"
    assert [one.split(" ")[0] for one in platform.asked] == ["GET"]


def test_our_secret_is_not_given_to_a_webhook_that_leads_elsewhere(platform: Scripted, capsys: Captured) -> None:
    platform.says("/webhooks/w1", {"data": {**OURS, "requestUrl": "https://old.example/hook"}})
    assert main(["webhooks", "adopt", "w1", "--yes", "--json"]) == 1
    said = told(capsys)
    assert (said["kind"], "--redirect" in said["message"]) == ("webhook_elsewhere", True)
    assert main(["webhooks", "adopt", "w1", "--yes", "--redirect"]) == 0
    assert json.loads(platform.bodies[-1]) == {"requestUrl": DOOR}
    assert "- requestUrl: https://old.example/hook\n+ requestUrl: " in capsys.readouterr().err


@pytest.mark.parametrize("headers", ['{"X-Run": {{resource.id}}}', "[]"])
def test_headers_that_cannot_be_added_to_are_left_to_a_person(
    headers: str, platform: Scripted, capsys: Captured
) -> None:
    platform.says("/webhooks/w1", {"data": {**OURS, "headersTemplate": headers}})
    assert main(["webhooks", "adopt", "w1", "--yes", "--json"]) == 1
    assert told(capsys)["kind"] == "webhook_headers"


def test_nothing_changes_where_nobody_can_be_asked(platform: Scripted) -> None:
    platform.says("/webhooks/w1", {"data": {**OURS, "eventTypes": ENDS[:1]}})
    assert main(["webhooks", "adopt", "w1"]) == 2
    assert [one.split(" ")[0] for one in platform.asked] == ["GET"]


@dataclass
class Listener:
    """Somebody who hears events; answers a long page with `status`."""

    status: int = 200
    url: str = ""
    heard: list[tuple[dict[str, str], Any]] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        self.heard.append((dict(request.headers), json.loads(await request.read())))
        return web.Response(status=self.status, text="seen " * 1000, headers={"Location": "/elsewhere"})


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    @asynccontextmanager
    async def opening() -> AsyncIterator[Listener]:
        listener, app = Listener(), web.Application()
        app.router.add_post("/{path:.*}", listener.take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        listener.url = f"http://127.0.0.1:{runner.addresses[0][1]}/webhooks/apify"
        yield listener
        await asyncio.shield(runner.cleanup())

    write_file(tmp_path, "http://127.0.0.1:9")
    with beside(opening) as listening:
        yield listening


def test_a_test_is_sent_as_the_platform_sends_it(listener: Listener, capsys: Captured) -> None:
    assert main(["webhooks", "send", listener.url, "--json"]) == 0
    said = told(capsys)
    assert (said["url"], said["status"], said["body"]) == (listener.url, 200, "seen " * 40)
    [(headers, body)] = listener.heard
    assert (body["eventType"], body["eventData"], body["resource"]) == ("TEST", None, None)
    assert headers["Authorization"] == f"Bearer {SECRET}"
    assert {"X-Apify-Webhook", "X-Apify-Webhook-Dispatch-Id", "X-Apify-Request-Origin"} <= set(headers)


@pytest.mark.parametrize("status", [302, 401, 500])
def test_an_answer_that_is_no_yes_ends_with_1_and_is_not_followed(
    status: int, listener: Listener, capsys: Captured
) -> None:
    listener.status = status
    assert main(["webhooks", "send", listener.url]) == 1
    assert capsys.readouterr().out.startswith(f"{status} in ")
    assert len(listener.heard) == 1


def test_a_real_event_names_its_run(listener: Listener) -> None:
    words = ["webhooks", "send", listener.url, "--secret", "", "--event", "ACTOR.RUN.FAILED", "--run", "r1"]
    assert main(words) == 0
    [(headers, body)] = listener.heard
    assert (body["eventType"], body["resource"], "Authorization" in headers) == (
        "ACTOR.RUN.FAILED",
        {"id": "r1"},
        False,
    )


def test_nobody_there_is_one_clear_line(tmp_path: Path, capsys: Captured) -> None:
    write_file(tmp_path, "http://127.0.0.1:9")
    assert main(["webhooks", "send", "http://127.0.0.1:1/hook", "--json"]) == 1
    assert told(capsys)["kind"] == "no_answer"


@pytest.mark.parametrize(
    ("url", "brings"),
    [
        (f"{PUBLIC}/webhooks/apify", SECRET),
        ("http://localhost:8080/webhooks/apify", SECRET),
        ("https://hooks.example.com/webhooks/apify", SECRET),
        ("https://hooks.example.com.evil.example/webhooks/apify", ""),
        ("https://elsewhere.example/hook", ""),
    ],
)
def test_the_sources_secret_goes_to_our_receivers_only(
    url: str, brings: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from console.cli.desk import desk_of
    from console.cli.lasting import own_secret

    monkeypatch.setenv("RUNRELAY_PUBLIC_URL", "https://hooks.example.com/")
    write_file(tmp_path, "http://127.0.0.1:9")
    assert own_secret(desk_of(), url) == brings
