"""The API client's manners, over real connections that break wherever it hurts."""

import gzip
import json
import random
import zlib

import brotli  # type: ignore[import-untyped]  # it ships no types
import pytest
from backports import zstd

from config.contracts.api import Manners, TooLarge
from config.contracts.errors import NotFound, Permanent, Transient
from config.sources.apify.verdict import verdict as apify_verdict
from tests.workers.fetch.far_platform import ONCE, TOKEN, Refusal, Say, api, chunked, far, http
from workers.fetch.api import Deadlines, HttpApi, open_session
from workers.fetch.unpacking import PIECE

NOISE = random.Random(7).randbytes(200_000)


async def trouble(say: Say, *, most: int | None = None) -> str:
    """The word for what went wrong when this is all that comes."""
    async with far(say) as place, api(place.url) as client:
        with pytest.raises(Transient) as caught:
            await client.get("/x", most=most)
    assert caught.value.reason == "source_unavailable"
    return caught.value.detail.split()[0]


async def got(say: Say) -> bytes:
    async with far(say) as place, api(place.url) as client:
        return (await client.get("/x")).body


async def test_a_whole_answer_comes_with_its_headers_in_lower_case() -> None:
    async with far(http(201, b"body", X_Apify_Total=7)) as place, api(f"{place.url}/v2") as client:
        answer = await client.get("/datasets/d", {"offset": 0, "limit": 5})
    assert (answer.status, answer.body, answer.headers["x-apify-total"]) == (201, b"body", "7")
    (request,) = place.requests
    assert request.line == "GET /v2/datasets/d?offset=0&limit=5 HTTP/1.1"
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.headers["accept-encoding"] == "gzip, deflate, br, zstd"


async def test_without_a_token_none_is_sent() -> None:
    async with far(http(200)) as place, open_session() as session:
        await HttpApi(session, Manners(place.url, "", apify_verdict)).get("/x")
    assert "authorization" not in place.requests[0].headers


async def test_sending_has_the_method_the_body_and_its_type() -> None:
    async with far(http(201, b"{}")) as place, api(place.url) as client:
        answer = await client.send("POST", "/acts", {"a": 1}, body=b"[1]", content_type="application/json")
        empty = await client.send("DELETE", "/acts")
    assert (answer.status, answer.body, empty.status) == (201, b"{}", 201)
    assert [request.line for request in place.requests] == ["POST /acts?a=1 HTTP/1.1", "DELETE /acts HTTP/1.1"]
    assert place.requests[0].headers["content-type"] == "application/json"
    assert place.requests[0].headers["content-length"] == "3"
    assert "content-type" not in place.requests[1].headers


async def test_a_body_streams_in_pieces() -> None:
    async with far(chunked(NOISE, NOISE)) as place, api(place.url) as client, client.stream("/x") as answer:
        assert b"".join([chunk async for chunk in answer.chunks]) == NOISE * 2


# redirects


async def test_a_redirect_to_the_same_origin_keeps_the_token() -> None:
    async with far(http(301, Location="/v2/there?signed=1"), http(200, b"here")) as place, api(place.url) as client:
        assert (await client.get("/here", {"limit": 5})).body == b"here"
    assert [request.line for request in place.requests] == [
        "GET /here?limit=5 HTTP/1.1",
        "GET /v2/there?signed=1 HTTP/1.1",
    ]
    assert [request.headers.get("authorization") for request in place.requests] == [f"Bearer {TOKEN}"] * 2


@pytest.mark.parametrize("host", ["storage.test", "eu.storage.test"])
async def test_a_redirect_to_a_storage_host_goes_without_the_token_and_never_gets_it_back(host: str) -> None:
    async with far(http(200, b"stored")) as place, far() as storage, far() as own:
        names = {"api.test": own.port, host: storage.port}
        own.answers = [http(302, Location=f"https://{host}/bucket?signature=a%2Bb"), http(200, b"back")]
        storage.answers = [http(302, Location="https://api.test/other")]
        async with api("https://api.test", "storage.test", ports=names) as client:
            assert (await client.get("/record")).body == b"back"
    assert [request.headers.get("authorization") for request in own.requests] == [f"Bearer {TOKEN}", None]
    assert [request.headers.get("authorization") for request in storage.requests] == [None]
    assert storage.requests[0].line == "GET /bucket?signature=a%2Bb HTTP/1.1"
    assert place.requests == []


