import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import ValidationError
from standardwebhooks import Webhook, WebhookVerificationError

from config.contracts.document import Document
from config.contracts.errors import Permanent, Transient, Unauthorized, WorkError
from config.contracts.reasons import Reason
from config.contracts.sink import Taken
from tests.workers.sinks.far_server import FarServer, answers, closed_port, far_server, opened, refused
from workers.sinks import http
from workers.testing.contract import ALL, PNG, THREE, Connect, SinkContract, send
from workers.testing.killed import KilledContract
from workers.testing.servers import SECRET as WRONG
from workers.testing.servers import ServerContract, silent_server
from workers.testing.shipments import batches, document, shipment

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()


@pytest.fixture
async def far_side() -> AsyncIterator[FarServer]:
    async with far_server() as server:
        yield server


@pytest.fixture
def connect(far_side: FarServer, tmp_path: Path) -> Connect:
    return lambda: opened(far_side.url, tmp_path, sign=SECRET)


class TestHttp(SinkContract, ServerContract, KilledContract):
    module = http
    options = http.Target()

    @pytest.fixture
    def settings(self, far_side: FarServer) -> dict[str, Any]:
        return {"url": far_side.url}

    @pytest.fixture
    def down(self, tmp_path: Path) -> Connect:
        return lambda: opened(f"http://127.0.0.1:{closed_port()}/", tmp_path)

    @pytest.fixture
    def refused(self, far_side: FarServer, tmp_path: Path) -> Connect:
        async def echo(request: web.Request, body: bytes) -> web.StreamResponse:
            return web.Response(status=401, text=f"who is {request.headers['Authorization']}?")

        far_side.answers = [echo]
        return lambda: opened(far_side.url, tmp_path, headers={"Authorization": f"Bearer {WRONG}"})

    @pytest.fixture
    async def silent(self, tmp_path: Path) -> AsyncIterator[Connect]:
        async with silent_server() as port:
            yield lambda: opened(f"http://127.0.0.1:{port}/", tmp_path, timeout="300ms")


