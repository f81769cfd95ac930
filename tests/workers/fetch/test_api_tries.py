"""What the API client makes again, over real connections. Pauses between tries are noted, not slept."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest
from aiohttp import ClientConnectorError

from config.contracts.api import Manners, Patience, Rate, TooLarge
from config.contracts.errors import NotFound, Transient
from config.sources.apify.verdict import verdict
from tests.workers.fetch.far_platform import TOKEN, Far, Say, chunked, far, http
from workers.fetch.api import Deadlines, HttpApi, open_session
from workers.fetch.rates import Rates

OK = http(200, b"whole")
BUSY = http(429, json.dumps({"error": {"type": "rate-limit-exceeded", "message": "slow down"}}).encode())
HTML = http(502, b"<html><body>Bad gateway</body></html>", Content_Type="text/html")
HALF = http(200, b"who", Content_Length=5)
BROKEN = {
    "reset": Say(b"", "reset"),
    "half a head": Say(b"HTTP/1.1 20"),
    "short": HALF,
    "no last chunk": chunked(b"who", ended=False),
    "cut gzip": http(200, gzip.compress(b"whole")[:-3], Content_Encoding="gzip"),
    "not the gzip it says": http(200, b"whole", Content_Encoding="gzip"),
    "silent": http(200, b"who", then="silent", Content_Length=5),
}
TROUBLE = {"429": BUSY, "502": HTML, "500": http(500), "503": http(503), **BROKEN}
#: Trouble after which nobody knows whether the platform did as it was told.
UNCLEAR = {name: say for name, say in TROUBLE.items() if name != "429"}
PATIENT = Patience(tries=4, first=1.0, longest=1000.0)


@dataclass
class Client:
    """A client of a platform that answers as told.

    Attributes:
        pauses: what was waited between tries, seconds.
    """

    api: HttpApi
    far: Far
    pauses: list[float]

    @property
    def lines(self) -> list[str]:
        return [request.line.removesuffix(" HTTP/1.1") for request in self.far.requests]


@asynccontextmanager
async def client(
    *answers: Say, patience: Patience = PATIENT, deadlines: Deadlines | None = None, read: float = 0.3
) -> AsyncIterator[Client]:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async with far(*answers) as place, open_session(read) as session:
        manners = Manners(place.url, TOKEN, verdict, patience=patience)
        yield Client(HttpApi(session, manners, deadlines=deadlines or Deadlines(), sleep=sleep), place, pauses)


@pytest.mark.parametrize("trouble", TROUBLE.values(), ids=TROUBLE)
async def test_a_question_is_asked_again_until_the_answer_is_whole(trouble: Say) -> None:
    async with client(trouble, trouble, OK) as asked:
        assert (await asked.api.get("/x", {"offset": 3})).body == b"whole"
    assert asked.lines == ["GET /x?offset=3"] * 3
    assert [pause // 2**index for index, pause in enumerate(asked.pauses)] == [1.0, 1.0]


@pytest.mark.parametrize("trouble", TROUBLE.values(), ids=TROUBLE)
async def test_after_its_tries_the_verdict_is_raised(trouble: Say) -> None:
    async with client(trouble) as asked:
        with pytest.raises(Transient) as caught:
            await asked.api.get("/x")
    assert caught.value.reason == "source_unavailable"
    assert (len(asked.lines), len(asked.pauses)) == (4, 3)


async def test_where_nobody_listens_it_is_tried_again_and_the_cause_is_kept() -> None:
    async with client(OK) as asked:
        async with far(OK) as gone:
            pass
        asked.api.manners = Manners(gone.url, TOKEN, verdict, patience=PATIENT)
        with pytest.raises(Transient) as caught:
            await asked.api.get("/x")
    assert isinstance(caught.value.__cause__, ClientConnectorError)
    assert len(asked.pauses) == 3


async def test_the_platform_says_how_long_to_wait() -> None:
    busy = http(429, Retry_After=7)
    async with client(busy, http(503, Retry_After=9), OK) as asked:
        assert (await asked.api.get("/x")).body == b"whole"
    assert asked.pauses == [7.0, 9.0]


async def test_who_is_asked_to_wait_for_long_gives_the_slot_back() -> None:
    async with client(http(429, Retry_After=120), patience=Patience()) as asked:
        with pytest.raises(Transient) as caught:
            await asked.api.get("/x")
    assert (caught.value.retry_after, asked.pauses, len(asked.lines)) == (120.0, [], 1)


async def test_what_does_not_pass_is_asked_once() -> None:
    async with client(http(404), OK) as asked:
        with pytest.raises(NotFound):
            await asked.api.get("/x")
    assert len(asked.lines) == 1


async def test_a_body_too_large_is_asked_for_once() -> None:
    async with client(OK) as asked:
        with pytest.raises(TooLarge):
            await asked.api.get("/x", most=4)
    assert len(asked.lines) == 1


# requests that change something


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_a_change_that_was_refused_before_it_happened_is_made_again(method: str) -> None:
    async with client(BUSY, BUSY, http(201, b"{}")) as asked:
        assert (await asked.api.send(method, "/runs", body=b"[1]")).status == 201
    assert asked.lines == [f"{method} /runs"] * 3
    assert [request.headers["content-length"] for request in asked.far.requests] == ["3"] * 3


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("trouble", UNCLEAR.values(), ids=UNCLEAR)
async def test_a_change_that_may_have_happened_is_never_made_twice(method: str, trouble: Say) -> None:
    async with client(trouble, OK) as asked:
        with pytest.raises(Transient):
            await asked.api.send(method, "/runs")
    assert (len(asked.lines), asked.pauses) == (1, [])


@pytest.mark.parametrize("trouble", UNCLEAR.values(), ids=UNCLEAR)
async def test_what_is_deleted_twice_is_deleted(trouble: Say) -> None:
    async with client(trouble, http(204, Content_Length=None, Content_Encoding="gzip")) as asked:
        answer = await asked.api.send("DELETE", "/runs/r")
    assert (answer.status, answer.body, asked.lines) == (204, b"", ["DELETE /runs/r"] * 2)


# streams


@pytest.mark.parametrize("name", ["429", "502", "reset", "half a head"])
async def test_a_stream_is_asked_for_again_until_it_begins(name: str) -> None:
    async with client(TROUBLE[name], OK) as asked, asked.api.stream("/log") as answer:
        assert b"".join([chunk async for chunk in answer.chunks]) == b"whole"
    assert len(asked.lines) == 2


async def test_a_stream_that_has_begun_breaks_off_for_good() -> None:
    async def read(asked: Client) -> None:
        async with asked.api.stream("/log") as answer:
            async for chunk in answer.chunks:
                came.append(chunk)

    came: list[bytes] = []
    async with client(HALF, OK) as asked:
        with pytest.raises(Transient):
            await read(asked)
    assert (came, len(asked.lines)) == ([b"who"], 1)


# deadlines


async def test_a_body_that_drips_for_ever_runs_into_the_deadline() -> None:
    drip = Say(http(200, b"", Content_Length=9999).raw, "silent", (b"a",) * 200, 0.02)
    async with client(drip, OK, deadlines=Deadlines(whole=0.3)) as asked:
        assert (await asked.api.get("/x")).body == b"whole"
    async with client(drip, deadlines=Deadlines(whole=0.3)) as asked:
        with pytest.raises(Transient) as caught:
            await asked.api.send("POST", "/x")
    assert caught.value.detail == "TimeoutError while asking the platform"
    assert asked.far.pieces < 200


async def test_a_stream_may_take_as_long_as_it_keeps_coming() -> None:
    drip = Say(http(200, b"", Content_Length=20).raw, "close", (b"a",) * 20, 0.02)
    async with client(drip, deadlines=Deadlines(whole=0.1)) as asked, asked.api.stream("/log") as answer:
        assert b"".join([chunk async for chunk in answer.chunks]) == b"a" * 20


async def test_an_answer_the_platform_holds_back_is_waited_for() -> None:
    held = Say(b"", "close", (OK.raw,), 0.5)
    async with client(held, read=2.0) as asked:
        assert (await asked.api.get("/x", {"waitForFinish": 60})).body == b"whole"
    assert len(asked.lines) == 1


# limits


def limited(asked: Client, per_second: float, limit_header: str = "") -> None:
    asked.api.manners = Manners(
        asked.far.url,
        TOKEN,
        verdict,
        rate=lambda method, path: Rate(f"{method} {path}", per_second),
        limit_header=limit_header,
        patience=PATIENT,
    )


class Noted(Rates):
    """Notes what the client asks of the limits and tells them."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[object] = []

    async def turn(self, rate: Rate) -> None:
        self.notes.append(("turn", rate.resource))

    def refused(self, rate: Rate) -> None:
        self.notes.append(("refused", rate.resource))

    def told(self, rate: Rate, per_second: float) -> None:
        self.notes.append(("told", rate.resource, per_second))