@pytest.mark.parametrize(
    "location",
    [
        "https://evil.test/x",
        "https://storage.test.evil.test/x",
        "https://evilstorage.test/x",
        "https://storage.test@evil.test/x",
        "http://storage.test/x",
        "http://api.test/x",
        "https://api.test:8443/x",
        "//evil.test/x",
        "https://evil.test\\@storage.test/",
        "ftp://storage.test/x",
        "file:///etc/passwd",
        "https://[::1/x",
        "https://storage.test:99999/x",
        "javascript:0",
        "https://user:password@api.test/x",
    ],
)
async def test_a_redirect_anywhere_else_is_refused_and_nothing_is_sent_there(location: str) -> None:
    async with far(http(302, Location=location)) as own, far(http(200, b"stolen")) as other:
        names = {"api.test": own.port, "evil.test": other.port, "storage.test": other.port}
        async with api("https://api.test", "storage.test", ports=names) as client:
            with pytest.raises(Permanent) as caught:
                await client.get("/x")
    assert caught.value.reason == "source_refused"
    assert "evil" not in caught.value.detail
    assert (len(own.requests), other.requests) == (1, [])


async def test_three_redirects_are_followed_and_a_fourth_is_not() -> None:
    loop = http(307, Location="/again")
    async with far(loop, loop, loop, http(200, b"at last")) as place, api(place.url) as client:
        assert (await client.get("/x")).body == b"at last"
    async with far(loop) as place, api(place.url) as client:
        with pytest.raises(Permanent, match="more than 3 redirects"):
            await client.get("/x")
    assert len(place.requests) == 4


async def test_what_was_done_already_is_not_sent_where_its_outcome_stands() -> None:
    async with far(http(303, Location="/outcome"), http(200, b"done")) as place, api(place.url) as client:
        assert (await client.send("POST", "/runs", body=b"{}")).body == b"done"
    assert [request.line for request in place.requests] == ["POST /runs HTTP/1.1", "GET /outcome HTTP/1.1"]
    assert "content-type" not in place.requests[1].headers


async def test_a_redirect_that_leads_nowhere_ends() -> None:
    async with far(http(302)) as place, api(place.url) as client:
        with pytest.raises(Permanent):
            await client.get("/x")


# refusals


@pytest.mark.parametrize("status", [300, 400, 401, 404, 429, 500, 503])
async def test_everything_outside_2xx_is_the_platforms_verdict(status: int) -> None:
    async with far(http(status, b"why", X_Rate="5")) as place, api(place.url) as client:
        with pytest.raises(Refusal) as caught:
            await client.get("/x")
    assert caught.value.status == status
    assert (caught.value.body, caught.value.headers["x-rate"]) == (b"why", "5")


async def test_of_an_error_body_64_kib_are_read_however_it_is_cut() -> None:
    say = Say(http(400, b"", Content_Length=10**9).raw, "silent", (b"a" * 1000,) * 100, 0.0001)
    async with far(say) as place, api(place.url) as client:
        with pytest.raises(Refusal) as caught:
            await client.get("/x")
    assert caught.value.body == b"a" * 65536


async def test_an_endless_error_body_is_not_read_to_its_end() -> None:
    flood = Say(http(500, b"", Content_Length=10**12).raw, "silent", (bytes(65536),) * 800)
    async with far(flood) as place, api(place.url) as client:
        with pytest.raises(Refusal):
            await client.get("/x")
        assert place.pieces < 400


async def test_an_error_body_in_pieces_is_read_whole() -> None:
    body = json.dumps({"error": {"type": "query-timeout", "message": "slow"}}).encode()
    say = Say(http(400, b"", Content_Length=len(body)).raw, "close", (body[:9], body[9:30], body[30:]), 0.02)
    async with far(say) as place, open_session() as session:
        with pytest.raises(Transient, match="query-timeout: slow"):
            await HttpApi(session, Manners(place.url, TOKEN, apify_verdict, patience=ONCE)).get("/x")


