"""Starting, stopping, and losing nobody in between."""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import msgspec
import pytest
import pytest_asyncio
from starlette.applications import Starlette

from receiver.serve import serve
from tests.receiver.conftest import SECRET
from tests.receiver.plain import TestQueue
from tests.receiver.wire import Wire, running

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("wire")]

RUN = b'{"run": "r1"}'


async def test_while_it_drains_who_is_inside_finishes_and_who_comes_late_is_sent_away(
    make_app: Callable[..., Starlette], queue: TestQueue
) -> None:
    hold = queue.hold()
    async with running(make_app()) as wire:
        inside = asyncio.create_task(wire.post("/webhooks/plain", RUN, SECRET))
        await hold.arrived.acquire()
        wire.stop.set()
        await asyncio.sleep(0.3)  # long enough for the server to begin to stop; the door must still answer
        late = await wire.post("/webhooks/plain", RUN, SECRET)
        ready = await wire.send("GET", "/readyz")
        alive = await wire.send("GET", "/healthz")
        hold.go.set()
        done = await inside
        await wire.serving
    assert [(reply.status, reply.kind) for reply in (late, ready)] == [(503, "draining")] * 2
    assert (late.headers["retry-after"], late.headers["connection"]) == ("5", "close")
    assert alive.status == 200
    assert (done.status, done.json["status"]) == (200, "accepted")
    assert len(queue.events) == 1


async def test_once_stopped_the_port_is_free_again(make_app: Callable[..., Starlette], wire: Wire) -> None:
    async with running(make_app()) as other:
        port = int(other.url.rpartition(":")[2])
    with pytest.raises(aiohttp.ClientConnectorError):
        await wire.session.get(f"http://127.0.0.1:{port}/healthz")


async def test_a_connection_is_kept_while_it_is_used_and_ends_when_it_idles(
    make_app: Callable[..., Starlette], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("receiver.serve.KEEP_ALIVE", 0.4)
    async with running(make_app()) as wire, wire.socket() as socket:
        for _ in range(4):
            await socket.say(b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n")
            assert (await socket.reply()).status == 200
            await asyncio.sleep(0.2)
        assert await socket.closed()


async def test_a_connection_that_was_idle_once_is_not_cut_while_an_answer_is_due(
    make_app: Callable[..., Starlette], queue: TestQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("receiver.serve.KEEP_ALIVE", 0.2)
    async with running(make_app()) as wire, wire.socket() as socket:
        await socket.say(b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n")
        assert (await socket.reply()).status == 200
        hold = queue.hold()
        head = (f"Authorization: {SECRET}", "Content-Type: application/json", f"Content-Length: {len(RUN)}")
        await socket.begin("/webhooks/plain", *head)
        await socket.say(RUN)
        await hold.arrived.acquire()
        await asyncio.sleep(0.4)
        hold.go.set()
        assert (await socket.reply()).status == 200


async def test_an_address_in_use_is_an_error_for_the_caller(make_app: Callable[..., Starlette], wire: Wire) -> None:
    port = int(wire.url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        await serve(make_app(), "127.0.0.1", port, lambda _url: None)


async def test_an_ipv6_address_is_written_so_that_it_can_be_clicked(
    make_app: Callable[..., Starlette], wire: Wire
) -> None:
    told, stop = [], asyncio.Event()

    def ready(url: str) -> None:
        told.append(url)
        stop.set()

    await serve(make_app(), "::1", 0, ready, stop=stop)
    assert told[0].startswith("http://[::1]:")


@pytest_asyncio.fixture(loop_scope="module")
async def process() -> AsyncIterator[Process]:
    root = Path(__file__).parents[2]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.receiver.standalone", cwd=root, stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    yield process
    if process.returncode is None:
        process.kill()
    await process.communicate()


async def heard(process: Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().strip()


async def begun(process: Process, wire: Wire) -> tuple[str, "asyncio.Task[int]"]:
    """The URL of the process, and a webhook that is inside it."""
    url = await heard(process)

    async def post() -> int:
        headers = {"Authorization": "secret", "Content-Type": "application/json"}
        async with wire.session.post(f"{url}/webhooks/plain", data=RUN, headers=headers) as response:
            return response.status

    posting = asyncio.create_task(post())
    assert await heard(process) == "inside"
    return url, posting


async def draining(url: str, wire: Wire) -> None:
    """Waits until the process has noticed that it is to stop."""
    while (await wire.session.get(f"{url}/readyz")).status == 200:  # it is another process
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_what_is_under_way_finish_and_the_process_ends_with_0(
    process: Process, wire: Wire, told: signal.Signals
) -> None:
    url, posting = await begun(process, wire)
    process.send_signal(told)
    await draining(url, wire)
    assert not posting.done()

    assert process.stdin is not None
    process.stdin.write(b"go\n")
    assert await posting == 200
    assert await heard(process) == "stopped"
    assert await process.wait() == 0


async def test_a_second_signal_waits_for_nobody(process: Process, wire: Wire) -> None:
    url, posting = await begun(process, wire)
    process.send_signal(signal.SIGINT)
    await draining(url, wire)
    process.send_signal(signal.SIGINT)
    assert await heard(process) == "stopped"
    assert await process.wait() == 0
    assert await posting == 503
    assert process.stderr is not None
    lines = [msgspec.json.decode(line) for line in (await process.stderr.read()).splitlines()]
    assert [(line["event"], line.get("answer", "")) for line in lines] == [
        ("receiver.started", ""),
        ("receiver.stopped", ""),
        ("webhook.received", "unanswered"),
    ]