class TestRequests:
    async def test_a_batch_is_an_envelope_with_the_items_untouched(self, connect: Connect, far_side: FarServer) -> None:
        shipped = shipment(http.Target())
        async with connect() as sink:
            await send(sink, shipped, batches(*THREE)[1:2])
        assert far_side.received[0].body.endswith(b',"items":[{"n":3}]}')
        assert json.loads(far_side.received[0].body) == {
            "kind": "items",
            "delivery": shipped.delivery.id,
            "generation": 0,
            "route": "all",
            "target": "out",
            "stream": "items:default",
            "run": {
                "id": "r1",
                "source": "platform",
                "status": "SUCCEEDED",
                "finishedAt": "2026-03-01T10:00:00.000Z",
                "origin": "",
                "actorId": "",
                "actor": "",
                "taskId": "",
                "task": "",
            },
            "batch": {"index": 1, "offset": 2, "count": 1},
            "items": [{"n": 3}],
        }

    async def test_a_second_try_has_the_same_key_and_the_same_bytes(
        self, connect: Connect, far_side: FarServer
    ) -> None:
        for _ in range(2):
            async with connect() as sink:
                await send(sink, shipment(http.Target()), batches(*THREE))
        seen = [(one.headers["idempotency-key"], one.headers["webhook-id"], one.body) for one in far_side.received]
        assert seen[:3] == seen[3:]
        id = shipment(http.Target()).delivery.id
        assert [key for key, _, _ in seen[:3]] == [f"{id}:items:default:{index}" for index in range(3)]

    async def test_a_replay_has_other_keys(self, connect: Connect, far_side: FarServer) -> None:
        async with connect() as sink:
            for generation in (0, 1):
                await send(sink, shipment(http.Target(), generation=generation), batches(*THREE))
        assert len({one.headers["idempotency-key"] for one in far_side.received}) == 6

    async def test_keys_fit_a_header_whatever_streams_and_records_are_called(
        self, connect: Connect, far_side: FarServer
    ) -> None:
        async with connect() as sink:
            await send(sink, shipment(http.Target(), stream="items:" + "ü\n" * 200), batches([b"1"]))
            for key in ("k" * 256, "k" * 255 + "ß\r\n"):
                async with sink.open(shipment(http.Target(), stream="records"), None) as writer:
                    await writer.document(document(key, "text/plain\r\nX: 1", b"x"))
        keys = [one.headers["idempotency-key"] for one in far_side.received]
        assert len(set(keys)) == 3
        assert all(re.fullmatch(r"[\x21-\x7e]{1,255}", key) for key in keys)
        assert far_side.received[2].headers["x-runrelay-record-key"] == "k" * 255 + "%C3%9F%0D%0A"
        assert far_side.received[2].headers["content-type"] == "application/octet-stream"

    @pytest.mark.parametrize("secret", [SECRET, "any text, ünïcode too"])
    async def test_every_request_is_signed_as_standard_webhooks_says(
        self, far_side: FarServer, tmp_path: Path, secret: str
    ) -> None:
        verifier = Webhook(secret if secret.startswith("whsec_") else secret.encode())
        async with opened(far_side.url, tmp_path, sign=secret) as sink:
            await send(sink, shipment(http.Target()), batches(*THREE))
            async with sink.open(shipment(http.Target(), stream="run"), None) as writer:
                await writer.document(document("run.json", "application/json", b'{"id": "r1"}'))
        for one in far_side.received:
            assert verifier.verify(one.body, one.headers) == json.loads(one.body)

    async def test_while_a_secret_is_replaced_both_sign(self, far_side: FarServer, tmp_path: Path) -> None:
        new, old = SECRET, "the old one"
        async with opened(far_side.url, tmp_path, sign=[new, old, ""]) as sink:
            await send(sink, shipment(http.Target()), batches([b"1"]))
        (one,) = far_side.received
        assert len(one.headers["webhook-signature"].split(" ")) == 2
        for verifier in (Webhook(new), Webhook(old.encode())):
            assert verifier.verify(one.body, one.headers) == json.loads(one.body)
        with pytest.raises(WebhookVerificationError):
            Webhook(b"another one").verify(one.body, one.headers)

    async def test_without_a_secret_nothing_is_signed_but_the_id_is_there(
        self, far_side: FarServer, tmp_path: Path
    ) -> None:
        async with opened(far_side.url, tmp_path) as sink:
            await send(sink, shipment(http.Target()), batches([b"1"]))
        assert "webhook-signature" not in far_side.received[0].headers
        assert far_side.received[0].headers["webhook-id"].endswith(":items:default:0")

    async def test_documents_are_sent_as_they_are_with_their_facts_in_headers(
        self, connect: Connect, far_side: FarServer
    ) -> None:
        large = PNG * 5
        async with connect() as sink, sink.open(shipment(http.Target(), stream="records"), None) as writer:
            taken = await writer.document(
                document("SHOT-1", "image/png", *[large[at : at + 65_536] for at in range(0, len(large), 65_536)])
            )
        headers = far_side.received[0].headers
        assert far_side.received[0].body == large
        assert taken == Taken(rows=1, out=1, bytes=len(large), position={})
        assert {name: value for name, value in headers.items() if name.startswith(("x-runrelay", "content"))} == {
            "content-type": "image/png",
            "content-length": str(len(large)),
            "x-runrelay-record-key": "SHOT-1",
            "x-runrelay-delivery": shipment(http.Target()).delivery.id,
            "x-runrelay-generation": "0",
            "x-runrelay-route": "all",
            "x-runrelay-target": "out",
            "x-runrelay-stream": "records",
            "x-runrelay-source": "platform",
            "x-runrelay-run-id": "r1",
            "x-runrelay-run-status": "SUCCEEDED",
        }

    async def test_the_operators_headers_and_our_name_are_sent(self, far_side: FarServer, tmp_path: Path) -> None:
        async with opened(far_side.url + "/hook?a=1%2F2", tmp_path, headers={"Authorization": "Bearer t0ken"}) as sink:
            await send(sink, shipment(http.Target()), batches([b"1"]))
        headers = far_side.received[0].headers
        assert headers["authorization"] == "Bearer t0ken"
        assert headers["user-agent"].startswith("Runrelay/")

    async def test_an_empty_dataset_needs_no_request(self, connect: Connect, far_side: FarServer) -> None:
        async with connect() as sink:
            await send(sink, shipment(http.Target()), [])
        assert far_side.tried == []

    async def test_the_position_counts_batches(self, connect: Connect) -> None:
        async with connect() as sink:
            _, position = await send(sink, shipment(http.Target()), batches(*THREE))
        assert position == {"batches": 3}

    @pytest.mark.parametrize("stream", ["items:default", "records"])
    async def test_a_body_larger_than_allowed_is_not_sent(
        self, far_side: FarServer, tmp_path: Path, stream: str
    ) -> None:
        shipped = shipment(http.Target(), stream=stream)
        async with opened(far_side.url, tmp_path, max_body="1KiB") as sink, sink.open(shipped, None) as writer:
            large = document("A", "image/png", PNG)
            sending = writer.document(large) if stream == "records" else writer.items(batches([b"1" * 2000])[0])
            with pytest.raises(Permanent) as caught:
                await sending
        assert caught.value.reason is Reason.ITEM_REFUSED
        assert far_side.tried == []

    async def test_of_a_document_that_is_too_large_no_more_is_read_than_needed(
        self, far_side: FarServer, tmp_path: Path
    ) -> None:
        read = []

        async def chunks() -> AsyncIterator[bytes]:
            for number in range(100):
                read.append(number)
                yield b"x" * 1000

        large = Document(key="A", content_type="text/plain", size=None, chunks=chunks())
        shipped = shipment(http.Target(), stream="records")
        async with opened(far_side.url, tmp_path, max_body="2kB") as sink, sink.open(shipped, None) as writer:
            with pytest.raises(Permanent) as caught:
                await writer.document(large)
        assert (str(caught.value), read) == ("item_refused: more than max_body (2000 bytes): 'A'", [0, 1, 2])


