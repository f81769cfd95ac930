"""Every row of the table of answers, over real HTTP."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from starlette.applications import Starlette

from config.contracts.kinds import Kind
from config.queue import Accepted, Duplicate, QueueUnavailable
from receiver.limits import MOST_BYTES
from tests.receiver.conftest import OLD_SECRET, SECRET, Lines
from tests.receiver.plain import TestQueue
from tests.receiver.wire import Reply, Wire, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

BEARER = f"Bearer {SECRET}"
RUN = b'{"run": "r1", "kind": "SUCCEEDED"}'


def refusal(reply: Reply) -> tuple[int, str]:
    assert reply.headers["content-type"] == "application/json"
    assert sorted(reply.json) == ["kind", "message"]
    assert reply.json["message"]
    assert {kind.value: kind.status for kind in Kind}[reply.kind] == reply.status
    return reply.status, reply.kind


# taken


async def test_a_new_event_is_accepted_and_stored_as_it_came(wire: Wire, queue: TestQueue) -> None:
    reply = await wire.post("/webhooks/plain", RUN, BEARER)
    [event] = queue.events.values()
    assert (reply.status, reply.json) == (200, {"status": "accepted", "id": event.id})
    assert (event.source, event.run_id, event.kind, event.body, event.via) == (
        "plain",
        "r1",
        "SUCCEEDED",
        RUN,
        "webhook",
    )


async def test_the_same_event_again_is_a_duplicate_with_the_same_id(wire: Wire, queue: TestQueue) -> None:
    first = await wire.post("/webhooks/plain", RUN, BEARER, X_Dispatch="d1")
    second = await wire.post("/webhooks/plain", RUN, BEARER, X_Dispatch="d1")
    assert second.json == {"status": "duplicate", "id": first.json["id"]}
    assert len(queue.events) == 1


@pytest.mark.parametrize(("kind", "status"), [(b"TEST", "test"), (b"CREATED", "ignored")])
async def test_what_is_not_a_finished_run_is_answered_but_not_kept(
    wire: Wire, queue: TestQueue, kind: bytes, status: str
) -> None:
    reply = await wire.post("/webhooks/plain", b'{"run": "r1", "kind": "%s"}' % kind, BEARER)
    assert (reply.status, reply.json) == (200, {"status": status, "id": None})
    assert queue.events == {}


@pytest.mark.parametrize(
    "presented",
    [f"Bearer {SECRET}", f"bearer   {SECRET} ", SECRET, f"Bearer {OLD_SECRET}", OLD_SECRET],
)
async def test_any_active_secret_opens_the_door_with_or_without_bearer(wire: Wire, presented: str) -> None:
    assert (await wire.post("/webhooks/plain", RUN, presented)).status == 200


@pytest.mark.parametrize("secret", [SECRET, OLD_SECRET])
async def test_the_secret_may_stand_in_the_path(wire: Wire, secret: str) -> None:
    assert (await wire.post(f"/webhooks/plain/{secret}", RUN)).status == 200


async def test_a_secret_in_the_path_beats_a_header_that_somebody_else_may_have_added(wire: Wire) -> None:
    assert (await wire.post(f"/webhooks/plain/{SECRET}", RUN, "Basic cHJveHk6cHJveHk=")).status == 200


@pytest.mark.parametrize(("first", "second", "status"), [(SECRET, "wrong", 200), ("wrong", SECRET, 401)])
async def test_of_two_secrets_in_headers_the_first_counts(wire: Wire, first: str, second: str, status: int) -> None:
    async with wire.socket() as socket:
        await socket.begin(
            "/webhooks/plain",
            f"Authorization: {first}",
            f"Authorization: {second}",
            "Content-Type: application/json",
            f"Content-Length: {len(RUN)}",
        )
        await socket.say(RUN)
        assert (await socket.reply()).status == status


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON; charset=UTF-8", 'application/json;charset="utf-8"; v=1']
)
async def test_json_in_utf8_is_taken_however_it_is_spelled(wire: Wire, content_type: str) -> None:
    assert (await wire.post("/webhooks/plain", RUN, BEARER, Content_Type=content_type)).status == 200


async def test_a_body_of_exactly_the_most_bytes_is_taken(wire: Wire) -> None:
    assert (await wire.post("/webhooks/plain", RUN.ljust(MOST_BYTES), BEARER)).status == 200


async def test_a_body_in_chunks_is_taken(wire: Wire) -> None:
    async with wire.socket() as socket:
        await socket.begin(
            "/webhooks/plain",
            f"Authorization: {BEARER}",
            "Content-Type: application/json",
            "Transfer-Encoding: chunked",
        )
        for start in range(0, len(RUN), 16):  # in single bytes it would take longer than a body may on a busy machine
            piece = RUN[start : start + 16]
            await socket.say(b"%x\r\n%b\r\n" % (len(piece), piece))
        await socket.say(b"0\r\n\r\n")
        assert (await socket.reply()).json["status"] == "accepted"


# 400, 422


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"run": NaN}', b"[" * 100_000, b'\xef\xbb\xbf{"run": "r1"}'])
async def test_what_is_not_json_is_400(wire: Wire, queue: TestQueue, body: bytes) -> None:
    assert refusal(await wire.post("/webhooks/plain", body, BEARER)) == (400, "request_invalid")
    assert queue.events == {}


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"run": 1}'])
async def test_json_without_a_run_is_422(wire: Wire, queue: TestQueue, body: bytes) -> None:
    assert refusal(await wire.post("/webhooks/plain", body, BEARER)) == (422, "event_invalid")
    assert queue.events == {}


# 401, 403


@pytest.mark.parametrize(
    ("path", "presented", "kind"),
    [
        ("/webhooks/plain", None, "token_missing"),
        ("/webhooks/plain", "", "token_missing"),
        ("/webhooks/plain", "Bearer", "token_missing"),
        ("/webhooks/plain", "Bearer ", "token_missing"),
        ("/webhooks/plain/", None, "token_missing"),
        ("/webhooks/plain", "Bearer wrong", "token_invalid"),
        ("/webhooks/plain", "wrong", "token_invalid"),
        ("/webhooks/plain", f"Basic {SECRET}", "token_invalid"),
        ("/webhooks/plain", BEARER + "x", "token_invalid"),
        ("/webhooks/plain/wrong", None, "token_invalid"),
        ("/webhooks/plain/wrong", BEARER, "token_invalid"),
        (f"/webhooks/plain/{SECRET}/more", None, "token_invalid"),
    ],
)
async def test_without_a_right_secret_it_is_401(
    wire: Wire, queue: TestQueue, path: str, presented: str | None, kind: str
) -> None:
    reply = await wire.post(path, RUN, presented)
    assert refusal(reply) == (401, kind)
    assert reply.headers["www-authenticate"] == "Bearer"
    assert queue.events == {}


async def test_a_wrong_secret_is_refused_before_any_of_the_body_has_come(wire: Wire) -> None:
    async with wire.socket() as socket:
        await socket.begin("/webhooks/plain", "Authorization: wrong", "Content-Length: 1000000")
        reply = await socket.reply()
        assert refusal(reply) == (401, "token_invalid")
        assert reply.headers["connection"] == "close"
        assert await socket.closed()


async def test_an_address_outside_the_list_is_403_before_the_secret_is_looked_at(wire: Wire) -> None:
    assert refusal(await wire.post("/webhooks/fenced", RUN, "wrong")) == (403, "address_forbidden")


async def test_the_address_is_the_one_a_trusted_proxy_names(make_app: Callable[..., Starlette]) -> None:
    async with running(make_app(), proxies=["127.0.0.1"]) as wire:
        reply = await wire.post("/webhooks/fenced", RUN, BEARER, X_Forwarded_For="192.0.2.7")
    assert reply.status == 200


async def test_nobody_else_may_name_an_address(wire: Wire) -> None:
    reply = await wire.post("/webhooks/fenced", RUN, BEARER, X_Forwarded_For="192.0.2.7")
    assert refusal(reply) == (403, "address_forbidden")


# 404, 405


@pytest.mark.parametrize("path", ["/webhooks/other", f"/webhooks/other/{SECRET}", "/webhooks/Plain"])
async def test_an_unknown_source_is_404(wire: Wire, path: str) -> None:
    assert refusal(await wire.post(path, RUN, BEARER)) == (404, "source_not_found")


@pytest.mark.parametrize("path", ["/", "/webhook/plain", "/webhooks", "/webhooks/", "/healthz/", "/readyz/x"])
async def test_an_unknown_path_is_404_and_never_a_redirect(wire: Wire, path: str) -> None:
    reply = await wire.send("POST", path, allow_redirects=False)
    assert refusal(reply) == (404, "path_not_found")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", ["/webhooks/plain", f"/webhooks/plain/{SECRET}", "/webhooks/other"])
async def test_a_webhook_that_is_no_post_is_405(wire: Wire, method: str, path: str) -> None:
    reply = await wire.send(method, path)
    assert refusal(reply) == (405, "method_not_allowed")
    assert reply.headers["allow"] == "POST"


async def test_head_gets_the_status_and_no_body(wire: Wire) -> None:
    reply = await wire.send("HEAD", "/webhooks/plain")
    assert (reply.status, reply.headers["allow"], reply.body) == (405, "POST", b"")


async def test_health_is_read_only(wire: Wire) -> None:
    reply = await wire.send("POST", "/healthz")
    assert refusal(reply) == (405, "method_not_allowed")
    assert reply.headers["allow"] == "GET, HEAD"


# 408, 413, 415


async def test_a_body_that_trickles_in_is_cut_off_at_the_deadline_though_it_never_pauses(wire: Wire) -> None:
    async with wire.socket() as socket:
        await socket.begin(
            "/webhooks/plain", f"Authorization: {BEARER}", "Content-Type: application/json", "Content-Length: 100000"
        )
        trickle = asyncio.create_task(_trickle(socket.say))
        reply = await socket.reply()
        trickle.cancel()
        assert refusal(reply) == (408, "request_timeout")
        assert reply.headers["connection"] == "close"
        assert await socket.closed()


async def _trickle(say: Callable[[bytes], Any]) -> None:
    while True:
        await say(b" ")
        await asyncio.sleep(0.01)


async def test_a_body_declared_too_large_is_413_without_waiting_for_it(wire: Wire) -> None:
    async with wire.socket() as socket:
        await socket.begin(
            "/webhooks/plain",
            f"Authorization: {BEARER}",
            "Content-Type: application/json",
            f"Content-Length: {MOST_BYTES + 1}",
            "Expect: 100-continue",
        )
        reply = await socket.reply()
        assert refusal(reply) == (413, "payload_too_large")
        assert reply.headers["connection"] == "close"
        assert await socket.closed()


async def test_the_sender_of_a_large_body_gets_to_read_why_though_it_sends_all_of_it_first(
    wire: Wire, queue: TestQueue
) -> None:
    size = 16 * MOST_BYTES
    async with wire.socket() as socket:
        await socket.begin(
            "/webhooks/plain",
            f"Authorization: {BEARER}",
            "Content-Type: application/json",
            f"Content-Length: {size}",
        )
        for _ in range(size // 65536):
            await socket.say(b" " * 65536)
        assert refusal(await socket.reply()) == (413, "payload_too_large")
    assert refusal(await wire.post("/webhooks/plain", RUN.ljust(MOST_BYTES + 1), BEARER)) == (413, "payload_too_large")
    assert queue.events == {}


async def test_a_body_in_chunks_is_413_as_soon_as_it_is_too_large(wire: Wire) -> None:
    async with wire.socket() as socket:
        await socket.begin(
            "/webhooks/plain",
            f"Authorization: {BEARER}",
            "Content-Type: application/json",
            "Transfer-Encoding: chunked",
        )
        for _ in range(MOST_BYTES // 65536 + 1):
            await socket.say(b"10000\r\n" + b" " * 65536 + b"\r\n")
        reply = await socket.reply()
        assert refusal(reply) == (413, "payload_too_large")
        assert await socket.closed()


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip", "nonsense"])
async def test_an_encoded_body_is_415(wire: Wire, encoding: str) -> None:
    reply = await wire.post("/webhooks/plain", RUN, BEARER, Content_Encoding=encoding)
    assert refusal(reply) == (415, "content_type_unsupported")


async def test_a_second_encoding_does_not_hide_behind_the_first(wire: Wire) -> None:
    async with wire.socket() as socket:
        await socket.begin(
            "/webhooks/plain",
            f"Authorization: {BEARER}",
            "Content-Type: application/json",
            "Content-Encoding: identity",
            "Content-Encoding: gzip",
            f"Content-Length: {len(RUN)}",
        )
        await socket.say(RUN)
        assert refusal(await socket.reply()) == (415, "content_type_unsupported")


async def test_identity_is_no_encoding(wire: Wire) -> None:
    assert (await wire.post("/webhooks/plain", RUN, BEARER, Content_Encoding="Identity")).status == 200


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "application/jsonp",
        "application/json; charset=utf-16",
        "application/json; charset=",
        "multipart/form-data; boundary=x",
        "",
    ],
)
async def test_any_other_type_is_415(wire: Wire, content_type: str) -> None:
    reply = await wire.post("/webhooks/plain", RUN, BEARER, Content_Type=content_type)
    assert refusal(reply) == (415, "content_type_unsupported")


async def test_no_type_is_415(wire: Wire) -> None:
    async with wire.socket() as socket:
        await socket.begin("/webhooks/plain", f"Authorization: {BEARER}", "Content-Length: 2")
        await socket.say(b"{}")
        assert refusal(await socket.reply()) == (415, "content_type_unsupported")


# 429, 503


@pytest.mark.usefixtures("wire")
async def test_beyond_the_limit_of_webhooks_under_way_it_is_429(
    make_app: Callable[..., Starlette], queue: TestQueue
) -> None:
    hold = queue.hold()
    async with running(make_app(most_at_once=2)) as wire:
        inside = [asyncio.create_task(wire.post("/webhooks/plain", b'{"run": "r%d"}' % n, BEARER)) for n in range(2)]
        await hold.arrived.acquire()
        await hold.arrived.acquire()
        full = await wire.post("/webhooks/plain", RUN, BEARER)
        health = await wire.send("GET", "/healthz")
        hold.go.set()
        done = await asyncio.gather(*inside)
        later = await wire.post("/webhooks/plain", RUN, BEARER)
    assert refusal(full) == (429, "rate_limited")
    assert full.headers["retry-after"] == "5"
    assert [reply.status for reply in (health, *done, later)] == [200, 200, 200, 200]


@pytest.mark.usefixtures("wire")
async def test_all_bodies_together_are_bounded_too(make_app: Callable[..., Starlette], queue: TestQueue) -> None:
    hold = queue.hold()
    app = make_app()
    app.state.gate.most_bytes = 1000
    async with running(app) as wire:
        inside = asyncio.create_task(wire.post("/webhooks/plain", RUN.ljust(900), BEARER))
        await hold.arrived.acquire()
        full = await wire.post("/webhooks/plain", RUN.ljust(101), BEARER)
        hold.go.set()
        assert (await inside).status == 200
        assert (await wire.post("/webhooks/plain", RUN.ljust(1000), BEARER)).status == 200
    assert refusal(full) == (429, "rate_limited")
    assert app.state.gate.held == 0


NONSENSE: list[Any] = [
    None,
    True,
    1,
    [],
    [1],
    [None],
    "accepted",
    [Accepted("another")],
    [Duplicate("another")],
    [("x",)],
    {"a": 1},
]


@pytest.mark.parametrize("nonsense", NONSENSE, ids=repr)
async def test_an_answer_of_the_queue_that_is_not_its_word_for_this_event_is_503(
    wire: Wire, queue: TestQueue, nonsense: Any
) -> None:
    queue.answer = lambda _events: nonsense
    reply = await wire.post("/webhooks/plain", RUN, BEARER)
    assert refusal(reply) == (503, "queue_unavailable")
    assert reply.headers["retry-after"] == "60"


async def test_two_answers_for_one_event_are_503(wire: Wire, queue: TestQueue) -> None:
    queue.answer = lambda events: [Accepted(events[0].id), Accepted(events[0].id)]
    assert refusal(await wire.post("/webhooks/plain", RUN, BEARER)) == (503, "queue_unavailable")


@pytest.mark.parametrize("trouble", [QueueUnavailable("ConnectionError"), OSError(), TimeoutError(), KeyError("x")])
async def test_whatever_goes_wrong_in_the_queue_is_503(
    wire: Wire, queue: TestQueue, lines: Lines, trouble: Exception
) -> None:
    def fail(_events: object) -> None:
        raise trouble

    queue.answer = fail
    reply = await wire.post("/webhooks/plain", RUN, BEARER)
    assert refusal(reply) == (503, "queue_unavailable")
    assert reply.headers["retry-after"] == "60"
    [line] = lines.named("webhook.received")
    assert (line["level"], line["answer"]) == ("warning", "queue_unavailable")
    assert line["reason"] in {"ConnectionError", type(trouble).__name__}


# 500


async def test_a_bug_of_ours_is_500_with_nothing_but_an_id_and_the_log_has_the_rest(
    wire: Wire, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("the detail")

    monkeypatch.setattr("receiver.endpoint.taken", broken)
    reply = await wire.post("/webhooks/plain", RUN, BEARER)
    assert refusal(reply) == (500, "internal_error")
    [line] = lines.named("request.failed")
    assert line["error_id"] in reply.json["message"]
    assert "ZeroDivisionError: the detail" in line["exception"]
    assert b"the detail" not in reply.body
    assert b"ZeroDivision" not in reply.body
    assert (await wire.send("GET", "/healthz")).status == 200


async def test_a_bug_outside_the_door_is_answered_alike(
    wire: Wire, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("receiver.health.generate_latest", lambda _registry: 1 / 0)
    reply = await wire.send("GET", "/metrics")
    assert refusal(reply) == (500, "internal_error")
    assert len(lines.named("request.failed")) == 1


# all of them


async def test_no_answer_repeats_what_was_sent(wire: Wire) -> None:
    canary = "canary-4711"
    replies = [
        await wire.post(f"/webhooks/{canary}/{canary}", canary.encode(), canary),
        await wire.post(f"/webhooks/plain/{canary}", canary.encode(), canary),
        await wire.post("/webhooks/plain", canary.encode(), BEARER),
        await wire.post("/webhooks/plain", f'{{"{canary}": "{canary}"}}'.encode(), BEARER),
        await wire.post("/webhooks/plain", RUN, BEARER, Content_Type=canary),
        await wire.post("/webhooks/plain", RUN, BEARER, Content_Encoding=canary),
        await wire.send("GET", f"/{canary}?{canary}", headers={"X-Header": canary}),
        await wire.send("DELETE", f"/webhooks/plain/{canary}"),
    ]
    assert [reply.status for reply in replies] == [404, 401, 400, 422, 415, 415, 404, 405]
    for reply in replies:
        assert canary not in repr(reply)
        assert "server" not in reply.headers