async def test_every_try_takes_its_turn_and_the_limits_hear_what_the_platform_says() -> None:
    noted = Noted()
    async with client(http(429, X_Limit="30"), http(200, X_Limit="60")) as asked:
        asked.api = HttpApi(asked.api.session, asked.api.manners, rates=noted, sleep=lambda _: asyncio.sleep(0))
        limited(asked, 60.0, "x-limit")
        await asked.api.get("/x")
    assert noted.notes == [
        ("turn", "GET /x"),
        ("told", "GET /x", 30),
        ("refused", "GET /x"),
        ("turn", "GET /x"),
        ("told", "GET /x", 60),
    ]


@pytest.mark.parametrize("said", ["", "0", "-5", "many", "1e3", "²"])
async def test_a_limit_that_is_no_number_is_not_heard(said: str) -> None:
    noted = Noted()
    async with client(http(200, X_Limit=said)) as asked:
        asked.api = HttpApi(asked.api.session, asked.api.manners, rates=noted)
        limited(asked, 60.0, "x-limit")
        await asked.api.get("/x")
    assert noted.notes == [("turn", "GET /x")]


# secrets


async def test_a_token_the_platform_repeats_goes_no_further() -> None:
    body = json.dumps({"error": {"type": "record-not-found", "message": f"no user has {TOKEN}"}}).encode()
    async with client(http(404, body)) as asked:
        with pytest.raises(NotFound) as caught:
            await asked.api.get("/x")
    assert caught.value.detail == "HTTP 404 record-not-found: no user has ***"
    assert TOKEN not in repr(caught.value)


async def test_a_token_that_is_but_a_letter_leaves_the_words_alone() -> None:
    body = json.dumps({"error": {"type": "record-not-found", "message": "no user has it"}}).encode()
    async with client(http(404, body)) as asked:
        asked.api = HttpApi(asked.api.session, replace(asked.api.manners, token="t"))
        with pytest.raises(NotFound) as caught:
            await asked.api.get("/x")
    assert caught.value.detail == "HTTP 404 record-not-found: no user has it"
