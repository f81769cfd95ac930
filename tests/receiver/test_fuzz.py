"""Whatever is sent: a word from the table, never a bug."""

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.contracts.kinds import Kind
from tests.receiver.conftest import SECRET, Lines
from tests.receiver.plain import TestQueue
from tests.receiver.wire import Reply, Wire

pytestmark = pytest.mark.asyncio(loop_scope="module")

STATUS = {kind.value: kind.status for kind in Kind}
# one running receiver serves all examples, on purpose
shared = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["run", "kind", "x"]) | st.text(), inner),
    max_leaves=20,
)
BODIES = st.binary() | JSON.map(lambda value: repr(value).encode()) | JSON.map(msgspec.json.encode)
VALUES = st.binary(max_size=60).map(lambda raw: bytes(byte for byte in raw if byte not in b"\r\n\0"))
HEADERS = st.lists(
    st.tuples(
        st.sampled_from([b"Content-Type", b"Content-Encoding", b"Authorization", b"Accept", b"Expect", b"X-Dispatch"]),
        VALUES | st.sampled_from([b"application/json", b"identity", SECRET.encode(), b"Bearer " + SECRET.encode()]),
    ),
    max_size=5,
)
HTTP = st.sampled_from(
    [
        *(b"POST /webhooks/plain HTTP/1.1\r\n", b"GET /healthz HTTP/1.1\r\n", b"\r\n", b"\r\n\r\n", b"Host: x\r\n"),
        *(
            b"Content-Length: 3\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"Connection: close\r\n",
            b"Expect: 100-continue\r\n",
        ),
        *(b"3\r\n{} \r\n", b"0\r\n", b"Connection: upgrade\r\nUpgrade: h2c\r\n"),
    ]
)


def is_from_the_table(reply: Reply) -> bool:
    said = reply.json
    if reply.status == 200:
        return set(said) == {"status", "id"} and said["status"] in {"accepted", "duplicate", "ignored", "test"}
    return set(said) == {"kind", "message"} and STATUS[said["kind"]] == reply.status < 500


@shared
@given(body=BODIES)
async def test_no_body_is_a_bug(wire: Wire, queue: TestQueue, lines: Lines, body: bytes) -> None:
    kept = len(queue.events)
    reply = await wire.post("/webhooks/plain", body, SECRET)
    assert is_from_the_table(reply)
    assert len(queue.events) - kept == (reply.status == 200 and reply.json["status"] == "accepted")
    assert lines.named("request.failed") == []
    lines.forget()


@shared
@given(headers=HEADERS, body=BODIES)
async def test_no_headers_are_a_bug(wire: Wire, lines: Lines, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    given = b"".join(b"%s: %s\r\n" % header for header in headers)
    async with wire.socket() as socket:
        await socket.say(
            b"POST /webhooks/plain HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n%s" % (given, len(body), body)
        )
        reply = await socket.reply()
    assert is_from_the_table(reply)
    assert lines.named("request.failed") == []
    lines.forget()


@shared
@given(raw=st.lists(st.binary(max_size=30) | HTTP, max_size=12).map(b"".join))
async def test_no_bytes_are_a_bug(wire: Wire, queue: TestQueue, lines: Lines, raw: bytes) -> None:
    async with wire.socket() as socket:
        await socket.say(raw)
        socket.writer.write_eof()
        said = await socket.reader.read()
    assert said == b"" or said.startswith(b"HTTP/1.1 ")
    assert {line["event"] for line in lines} <= {"webhook.received", "connection.refused"}
    assert queue.events == {}
    lines.forget()


@shared
@given(path=st.binary(max_size=40).map(lambda raw: bytes(byte for byte in raw if byte > 0x20)))
async def test_no_path_is_a_bug(wire: Wire, lines: Lines, path: bytes) -> None:
    async with wire.socket() as socket:
        await socket.say(b"POST /webhooks/%s HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n" % path)
        reply = await socket.reply()
    assert is_from_the_table(reply)
    assert lines.named("request.failed") == []
    lines.forget()