@pytest.mark.parametrize(
    "say",
    [
        http(404, b"half", Content_Length=999),
        http(404, b"half", then="reset", Content_Length=999),
        http(404, b"half", then="silent", Content_Length=999),
        http(404, gzip.compress(b"half")[:-4], Content_Encoding="gzip"),
        http(404, b"half", Content_Encoding="compress"),
    ],
    ids=["short", "reset", "silent", "cut", "odd"],
)
async def test_an_error_body_that_breaks_off_leaves_the_verdict_to_the_status(say: Say) -> None:
    async with far(say) as place, api(place.url) as client:
        client.manners = Manners(place.url, TOKEN, apify_verdict)
        with pytest.raises(NotFound):
            await client.get("/x")


async def test_an_error_body_that_drips_is_not_waited_for() -> None:
    say = Say(http(404, b"", Content_Length=9999).raw, "silent", (b"a",) * 100, 0.05)
    async with far(say) as place, api(place.url, deadlines=Deadlines(error=0.2)) as client:
        with pytest.raises(Refusal) as caught:
            await client.get("/x")
    assert 0 < len(caught.value.body) < 100


# trouble on the wire


async def test_a_refused_connection_is_trouble_that_may_pass() -> None:
    async with far(http(200)) as place:
        pass
    async with api(place.url) as client:
        with pytest.raises(Transient):
            await client.get("/x")


