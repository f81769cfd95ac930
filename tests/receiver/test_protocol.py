"""What is no request, or will not become one: answered in our words, hung up on, and never stored."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
from starlette.applications import Starlette

from receiver.limits import MOST_BYTES, MOST_HEAD_BYTES
from receiver.protocol import MOST_IN_A_ROW
from tests.receiver.conftest import SECRET, Lines
from tests.receiver.plain import TestQueue
from tests.receiver.test_answers import refusal
from tests.receiver.wire import Socket, Wire, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

RUN = b'{"run": "r1"}'
HEAD = b"POST /webhooks/plain HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\nAuthorization: %s\r\n" % (
    SECRET.encode()
)
WHOLE = HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(RUN), RUN)

TLS_HELLO = bytes.fromhex("16030100f8010000f40303") + bytes(range(256))[:239]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running_wire(make_app: Callable[..., Starlette], lines: Lines) -> AsyncIterator[Wire]:
    """Heads have half a second here, and bodies a little less."""
    async with running(make_app(), head_seconds=0.5) as wire:
        yield wire


async def refused(socket: Socket) -> tuple[int, str]:
    """The last word on this connection."""
    reply = await socket.reply()
    assert reply.headers["connection"] == "close"
    assert int(reply.headers["content-length"]) == len(reply.body)
    assert await socket.closed()
    return refusal(reply)


@contextlib.asynccontextmanager
async def trickling(socket: Socket, piece: bytes) -> AsyncIterator[None]:
    async def trickle() -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await socket.say(piece)
                await asyncio.sleep(0.02)

    task = asyncio.create_task(trickle())
    try:
        yield
    finally:
        task.cancel()


async def until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(0.01)


# not HTTP

MALFORMED = {
    "nonsense": b"\x00\x01\x02 nonsense\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
    "a Redis command": b"*1\r\n$4\r\nPING\r\n",
    "HTTP/0.9": b"GET /healthz\r\n\r\n",
    "HTTP/2 from the start": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a version of its own": HEAD.replace(b"1.1", b"3.1") + b"\r\n",
    "HTTP/2 written out": HEAD.replace(b"1.1", b"2.0") + b"\r\n",
    "a tunnel": b"CONNECT inside:6379 HTTP/1.1\r\nHost: inside:6379\r\n\r\n",
    "an upgrade": HEAD + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 13\r\n\r\n" + RUN,
    "no path": b"POST http://here HTTP/1.1\r\nHost: here\r\n\r\n",
    "bytes in the path": b"GET /\xff\xfe HTTP/1.1\r\nHost: here\r\n\r\n",
    "a space in a name": HEAD + b"X y: 1\r\n\r\n",
    "a space before the colon": HEAD + b"Content-Length : 13\r\n\r\n" + RUN,
    "a folded header": HEAD + b"X: a\r\n b\r\n\x00: \r\n\r\n",
    "NUL in a value": HEAD + b"X: a\x00b\r\n\r\n",
    "a lone LF": HEAD.replace(b"\r\n", b"\n") + b"\n",
}

SMUGGLED = {
    "two lengths": HEAD + b"Content-Length: 13\r\nContent-Length: 13\r\n\r\n" + RUN,
    "two lengths that differ": HEAD + b"Content-Length: 13\r\nContent-Length: 14\r\n\r\n" + RUN,
    "a list of lengths": HEAD + b"Content-Length: 13, 13\r\n\r\n" + RUN,
    "a negative length": HEAD + b"Content-Length: -1\r\n\r\n",
    "a signed length": HEAD + b"Content-Length: +13\r\n\r\n" + RUN,
    "a length in hex": HEAD + b"Content-Length: 0xd\r\n\r\n" + RUN,
    "a length beyond 64 bits": HEAD + b"Content-Length: 99999999999999999999\r\n\r\n",
    "length and chunks": HEAD
    + b"Content-Length: 13\r\nTransfer-Encoding: chunked\r\n\r\nd\r\n"
    + RUN
    + b"\r\n0\r\n\r\n",
    "chunks and length": HEAD
    + b"Transfer-Encoding: chunked\r\nContent-Length: 13\r\n\r\nd\r\n"
    + RUN
    + b"\r\n0\r\n\r\n",
    "chunks that are not the last coding": HEAD + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
}

BAD_CHUNKS = {
    "no size": b"\r\n" + RUN,
    "a size that is no number": b"xyz\r\n" + RUN,
    "a negative size": b"-1\r\n" + RUN,
    "a size beyond 64 bits": b"f" * 17 + b"\r\n",
    "more than announced": b"2\r\n" + RUN + b"\r\n0\r\n\r\n",
}


def cases(table: dict[str, bytes]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("raw", table.values(), ids=table.keys())


@cases(MALFORMED)
async def test_what_is_not_http_is_400(wire: Wire, queue: TestQueue, raw: bytes) -> None:
    async with wire.socket() as socket:
        await socket.say(raw)
        assert await refused(socket) == (400, "request_invalid")
    assert queue.events == {}


async def test_a_tls_hello_on_the_plain_port_is_400(wire: Wire) -> None:
    async with wire.socket() as socket:
        await socket.say(TLS_HELLO)
        assert await refused(socket) == (400, "request_invalid")


@cases(SMUGGLED)
async def test_a_length_in_doubt_is_400_and_nothing_is_stored(wire: Wire, queue: TestQueue, raw: bytes) -> None:
    async with wire.socket() as socket:
        await socket.say(raw)
        assert await refused(socket) == (400, "request_invalid")
    assert queue.events == {}


@cases(BAD_CHUNKS)
async def test_a_bad_chunk_is_400_and_nothing_is_stored(wire: Wire, queue: TestQueue, raw: bytes) -> None:
    async with wire.socket() as socket:
        await socket.say(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{ \r\n" + raw)
        assert await refused(socket) == (400, "request_invalid")
    assert queue.events == {}


async def test_a_body_that_ends_in_garbage_is_a_sender_that_left(wire: Wire, lines: Lines) -> None:
    async with wire.socket() as socket:
        await socket.say(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\nxyz\r\n")
        assert await refused(socket) == (400, "request_invalid")
    await until(lambda: bool(lines.named("webhook.received")))
    assert [line["answer"] for line in lines] == ["request_invalid", "disconnected"]


async def test_who_was_refused_already_is_not_answered_twice(wire: Wire) -> None:
    async with wire.socket() as socket:
        await socket.say(HEAD.replace(SECRET.encode(), b"wrong") + b"Transfer-Encoding: chunked\r\n\r\n")
        assert refusal(await socket.reply()) == (401, "token_invalid")
        await socket.say(b"xyz\r\n")
        assert await socket.closed()


async def test_an_absolute_address_is_read_as_its_path_and_a_star_is_none(wire: Wire) -> None:
    async with wire.socket() as socket:
        await socket.say(WHOLE.replace(b"POST /", b"POST http://elsewhere:1/"))
        assert (await socket.reply()).json["status"] == "accepted"
        await socket.say(b"OPTIONS * HTTP/1.1\r\nHost: here\r\n\r\n")
        assert refusal(await socket.reply()) == (404, "path_not_found")


# in a row


async def test_garbage_after_a_request_does_not_cost_the_request_its_answer(wire: Wire, queue: TestQueue) -> None:
    async with wire.socket() as socket:
        await socket.say(WHOLE + b"\x00garbage")
        assert (await socket.reply()).json["status"] == "accepted"
        assert await refused(socket) == (400, "request_invalid")
    assert len(queue.events) == 1


async def test_requests_in_a_row_are_all_answered_before_the_bad_one(wire: Wire, queue: TestQueue) -> None:
    hold = queue.hold()
    bad = HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n"
    async with wire.socket() as socket:
        await socket.say(WHOLE + WHOLE.replace(b"r1", b"r2") + bad + WHOLE.replace(b"r1", b"r3"))
        await hold.arrived.acquire()
        hold.go.set()
        assert [(await socket.reply()).json["status"] for _ in range(2)] == ["accepted"] * 2
        assert await refused(socket) == (400, "request_invalid")
    assert [event.run_id for event in queue.events.values()] == ["r1", "r2"]


async def test_a_request_to_no_path_waits_for_the_answers_before_it(wire: Wire, queue: TestQueue) -> None:
    hold = queue.hold()
    async with wire.socket() as socket:
        await socket.say(WHOLE + WHOLE.replace(b"r1", b"r2") + MALFORMED["no path"])
        await hold.arrived.acquire()
        hold.go.set()
        assert [(await socket.reply()).json["status"] for _ in range(2)] == ["accepted"] * 2
        assert await refused(socket) == (400, "request_invalid")


async def test_a_sender_that_leaves_before_its_answer_is_nobodys_bug(
    wire: Wire, queue: TestQueue, lines: Lines
) -> None:
    hold = queue.hold()
    async with wire.socket() as socket:
        await socket.say(WHOLE)
        await hold.arrived.acquire()
        hold.go.set()
        socket.vanish()
    await until(lambda: bool(lines.named("webhook.received")))
    assert [line for line in lines if line["level"] == "error"] == []


async def test_too_many_requests_in_a_row_are_429_after_the_answers_to_the_others(wire: Wire) -> None:
    ping = b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n"
    async with wire.socket() as socket:
        await socket.say(ping * 5000)
        assert [(await socket.reply()).status for _ in range(MOST_IN_A_ROW + 1)] == [200] * (MOST_IN_A_ROW + 1)
        assert await refused(socket) == (429, "rate_limited")


async def test_a_late_head_waits_for_the_answer_before_it(wire: Wire, queue: TestQueue, lines: Lines) -> None:
    hold = queue.hold()
    async with wire.socket() as socket:
        await socket.say(WHOLE + b"POST /webhooks")
        await until(lambda: bool(lines.named("connection.refused")))
        hold.go.set()
        assert (await socket.reply()).json["status"] == "accepted"
        assert await refused(socket) == (408, "request_timeout")


async def test_a_body_nobody_asked_for_ends_the_connection(wire: Wire) -> None:
    async with wire.socket() as socket:
        await socket.say(b"GET /healthz HTTP/1.1\r\nHost: here\r\nContent-Length: 1000\r\n\r\n")
        assert (await socket.reply()).status == 200
        assert await socket.closed()


# too slow


async def test_a_head_that_stops_halfway_is_408(wire: Wire) -> None:
    async with wire.socket() as socket:
        await socket.say(HEAD)
        assert await refused(socket) == (408, "request_timeout")


@pytest.mark.parametrize("start", [b"", HEAD, HEAD + b"X-Long: "], ids=["method", "name", "value"])
async def test_a_head_that_trickles_in_is_408_though_it_never_pauses(wire: Wire, start: bytes) -> None:
    async with wire.socket() as socket:
        await socket.say(start)
        async with trickling(socket, b"X"):
            assert refusal(await socket.reply())[0] == (408 if start else 400)


async def test_a_whole_request_byte_by_byte_is_taken_if_it_comes_in_time(wire: Wire) -> None:
    async with wire.socket() as socket:
        for byte in WHOLE:
            await socket.say(b"%c" % byte)
            await asyncio.sleep(0)
        assert (await socket.reply()).json["status"] == "accepted"


async def test_a_body_that_never_comes_is_408(wire: Wire, queue: TestQueue) -> None:
    async with wire.socket() as socket:
        await socket.say(HEAD + b"Content-Length: 13\r\n\r\n")
        assert await refused(socket) == (408, "request_timeout")
    assert queue.events == {}


@pytest.mark.parametrize("said", [b"", b"\r\n"], ids=["silent", "empty lines"])
async def test_who_says_nothing_is_hung_up_on_without_a_word(wire: Wire, lines: Lines, said: bytes) -> None:
    async with wire.socket() as socket:
        await socket.say(said)
        assert await socket.closed()
    assert [line["answer"] for line in lines.named("connection.refused")] == ["silent"]


async def test_a_further_request_has_the_same_deadline_from_its_first_byte_on(wire: Wire) -> None:
    async with wire.socket() as socket:
        await socket.say(WHOLE)
        await socket.reply()
        await asyncio.sleep(0.7)  # idle for longer than a head may take
        await socket.say(WHOLE)
        assert (await socket.reply()).json["status"] == "duplicate"
        await socket.say(HEAD)
        assert await refused(socket) == (408, "request_timeout")


async def test_an_empty_line_after_a_request_does_not_keep_the_connection_for_ever(wire: Wire) -> None:
    async with wire.socket() as socket:
        await socket.say(WHOLE)
        await socket.reply()
        await socket.say(b"\r\n")
        assert await socket.closed()


async def test_half_open_connections_go_while_honest_senders_are_served(
    wire: Wire, queue: TestQueue, lines: Lines
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(wire.socket()) for _ in range(60)]
        for number, socket in enumerate(sockets):
            await socket.say([b"", b"POST /webhooks", HEAD][number % 3])
        ends = asyncio.gather(*(socket.closed() for socket in sockets[::3]), *(refused(each) for each in sockets[1::3]))
        served = 0
        while not ends.done():
            reply = await wire.post("/webhooks/plain", b'{"run": "h%d"}' % served, SECRET)
            assert reply.json["status"] == "accepted"
            served += 1
        assert await ends == [True] * 20 + [(408, "request_timeout")] * 20
        assert [await refused(socket) for socket in sockets[2::3]] == [(408, "request_timeout")] * 20
    assert len(queue.events) == served > 0
    assert len(lines.named("connection.refused")) == 60


async def test_who_never_reads_our_answers_is_cut_off(
    wire: Wire, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("receiver.health.generate_latest", lambda _registry: bytes(4 * MOST_BYTES))
    async with wire.socket() as socket:
        await socket.say(b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n" * 8)
        await until(lambda: bool(lines.named("connection.refused")))
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await socket.reader.readexactly(32 * MOST_BYTES)
    assert [line["answer"] for line in lines.named("connection.refused")] == ["unread"]


# too large


@pytest.mark.parametrize(
    "raw",
    [
        HEAD + b"X: " + b"x" * MOST_HEAD_BYTES + b"\r\n\r\n",
        HEAD + b"X: " + b"x" * 4 * MOST_HEAD_BYTES,
        HEAD + b"".join(b"X-%d: y\r\n" % n for n in range(2000)) + b"\r\n",
        HEAD + b"x" * 2 * MOST_HEAD_BYTES,
        HEAD.replace(b"/plain", b"/plain/" + b"x" * MOST_HEAD_BYTES) + b"\r\n",
        b"\r\n" * MOST_HEAD_BYTES,
    ],
    ids=["one value", "a value without end", "many", "a name without end", "the path", "empty lines"],
)
async def test_headers_above_16_kib_are_431(wire: Wire, queue: TestQueue, raw: bytes) -> None:
    async with wire.socket() as socket:
        await socket.say(raw)
        assert await refused(socket) == (431, "headers_too_large")
    assert queue.events == {}


async def test_headers_just_below_16_kib_are_taken(wire: Wire) -> None:
    padding = b"X: " + b"x" * (MOST_HEAD_BYTES - len(HEAD) - 100) + b"\r\n"
    async with wire.socket() as socket:
        await socket.say(WHOLE.replace(b"\r\n", b"\r\n" + padding, 1))
        assert (await socket.reply()).json["status"] == "accepted"


async def test_headers_sent_in_pieces_are_431_as_soon_as_they_are_too_much(wire: Wire) -> None:
    async with wire.socket() as socket:
        await socket.say(HEAD)
        for _ in range(17):
            await socket.say(b"X-More: " + b"x" * 1014 + b"\r\n")
        assert await refused(socket) == (431, "headers_too_large")


async def test_the_sender_of_large_headers_gets_to_read_why_though_it_sends_all_of_them_first(wire: Wire) -> None:
    async with wire.socket() as socket:
        await socket.say(HEAD + b"X: ")
        for _ in range(256):
            await socket.say(b"x" * 65536)
        assert await refused(socket) == (431, "headers_too_large")


@pytest.mark.parametrize(
    ("start", "more"),
    [(b"0\r\nX: ", b"x" * 4096), (b"0\r\n", b"X: y\r\n" * 400), (b"1;", b"x" * 4096)],
    ids=["one trailer", "many trailers", "a chunk extension"],
)
async def test_what_surrounds_a_body_in_chunks_is_limited_too(
    wire: Wire, queue: TestQueue, start: bytes, more: bytes
) -> None:
    async with wire.socket() as socket:
        await socket.say(HEAD + b"Transfer-Encoding: chunked\r\n\r\nd\r\n" + RUN + b"\r\n" + start)
        async with trickling(socket, more):
            assert refusal(await socket.reply()) == (431, "headers_too_large")
    assert queue.events == {}


@pytest.mark.parametrize("trailers", [b"X: " + b"x" * MOST_HEAD_BYTES + b"\r\n", b"X: y\r\n" * 3000])
async def test_trailers_that_come_at_once_are_limited_too(wire: Wire, queue: TestQueue, trailers: bytes) -> None:
    async with wire.socket() as socket:
        await socket.say(HEAD + b"Transfer-Encoding: chunked\r\n\r\nd\r\n" + RUN + b"\r\n0\r\n" + trailers + b"\r\n")
        assert await refused(socket) == (431, "headers_too_large")
    assert queue.events == {}


async def test_a_trailer_is_never_taken_for_a_header(wire: Wire) -> None:
    name, secret, value = HEAD.partition(b"Authorization: ")
    async with wire.socket() as socket:
        await socket.say(
            name + b"Transfer-Encoding: chunked\r\n\r\nd\r\n" + RUN + b"\r\n0\r\n" + secret + value + b"\r\n"
        )
        assert refusal(await socket.reply()) == (401, "token_missing")


# the log


async def test_a_refusal_is_one_line_without_content(wire: Wire, lines: Lines) -> None:
    for raw in (b"canary-4711\r\n\r\n", HEAD + b"canary: " + b"4711" * 8000, HEAD + b"canary-4711"):
        async with wire.socket() as socket:
            await socket.say(raw)
            reply = await socket.reply()
            assert b"4711" not in reply.body
    assert [(line["event"], line["level"], line["answer"]) for line in lines] == [
        ("connection.refused", "warning", "request_invalid"),
        ("connection.refused", "warning", "headers_too_large"),
        ("connection.refused", "warning", "request_timeout"),
    ]
    assert "4711" not in lines.text
    assert SECRET not in lines.text
