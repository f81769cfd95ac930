"""Certificates of both sides, and the look before anything is sent; each mistake is said with its cure."""

import socket
import ssl
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp.abc import ResolveResult
from aiohttp.resolver import ThreadedResolver
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from config.contracts.errors import Transient, Unauthorized, WorkError
from config.contracts.reasons import Reason
from config.contracts.sink import Checked, Sink
from tests.workers.sinks.far_server import closed_port, far_server, opened, refused
from workers.sinks import http
from workers.testing.contract import ALL, THREE, Connect, send
from workers.testing.servers import silent_server
from workers.testing.shipments import batches, shipment

REFUSED, GONE = (Unauthorized, Reason.TARGET_REFUSED), (Transient, Reason.TARGET_UNAVAILABLE)
NOT_OURS = (Unauthorized, Reason.TOKEN_REFUSED)


@dataclass
class Papers:
    """What certificates there are, as PEM files in one folder."""

    folder: Path
    ca: trustme.CA
    other: trustme.CA

    def file(self, name: str, *blobs: trustme.Blob) -> str:
        (self.folder / name).write_bytes(b"".join(blob.bytes() for blob in blobs))
        return str(self.folder / name)

    def server(self, name: str = "localhost", *, asks: bool = False, **facts: Any) -> ssl.SSLContext:
        """What a receiver speaks TLS with. `asks`: it wants a certificate of ours."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(name, **facts).configure_cert(context)
        if asks:
            context.verify_mode = ssl.CERT_REQUIRED
            self.ca.configure_trust(context)
        return context

    def options(self, *, by: trustme.CA | None = None) -> dict[str, Any]:
        """Of a sink that trusts the CA, and has a certificate of it or of another one."""
        ours = (by or self.ca).issue_cert("runrelay@example.com")
        return {
            "ca": self.file("ca.pem", self.ca.cert_pem),
            "cert": self.file("cert.pem", *ours.cert_chain_pems),
            "key": self.file("key.pem", ours.private_key_pem),
        }


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return Papers(tmp_path_factory.mktemp("papers"), trustme.CA(), trustme.CA())


async def checked(connect: Callable[[], AbstractAsyncContextManager[Sink]]) -> WorkError:
    try:
        async with connect() as sink:
            assert isinstance(sink, Checked)
            await sink.check(http.Target())
    except WorkError as error:
        return error
    raise AssertionError("nothing was found wrong")


async def test_both_sides_show_their_certificates(papers: Papers, tmp_path: Path) -> None:
    async with far_server(papers.server(asks=True)) as server, opened(server.url, tmp_path, **papers.options()) as sink:
        await sink.check(http.Target())
        assert server.tried == []
        await send(sink, shipment(http.Target()), batches(*THREE))
    assert server.items("r1") == ALL


async def test_the_certificate_may_hold_its_key(papers: Papers, tmp_path: Path) -> None:
    ours = papers.ca.issue_cert("runrelay@example.com")
    both = papers.file("both.pem", ours.private_key_and_cert_chain_pem)
    ca = papers.file("ca.pem", papers.ca.cert_pem)
    async with far_server(papers.server(asks=True)) as server, opened(server.url, tmp_path, ca=ca, cert=both) as sink:
        await send(sink, shipment(http.Target()), batches(*THREE))
    assert server.items("r1") == ALL


async def test_without_tls_it_is_looked_at_as_well_and_gets_no_request(tmp_path: Path) -> None:
    async with far_server() as server, opened(server.url, tmp_path, rate="1/d") as sink:
        await sink.check(http.Target())
        assert server.tried == []


PAST = datetime.now(UTC) - timedelta(days=1)


@pytest.mark.parametrize(
    ("theirs", "ours", "verdict", "said"),
    [
        (
            {}, {}, REFUSED,
            "no answer: its certificate is not trusted (unable to get local issuer certificate): "
            "name the CA that signed it with `ca`",
        ),
        (
            {"name": "elsewhere.example"}, {"ca": "ca.pem"}, REFUSED,
            "no answer: its certificate is not trusted (Hostname mismatch, certificate is not valid for 'localhost'): "
            "write `url` with the name it is made out to",
        ),
        (
            {"not_before": PAST - timedelta(days=1), "not_after": PAST}, {"ca": "ca.pem"}, REFUSED,
            "no answer: its certificate is not trusted (certificate has expired): have it renewed there",
        ),
        (
            {"asks": True}, {"ca": "ca.pem"}, NOT_OURS,
            "no answer: it wants a certificate of ours that it trusts: mend `cert` and `key`",
        ),
        (
            {"asks": True}, {"ca": "ca.pem", "cert": "stranger.pem"}, NOT_OURS,
            "no answer: it wants a certificate of ours that it trusts: mend `cert` and `key`",
        ),
    ],
)  # fmt: skip
async def test_a_certificate_that_does_not_fit_waits_for_a_person(
    papers: Papers,
    tmp_path: Path,
    theirs: dict[str, Any],
    ours: dict[str, Any],
    verdict: tuple[type[WorkError], Reason],
    said: str,
) -> None:
    papers.file("ca.pem", papers.ca.cert_pem)
    papers.file("stranger.pem", papers.other.issue_cert("runrelay@example.com").private_key_and_cert_chain_pem)
    files: dict[str, Any] = {option: str(papers.folder / name) for option, name in ours.items()}
    async with far_server(papers.server(**theirs)) as server:
        connect: Connect = lambda: opened(server.url, tmp_path, **files)  # noqa: E731  # a fixture would not know the server
        for error in (await refused(connect), await checked(connect)):
            assert ((type(error), error.reason), error.detail) == (verdict, said)
    assert server.tried == []


NOWHERE = "No such file or directory: put the file where the worker can read it"
UNUSABLE = "they must be PEM, belong together, and have no password"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"ca": "nowhere.pem"}, f"`ca`: {NOWHERE}"),
        ({"ca": "text.pem"}, f"`ca`: NO_CERTIFICATE_OR_CRL_FOUND: {UNUSABLE}"),
        ({"cert": "nowhere.pem"}, f"`cert` and `key`: {NOWHERE}"),
        ({"cert": "cert.pem"}, f"`cert` and `key`: not usable: {UNUSABLE}"),
        ({"cert": "cert.pem", "key": "another.pem"}, f"`cert` and `key`: KEY_VALUES_MISMATCH: {UNUSABLE}"),
        ({"cert": "cert.pem", "key": "locked.pem"}, f"`cert` and `key`: not usable: {UNUSABLE}"),
    ],
)
async def test_files_that_cannot_be_used_are_named(
    papers: Papers, tmp_path: Path, wrong: dict[str, str], said: str
) -> None:
    papers.options()
    another = papers.ca.issue_cert("another@example.com").private_key_pem
    papers.file("another.pem", another)
    locked = load_pem_private_key(another.bytes(), None).private_bytes(
        Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"password")
    )
    papers.file("locked.pem", trustme.Blob(locked))
    papers.file("text.pem", trustme.Blob(b"nothing of the kind"))
    files: dict[str, Any] = {option: str(papers.folder / name) for option, name in wrong.items()}
    error = await checked(lambda: opened("https://localhost/", tmp_path, **files))
    assert (type(error), error.reason, error.detail) == (*REFUSED, said)


@pytest.fixture
def rebound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every name leads to the metadata service."""

    async def resolve(
        self: ThreadedResolver, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [ResolveResult(hostname=host, host="169.254.169.254", port=port, family=family, proto=0, flags=0)]

    monkeypatch.setattr(ThreadedResolver, "resolve", resolve)


class TestNobodyThere:
    """The same is said by a delivery and by the look before."""

    async def both(self, url: str, folder: Path, **options: Any) -> str:
        said = set()
        for error in (
            await refused(lambda: opened(url, folder, **options)),
            await checked(lambda: opened(url, folder, **options)),
        ):
            assert (type(error), error.reason) == GONE
            said.add(error.detail)
        (detail,) = said
        return detail

    async def test_a_port_nobody_listens_on(self, tmp_path: Path) -> None:
        said = "no answer: nobody listens there: start it, or mend host and port in `url`"
        assert await self.both(f"http://127.0.0.1:{closed_port()}/s3cret", tmp_path) == said
        assert await self.both(f"https://localhost:{closed_port()}/s3cret", tmp_path) == said

    async def test_a_host_that_is_not_known(self, tmp_path: Path) -> None:
        said = await self.both("https://s3cret.invalid/", tmp_path)
        assert said.startswith("no answer: the host in `url` is not known (")
        assert said.endswith("): mend `url`, or the name service here")
        assert "s3cret" not in said

    @pytest.mark.usefixtures("rebound")
    async def test_a_host_that_leads_to_a_metadata_service(self, tmp_path: Path) -> None:
        said = await self.both("http://hooks.example.com/", tmp_path)
        assert said == "no answer: the name leads to a link-local or metadata address"

    async def test_somebody_who_speaks_no_tls(self, tmp_path: Path) -> None:
        async with far_server() as server:
            url = server.url.replace("http://127.0.0.1", "https://localhost")
            said = await self.both(url, tmp_path)
        assert said.startswith("no answer: TLS fails (")
        assert said.endswith("): does `url` begin with the right scheme and port?")

    async def test_somebody_who_says_nothing_to_a_handshake(self, tmp_path: Path) -> None:
        async with silent_server() as port:
            said = await self.both(f"https://localhost:{port}/", tmp_path, timeout="300ms")
        assert said == "no answer: none within `timeout`: mend it there, or wait longer"
