"""Files at addresses that the platform gave: who is asked for them, and who sees the token."""

import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from config.contracts.api import Manners, Patience, Rate
from config.contracts.errors import NotFound, Permanent, Transient, WorkError
from config.contracts.reasons import Reason
from config.wire.files import verdict as of_a_file
from tests.workers.fetch.far_platform import TOKEN, Far, Refusal, Say, api, chunked, far, http, verdict
from workers.fetch.api import HttpApi, open_session

FILE = http(200, b"the file", Content_Type="video/mp4")
SIGNED = "https://files.test/out.mp4?signature=a%2Bb"


@dataclass
class Places:
    """The API at `https://api.test/v2`, a public host at `https://files.test`, and one within the own network."""

    client: HttpApi
    own: Far
    public: Far
    near: Far

    async def got(self, url: str) -> bytes:
        async with self.client.download(url, of_a_file) as answer:
            return b"".join([chunk async for chunk in answer.chunks])

    async def trouble(self, url: str) -> WorkError:
        with pytest.raises(WorkError) as raised:
            await self.got(url)
        return raised.value

    @property
    def shown(self) -> dict[str, list[str | None]]:
        """What each place has seen of the token, request by request."""
        places = {"own": self.own, "public": self.public, "near": self.near}
        return {
            name: [request.headers.get("authorization") for request in place.requests]
            for name, place in places.items()
            if place.requests
        }


@asynccontextmanager
async def places(
    own: tuple[Say, ...] = (FILE,), public: tuple[Say, ...] = (FILE,), near: tuple[Say, ...] = (FILE,)
) -> AsyncIterator[Places]:
    async with far(*own) as first, far(*public) as second, far(*near) as third:
        names = {"api.test": first.port, "files.test": second.port, "127.0.0.1": third.port}
        async with api("https://api.test/v2", ports=names) as client:
            client.manners = replace(client.manners, headers={"x-version": "7"}, file_origins=(third.url,))
            yield Places(client, first, second, third)


BEARER = f"Bearer {TOKEN}"


async def test_a_file_at_a_public_host_comes_without_our_token() -> None:
    async with places() as there:
        assert await there.got(SIGNED) == b"the file"
    assert there.shown == {"public": [None]}
    (request,) = there.public.requests
    assert request.line == "GET /out.mp4?signature=a%2Bb HTTP/1.1"
    assert "x-version" not in request.headers


@pytest.mark.parametrize("host", ["files.test", "api.test"])
async def test_an_address_is_asked_as_it_is_written(host: str) -> None:
    """Its signature is over these very characters."""
    written = "/a%2Fb%7e/(c)~d?X-Credential=k%2F2026%2f&plus=+%2B&empty=&s=a%3D=="
    async with places() as there:
        assert await there.got(f"https://{host}{written}#part") == b"the file"
    (request,) = (*there.public.requests, *there.own.requests)
    assert request.line == f"GET {written} HTTP/1.1"


async def test_an_address_that_cannot_be_sent_as_it_is_written_is_quoted() -> None:
    async with places() as there:
        assert await there.got("https://files.test/r\u00e9sum\u00e9 1.pdf") == b"the file"
    assert there.public.requests[0].line == "GET /r%C3%A9sum%C3%A9%201.pdf HTTP/1.1"


async def test_a_redirect_is_followed_as_it_is_written() -> None:
    away = http(302, b"", Location="/next%2F?s=%2b~%7E")
    async with places(public=(away, FILE)) as there:
        assert await there.got("https://files.test/a") == b"the file"
    assert there.public.requests[1].line == "GET /next%2F?s=%2b~%7E HTTP/1.1"


async def test_a_file_at_the_apis_own_origin_comes_with_it() -> None:
    async with places() as there:
        assert await there.got("https://api.test/elsewhere/out.mp4") == b"the file"
    assert there.shown == {"own": [BEARER]}
    assert there.own.requests[0].headers["x-version"] == "7"


async def test_a_file_within_the_own_network_comes_without_it_if_the_operator_wrote_so() -> None:
    async with places() as there:
        assert await there.got(f"{there.near.url}/out.mp4") == b"the file"
    assert there.shown == {"near": [None]}