class TestVerdicts:
    @pytest.mark.parametrize(
        ("status", "verdict", "reason"),
        [
            (302, Permanent, Reason.TARGET_REFUSED),
            (400, Permanent, Reason.ITEM_REFUSED),
            (401, Unauthorized, Reason.TOKEN_REFUSED),
            (402, Permanent, Reason.TARGET_REFUSED),
            (403, Unauthorized, Reason.TOKEN_REFUSED),
            (404, Permanent, Reason.TARGET_REFUSED),
            (405, Permanent, Reason.TARGET_REFUSED),
            (408, Transient, Reason.TARGET_UNAVAILABLE),
            (413, Permanent, Reason.ITEM_REFUSED),
            (415, Permanent, Reason.TARGET_REFUSED),
            (422, Permanent, Reason.ITEM_REFUSED),
            (409, Transient, Reason.TARGET_UNAVAILABLE),
            (425, Transient, Reason.TARGET_UNAVAILABLE),
            (429, Transient, Reason.TARGET_UNAVAILABLE),
            (500, Transient, Reason.TARGET_UNAVAILABLE),
            (503, Transient, Reason.TARGET_UNAVAILABLE),
        ],
    )
    async def test_each_status_has_its_verdict(
        self, connect: Connect, far_side: FarServer, status: int, verdict: type[WorkError], reason: Reason
    ) -> None:
        far_side.answers = [answers(status, "no\x1b[31m \n thanks")]
        error = await refused(connect)
        shown = {
            302: "HTTP 302 to another path of the same host: redirects are not followed, mend `url`",
            401: "HTTP 401, mend `headers` or `sign`: no [31m thanks",
            403: "HTTP 403, mend `headers` or `sign`: no [31m thanks",
            404: "HTTP 404, mend `url`: no [31m thanks",
            405: "HTTP 405, mend `method`: no [31m thanks",
            415: "HTTP 415, mend `content_type` or `compress`: no [31m thanks",
        }
        expected = shown.get(status, f"HTTP {status}: no [31m thanks")
        assert (type(error), error.reason, error.detail) == (verdict, reason, expected)

    async def test_a_receiver_that_wants_no_more_pauses_the_target(self, connect: Connect, far_side: FarServer) -> None:
        far_side.answers = [answers(410, "unsubscribed")]
        error = await refused(connect)
        assert (type(error), str(error)) == (
            Unauthorized,
            "target_refused: the receiver answered 410 Gone: it wants no more; "
            "mend `url` or remove the target, then `runrelay resume`",
        )

    async def test_a_redirect_is_not_followed_and_its_host_is_named(
        self, connect: Connect, far_side: FarServer
    ) -> None:
        details = []
        for location in ("https://elsewhere.example/s3cret", "http://[no"):
            far_side.answers = [answers(307, Location=location)]
            details.append((await refused(connect)).detail)
        assert details == [
            "HTTP 307 to 'elsewhere.example': redirects are not followed, mend `url`",
            "HTTP 307 to nowhere: redirects are not followed, mend `url`",
        ]
        assert len(far_side.tried) == 2

    async def test_an_answer_is_quoted_up_to_a_kilobyte_and_never_with_our_secrets(
        self, far_side: FarServer, tmp_path: Path
    ) -> None:
        url = f"{far_side.url}/hooks/Zm9vYmFyYmF6cXV4cXV1eA?key=qu3rys3cret"

        async def echo(request: web.Request, body: bytes) -> web.StreamResponse:
            told = f"{request.headers['Authorization']} {SECRET} {request.path_qs} " + "x" * 5000
            return web.Response(status=404, text=told)

        far_side.answers = [echo]
        error = await refused(lambda: opened(url, tmp_path, sign=SECRET, headers={"Authorization": "Bearer t0k3n"}))
        assert error.detail.startswith("HTTP 404, mend `url`: *** *** /hooks/***?key=*** xxx")
        assert len(error.detail) <= 1100

    @pytest.mark.parametrize(
        ("written", "seconds"),
        [("120", 120), ("0", 0), ("999999", 3600), ("-5", None), ("soon", None), ("", None)],
    )
    async def test_retry_after_is_honoured_up_to_an_hour(
        self, connect: Connect, far_side: FarServer, written: str, seconds: float | None
    ) -> None:
        far_side.answers = [answers(503, Retry_After=written)]
        error = await refused(connect)
        assert isinstance(error, Transient)
        assert error.retry_after == seconds

    async def test_retry_after_may_be_a_date(self, connect: Connect, far_side: FarServer) -> None:
        moments = [datetime.now(UTC) + timedelta(seconds=away) for away in (600, 86_400, -60)]
        waits = []
        for moment in moments:
            far_side.answers = [answers(429, Retry_After=format_datetime(moment, usegmt=True))]
            error = await refused(connect)
            assert isinstance(error, Transient)
            waits.append(error.retry_after)
        assert waits[0] == pytest.approx(600, abs=60)
        assert waits[1:] == [3600, 0]

    async def test_a_far_side_that_drops_the_connection_is_tried_again(
        self, connect: Connect, far_side: FarServer
    ) -> None:
        async def drop(request: web.Request, body: bytes) -> web.StreamResponse:
            assert request.transport is not None
            request.transport.close()
            return web.Response()

        far_side.answers = [drop]
        assert type(await refused(connect)) is Transient
        async with connect() as sink:
            await send(sink, shipment(http.Target()), batches(*THREE))
        assert far_side.items("r1") == ALL

    async def test_a_far_side_that_is_too_slow_is_tried_again(self, far_side: FarServer, tmp_path: Path) -> None:
        async def stall(request: web.Request, body: bytes) -> web.StreamResponse:
            await asyncio.sleep(30)
            return web.Response()

        far_side.answers = [stall]
        error = await refused(lambda: opened(far_side.url, tmp_path, timeout="200ms"))
        assert (type(error), error.detail) == (
            Transient,
            "no answer: none within `timeout`: mend it there, or wait longer",
        )

    async def test_a_far_side_that_is_not_there_is_tried_again(self, tmp_path: Path) -> None:
        url = f"http://127.0.0.1:{closed_port()}/very-secret-path-of-a-hook"
        error = await refused(lambda: opened(url, tmp_path))
        assert (type(error), error.detail) == (
            Transient,
            "no answer: nobody listens there: start it, or mend host and port in `url`",
        )

    async def test_credentials_that_expire_half_way_cost_nothing(self, connect: Connect, far_side: FarServer) -> None:
        first, *rest = batches(*THREE)
        async with connect() as sink:
            _, position = await send(sink, shipment(http.Target()), [first], publish=False)
            far_side.answers = [answers(401)]
            with pytest.raises(Unauthorized):
                await send(sink, shipment(http.Target()), rest, position)
            await send(sink, shipment(http.Target()), rest, position)
        assert far_side.items("r1") == ALL


class TestConfig:
    @pytest.mark.parametrize(
        "wrong",
        [
            {"url": "ftp://x.example"},
            {"url": "http://169.254.169.254/latest"},
            {"url": "http://[::ffff:169.254.169.254]/"},
            {"url": "http://[fe80::1]/"},
            {"url": "http://metadata.google.internal/"},
            {"sign": ""},
            {"sign": "whsec_"},
            {"sign": ["", ""]},
            {"sign": ["canary"] * 6},
            {"method": "GET"},
            {"compress": "br"},
            {"rate": "5"},
            {"verify": False},
            {"key": "canary.pem"},
            {"url": "http://x.example", "ca": "ca.pem"},
            {"sign": "whsec_canar"},
            {"headers": {"Content-Type": "text/x-canary"}},
            {"headers": {"X-A": "canary\r\nX-B: 1"}},
            {"headers": {"bad name": "canary"}},
            {"timeout": "10m"},
            {"tokens": "canary"},
        ],
    )
    def test_what_cannot_work_is_refused_without_showing_secrets(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ValidationError) as caught:
            http.Config.model_validate({"url": "https://crm.example.com/hooks", **wrong})
        assert "canary" not in "".join(error["msg"] for error in caught.value.errors())
