"""One wide line per webhook, and never what must not be read."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from starlette.applications import Starlette

from tests.receiver.conftest import SECRET, Lines
from tests.receiver.plain import TestQueue
from tests.receiver.wire import Wire, running

pytestmark = pytest.mark.asyncio(loop_scope="module")


def facts(lines: Lines) -> list[dict[str, Any]]:
    """The lines of webhooks without what is never twice the same."""
    return [
        {name: fact for name, fact in line.items() if name not in {"time", "seconds", "event"}}
        for line in lines.named("webhook.received")
    ]


async def test_each_webhook_is_one_line_with_all_that_is_known(wire: Wire, lines: Lines) -> None:
    body = b'{"run": "r1", "kind": "SUCCEEDED"}'
    ignored = b'{"run": "r1", "kind": "CREATED"}'
    replies = [await wire.post("/webhooks/plain", body, SECRET) for _ in range(2)]
    await wire.post("/webhooks/plain", ignored, SECRET)
    await wire.post("/webhooks/plain", b"{", SECRET)
    await wire.post("/webhooks/plain", body)
    await wire.post("/webhooks/nobody", body, SECRET)
    known = {"source": "plain", "kind": "SUCCEEDED", "run_id": "r1", "event_id": replies[0].json["id"], "bytes": 34}
    assert facts(lines) == [
        {"level": "info", "answer": "accepted", **known},
        {"level": "info", "answer": "duplicate", **known},
        {"level": "info", "answer": "ignored", "source": "plain", "kind": "CREATED", "bytes": 32},
        {"level": "warning", "answer": "request_invalid", "source": "plain", "bytes": 1},
        {"level": "warning", "answer": "token_missing", "source": "plain", "bytes": 0},
        {"level": "warning", "answer": "source_not_found", "bytes": 0},
    ]
    assert [line["event"] for line in lines] == ["webhook.received"] * 6
    assert all(line["seconds"] > 0 for line in lines)


async def test_the_platforms_word_is_cut_before_it_fills_the_log(wire: Wire, lines: Lines) -> None:
    await wire.post("/webhooks/plain", b'{"run": "r", "kind": "%s"}' % (b"K" * 5000), SECRET)
    assert facts(lines)[0]["kind"] == "K" * 64


async def test_no_secret_no_body_and_no_path_is_ever_logged(wire: Wire, lines: Lines, queue: TestQueue) -> None:
    canary = "canary-4711"

    def fail(_events: object) -> None:
        raise RuntimeError

    await wire.post(f"/webhooks/plain/{SECRET}", b'{"run": "r", "x": "%s"}' % canary.encode())
    await wire.post(f"/webhooks/plain/{canary}", b"{}")
    await wire.post("/webhooks/plain", b'{"run": "r"}', f"Bearer {canary}")
    await wire.post("/webhooks/plain", canary.encode(), SECRET)
    await wire.post(f"/webhooks/{canary}", b"{}", SECRET)
    await wire.send("GET", f"/{canary}?token={canary}", headers={canary: canary})
    await wire.send("GET", f"/webhooks/plain/{canary}")
    queue.answer = fail
    await wire.post(f"/webhooks/plain/{SECRET}", b'{"run": "r", "x": "%s"}' % canary.encode())
    assert len(lines.named("webhook.received")) == 7
    assert len(lines.named("queue.failed")) == 1
    assert canary not in lines.text
    assert SECRET not in lines.text


async def test_a_sender_that_hangs_up_is_noted_and_is_nobodys_bug(wire: Wire, lines: Lines, queue: TestQueue) -> None:
    async with wire.socket() as socket:
        await socket.begin(
            "/webhooks/plain", f"Authorization: {SECRET}", "Content-Type: application/json", "Content-Length: 100"
        )
        await socket.say(b'{"run"')
        await asyncio.sleep(0.05)
    while not facts(lines):  # nobody tells the sender that it was noticed
        await asyncio.sleep(0.01)
    [line] = facts(lines)
    assert line == {"level": "warning", "source": "plain", "answer": "disconnected", "bytes": 6}
    assert queue.events == {}


@pytest.mark.usefixtures("wire")
async def test_starting_and_stopping_are_logged(make_app: Callable[..., Starlette], lines: Lines) -> None:
    async with running(make_app()) as wire:
        pass
    assert [(line["event"], line["url"]) for line in lines] == [
        ("receiver.started", wire.url),
        ("receiver.stopped", wire.url),
    ]