async def test_its_type_and_status_come_along() -> None:
    async with places() as there, there.client.download(SIGNED, of_a_file) as answer:
        assert (answer.status, answer.headers["content-type"]) == (200, "video/mp4")


CURE = "; if it is one of your own, set `file_origins` of the source (generic: `api.file_origins`)"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://minio.internal:9000/out.mp4?X-Amz-Signature=s3cret", f" at `http://minio.internal:9000` {{}}{CURE}"),
        ("https://user:password@minio.internal/out.mp4", f" at `https://minio.internal` {{}}{CURE}"),
        ("out.mp4", " {}"),
    ],
)
async def test_an_address_that_is_not_asked_is_told_without_its_secrets_and_with_the_cure(
    address: str, said: str
) -> None:
    async with places() as there:
        detail = (await there.trouble(address)).detail
    before, after = said.split("{}")
    assert detail.startswith(f"the platform names an address{before}that no file is fetched from: ")
    assert detail.endswith(after)
    assert not [secret for secret in ("s3cret", "password", "user", "out.mp4") if secret in detail]
    assert len(detail) <= 300


# redirects


async def test_a_redirect_away_from_the_api_loses_the_token_for_good() -> None:
    away, back = http(302, Location=SIGNED), http(302, Location="https://api.test/v2/other")
    async with places(own=(away, FILE), public=(back,)) as there:
        assert await there.got("https://api.test/v2/out.mp4") == b"the file"
    assert there.shown == {"own": [BEARER, None], "public": [None]}


async def test_a_redirect_from_elsewhere_never_brings_the_token_to_the_api() -> None:
    async with places(public=(http(307, Location="https://api.test/v2/users/me"),)) as there:
        assert await there.got(SIGNED) == b"the file"
    assert there.shown == {"own": [None], "public": [None]}


async def test_a_redirect_within_the_api_keeps_it() -> None:
    async with places(own=(http(302, Location="/v2/there"), FILE)) as there:
        assert await there.got("https://api.test/v2/out.mp4") == b"the file"
    assert there.shown == {"own": [BEARER] * 2}


NOWHERE = [
    "http://files.test/out.mp4",
    "http://93.184.215.14/out.mp4",
    "http://api.test/v2/out.mp4",
    "https://files.test:8443/out.mp4",
    "https://localhost/out.mp4",
    "https://127.0.0.1/out.mp4",
    "https://10.0.0.1/out.mp4",
    "https://[::1]/out.mp4",
    "https://[fd00::1]/out.mp4",
    "https://169.254.169.254/latest/meta-data",
    "https://metadata.google.internal/out.mp4",
    "https://2130706433/out.mp4",
    "https://user:password@files.test/out.mp4",
    "https://user@api.test/out.mp4",
    "https://:password@api.test/out.mp4",
    "https://files.test\\@api.test/out.mp4",
    "https://[::1/out.mp4",
    "https://files.test:99999/out.mp4",
    "s3://bucket/out.mp4",
    "ftp://files.test/out.mp4",
    "file:///etc/passwd",
    "data:text/plain,x",
    "javascript:0",
    "out.mp4",
    "",
]


@pytest.mark.parametrize("address", NOWHERE)
async def test_nothing_else_is_asked(address: str) -> None:
    async with places() as there:
        error = await there.trouble(address)
    assert (type(error), error.reason) == (Permanent, Reason.SOURCE_REFUSED)
    assert "password" not in error.detail
    assert there.shown == {}


@pytest.mark.parametrize("location", [one for one in NOWHERE if "://" in one])
async def test_nothing_else_is_asked_on_the_word_of_a_redirect(location: str) -> None:
    async with places(public=(http(302, Location=location),)) as there:
        error = await there.trouble(SIGNED)
    assert (type(error), error.reason) == (Permanent, Reason.SOURCE_REFUSED)
    assert there.shown == {"public": [None]}