@pytest.mark.parametrize(
    "say",
    [
        Say(b""),
        Say(b"", "reset"),
        Say(b"HTTP/1.1 20"),
        Say(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
        http(200, b"half", Content_Length=8),
        http(200, b"half", then="reset", Content_Length=8),
        chunked(b"half", ended=False),
        chunked(b"half", ended=False, then="reset"),
        Say(chunked(b"half", ended=False).raw + b"zz\r\n"),
    ],
    ids=[
        "nothing",
        "reset",
        "half a head",
        "ssh",
        "short",
        "reset in it",
        "no last chunk",
        "reset in chunks",
        "garbage",
    ],
)
async def test_an_answer_that_breaks_off_is_trouble_that_may_pass(say: Say) -> None:
    await trouble(say)


@pytest.mark.parametrize(
    "say",
    [
        Say(b"", "silent"),
        http(200, b"half", then="silent", Content_Length=8),
        chunked(b"x", ended=False, then="silent"),
    ],
    ids=["no head", "in the body", "in the chunks"],
)
async def test_a_platform_that_falls_silent_is_not_waited_for(say: Say) -> None:
    assert await trouble(say) == "SocketTimeoutError"


async def test_a_stream_whose_framing_is_damaged_on_the_way_is_not_waited_for() -> None:
    damaged = Say(chunked(b"hello", ended=False).raw, pieces=(b"no length\r\n",), pause=0.05)
    deadlines = Deadlines(silence=0.2)
    async with far(damaged) as place, api(place.url, deadlines=deadlines) as client, client.stream("/x") as answer:
        with pytest.raises(Transient) as caught:
            assert [chunk async for chunk in answer.chunks] == [b"hello"]
    assert caught.value.detail == "TimeoutError while asking the platform"


async def test_a_slow_body_may_take_as_long_as_it_keeps_coming() -> None:
    say = Say(http(200, b"", Content_Length=20).raw, "close", (b"a",) * 20, 0.03)
    assert await got(say) == b"a" * 20


async def test_trouble_of_the_one_who_reads_is_not_the_platforms() -> None:
    async def keep(client: HttpApi) -> None:
        async with client.stream("/x") as answer:
            async for _ in answer.chunks:
                raise OSError("disk full")

    async with far(http(200, b"body")) as place, api(place.url) as client:
        with pytest.raises(OSError, match="disk full"):
            await keep(client)


async def test_a_body_larger_than_the_reader_holds_is_not_read_on() -> None:
    flood = Say(http(200, b"", Content_Length=10**12).raw, "silent", (bytes(65536),) * 800)
    async with far(flood) as place, api(place.url) as client:
        with pytest.raises(TooLarge):
            await client.get("/x", most=100_000)
        assert place.pieces < 400


async def test_what_answers_a_change_is_not_held_whatever_its_size() -> None:
    large = Say(chunked(ended=False).raw, pieces=(b"100000\r\n" + bytes(2**20) + b"\r\n",) * 20)
    async with far(large) as place, api(place.url) as client:
        with pytest.raises(Transient) as caught:
            await client.send("POST", "/runs")
    assert caught.value.detail == "what answers a POST is too large for an answer"
    assert place.pieces < 20


async def test_a_body_as_large_as_the_reader_holds_is_read() -> None:
    async with far(http(200, b"a" * 1000)) as place, api(place.url) as client:
        assert (await client.get("/x", most=1000)).body == b"a" * 1000
        with pytest.raises(TooLarge):
            await client.get("/x", most=999)


# packed bodies


def bare(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


PACKED = {
    "br": ("br", brotli.compress(NOISE)),
    "zstd": ("zstd", zstd.compress(NOISE)),
    "gzip": ("gzip", gzip.compress(NOISE)),
    "x-gzip": ("X-GZIP", gzip.compress(NOISE)),
    "members": ("gzip", gzip.compress(NOISE[:70_000]) + gzip.compress(b"") + gzip.compress(NOISE[70_000:])),
    "deflate": ("deflate", zlib.compress(NOISE)),
    "bare deflate": ("deflate", bare(NOISE)),
    "identity": ("identity", NOISE),
}


@pytest.mark.parametrize(("encoding", "body"), PACKED.values(), ids=PACKED)
async def test_a_packed_body_arrives_as_it_was(encoding: str, body: bytes) -> None:
    assert await got(http(200, body, Content_Encoding=encoding)) == NOISE
    pieces = [body[at : at + 777] for at in range(0, len(body), 777)]
    assert await got(chunked(*pieces, Content_Encoding=encoding)) == NOISE


@pytest.mark.parametrize("keep", [0, 1, 10, 11, 1000, -9, -8, -1])
@pytest.mark.parametrize("name", ["gzip", "members", "deflate", "bare deflate", "br", "zstd"])
async def test_a_packed_body_without_its_end_is_never_a_short_body(name: str, keep: int) -> None:
    encoding, body = PACKED[name]
    for say in (
        http(200, body[:keep], Content_Encoding=encoding),
        chunked(body[:keep] or b"", Content_Encoding=encoding) if keep else chunked(Content_Encoding=encoding),
    ):
        assert await trouble(say) == "ClientPayloadError"


async def test_a_damaged_body_is_trouble_that_may_pass() -> None:
    body = bytearray(gzip.compress(b"text" * 1000))
    body[-6] ^= 0xFF
    assert await trouble(http(200, bytes(body), Content_Encoding="gzip")) == "ClientPayloadError"
    assert await trouble(http(200, b"not packed at all", Content_Encoding="gzip")) == "ClientPayloadError"


async def test_a_small_body_that_unpacks_to_a_huge_one_is_held_back() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    async with far(http(200, bomb, Content_Encoding="gzip")) as place, api(place.url) as client:
        with pytest.raises(TooLarge):
            await client.get("/x", most=3_000_000)
        async with client.stream("/x") as answer:
            sizes = [len(chunk) async for chunk in answer.chunks]
    assert (sum(sizes), max(sizes)) == (50_000_000, PIECE)


@pytest.mark.parametrize("more", [0, 1, 5, 258, 300])
async def test_what_the_unpacker_holds_back_at_a_full_piece_is_not_lost(more: int) -> None:
    body = bytes(PIECE + more)
    assert await got(http(200, bare(body), Content_Encoding="deflate")) == body
    assert await got(http(200, gzip.compress(body), Content_Encoding="gzip")) == body


async def test_a_body_packed_in_another_way_is_refused() -> None:
    async with far(http(200, b"\x0b\x00", Content_Encoding="compress")) as place, api(place.url) as client:
        with pytest.raises(Permanent, match="did not ask for: compress"):
            await client.get("/x")


# the session


async def test_the_process_session_takes_nothing_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    async with far(http(200, b"direct")) as place, open_session() as session:
        client = HttpApi(session, Manners(place.url, TOKEN, apify_verdict))
        assert (await client.get("/x")).body == b"direct"
        seen = place.requests[0].headers
        timeouts = [(each.timeout.total, each.timeout.sock_connect, each.timeout.sock_read) for each in session]
    assert (seen["user-agent"], timeouts) == ("Runrelay", [(None, 10.0, 90.0)] * 2)