async def test_a_redirect_that_goes_round_ends() -> None:
    async with places(public=(http(302, Location="/again"),)) as there:
        assert (await there.trouble(SIGNED)).detail == "more than 3 redirects"
    assert len(there.public.requests) == 4


async def test_a_name_that_leads_into_the_own_network_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    def inside(host: str, port: int, *_: object, **__: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    async with open_session() as session:
        client = HttpApi(session, Manners("http://127.0.0.1:9", TOKEN, verdict, patience=Patience(tries=1)))
        monkeypatch.setattr(socket, "getaddrinfo", inside)
        with pytest.raises(Transient, match=r"leads to an address that is not public; .* set `file_origins` of"):
            async with client.download("https://files.test/out.mp4", of_a_file):
                pass


# refusals


async def test_a_storage_host_that_says_no_says_nothing_of_the_token() -> None:
    async with places(public=(http(403, b"<Error/>"),)) as there:
        error = await there.trouble(SIGNED)
    assert (type(error), error.reason) == (NotFound, Reason.DATA_EXPIRED)


async def test_the_api_that_says_no_does() -> None:
    async with places(own=(http(401, b"who is it?"),)) as there:
        error = await there.trouble("https://api.test/v2/out.mp4")
    assert isinstance(error, Refusal), "the verdict of the API's own manners"
    assert (error.status, error.body) == (401, b"who is it?")


@pytest.mark.parametrize("status", [400, 403, 404, 410])
async def test_a_file_that_is_over_is_over_at_the_apis_own_origin_too(status: int) -> None:
    async with places(own=(http(status, b"no"),)) as there:
        error = await there.trouble("https://api.test/v2/out.mp4")
    assert (type(error), error.reason) == (NotFound, Reason.DATA_EXPIRED)


@pytest.mark.parametrize("status", [402, 403, 429, 503])
async def test_what_the_api_says_of_us_and_of_later_is_the_apis_word_of_a_file(status: int) -> None:
    def later(status: int, headers: Mapping[str, str], body: bytes) -> WorkError:
        return Refusal(status, headers, body) if status == 402 else Transient(Reason.SOURCE_UNAVAILABLE, "later")

    async with places(own=(http(status, b"no"),)) as there:
        there.client.manners = replace(there.client.manners, verdict=later)
        error = await there.trouble("https://api.test/v2/out.mp4")
    assert type(error) is (Refusal if status == 402 else Transient)


async def test_the_api_that_was_not_shown_the_token_says_nothing_of_it_either() -> None:
    async with places(own=(http(401),), public=(http(302, Location="https://api.test/v2/users/me"),)) as there:
        assert (await there.trouble(SIGNED)).reason is Reason.DATA_EXPIRED


async def test_a_storage_host_that_is_busy_is_asked_again() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async with places(public=(http(503), http(429, Retry_After="3"), FILE)) as there:
        patient = replace(there.client.manners, patience=Patience(tries=4, first=1.0))
        client = HttpApi(there.client.session, patient, sleep=sleep)
        async with client.download(SIGNED, of_a_file) as answer:
            assert b"".join([chunk async for chunk in answer.chunks]) == b"the file"
    assert len(slept) == 2
    assert slept[1] >= 3.0


@pytest.mark.parametrize(
    "say",
    [http(200, b"half", Content_Length=99), chunked(b"half", ended=False), http(200, then="reset", Content_Length=99)],
    ids=["short", "no last chunk", "reset"],
)
async def test_a_file_that_breaks_off_is_worth_another_try(say: Say) -> None:
    async with places(public=(say,)) as there:
        error = await there.trouble(SIGNED)
    assert (type(error), error.reason) == (Transient, Reason.SOURCE_UNAVAILABLE)


async def test_only_what_the_api_is_asked_counts_towards_its_limits() -> None:
    counted: list[str] = []

    def rate(method: str, path: str) -> Rate:
        counted.append(f"{method} {path}")
        return Rate("", float("inf"))

    async with places() as there:
        there.client.manners = replace(there.client.manners, rate=rate)
        await there.got("https://api.test/v2/files/out.mp4")
        await there.got(SIGNED)
    assert counted == ["GET /files/out.mp4"]
