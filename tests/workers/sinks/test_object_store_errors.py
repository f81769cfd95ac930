"""Mistakes with an object store: each has its verdict, and one line with the cure."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from pydantic import ValidationError

from config.contracts.errors import Permanent, Transient, Unauthorized, WorkError
from config.contracts.reasons import Reason
from config.contracts.sink import Checked
from console.servers.seaweedfs import SECRET_KEY, SeaweedServer
from tests.workers.sinks.bucket import BUCKET, Bucket, opened, seaweed_bucket
from workers.sinks import object_store
from workers.sinks._object_stores import Place, placed
from workers.sinks._object_stores import opened as store_of
from workers.testing.contract import THREE, send
from workers.testing.shipments import batches, document, shipment

GRANT = (
    f"the credentials may not write to the bucket `{BUCKET}` (AccessDenied): "
    "allow s3:PutObject, s3:GetObject, s3:ListBucket on it"
)
NO_KEYS = (
    f"no credentials were found for the bucket `{BUCKET}`: set "
    "`access_key` and `secret_key`, or give this machine a role"
)
MISTAKES: dict[str, tuple[dict[str, Any], type[WorkError], Reason, str]] = {
    "no such bucket": (
        {"url": "s3://nobodys-bucket/x/"},
        Unauthorized,
        Reason.TARGET_REFUSED,
        "there is no bucket `nobodys-bucket`: create it, or mend `url`",
    ),
    "wrong secret": (
        {"secret_key": "wrong"},
        Unauthorized,
        Reason.TOKEN_REFUSED,
        "the `secret_key` does not fit the `access_key`: mend it",
    ),
    "unknown key": (
        {"access_key": "nobody"},
        Unauthorized,
        Reason.TOKEN_REFUSED,
        "nobody has that `access_key`: mend it",
    ),
    "may only read": ({"access_key": "reader"}, Unauthorized, Reason.TARGET_REFUSED, GRANT),
    "no credentials": ({"access_key": None, "secret_key": None}, Unauthorized, Reason.TOKEN_REFUSED, NO_KEYS),
    "nobody there": (
        {"endpoint": "http://127.0.0.1:9"},
        Transient,
        Reason.TARGET_UNAVAILABLE,
        "the store could not be reached (no connection): see `endpoint` if it stays so",
    ),
}

#: What our own server cannot be brought to answer: status and code → verdict.
ANSWERS: dict[str, tuple[int, type[WorkError], Reason, str]] = {
    "NoSuchBucket": (404, Unauthorized, Reason.TARGET_REFUSED, "there is no bucket `b-1`: create it, or mend `url`"),
    "ExpiredToken": (
        400,
        Unauthorized,
        Reason.TOKEN_REFUSED,
        "the `session_token` has expired: renew the three keys",
    ),
    "RequestTimeTooSkewed": (403, Unauthorized, Reason.TOKEN_REFUSED, "the clock of this machine is wrong: set it"),
    "Unheard": (401, Unauthorized, Reason.TOKEN_REFUSED, "the credentials were refused (Unheard): renew them"),
    "AuthorizationHeaderMalformed": (
        400,
        Unauthorized,
        Reason.TARGET_REFUSED,
        "the bucket `b-1` is in another region: mend `region`",
    ),
    "AllAccessDisabled": (
        403,
        Unauthorized,
        Reason.TARGET_REFUSED,
        "the credentials may not write to the bucket `b-1` (AllAccessDisabled): "
        "allow s3:PutObject, s3:GetObject, s3:ListBucket on it",
    ),
    "SlowDown": (503, Transient, Reason.TARGET_UNAVAILABLE, "the store has trouble: HTTP 503 (SlowDown)"),
    "InternalError": (500, Transient, Reason.TARGET_UNAVAILABLE, "the store has trouble: HTTP 500 (InternalError)"),
    "OperationAborted": (
        409,
        Transient,
        Reason.TARGET_UNAVAILABLE,
        "the store has trouble: HTTP 409 (OperationAborted)",
    ),
    "NoSuchUpload": (404, Transient, Reason.TARGET_UNAVAILABLE, "the store has trouble: HTTP 404 (NoSuchUpload)"),
    "KeyTooLongError": (
        400,
        Permanent,
        Reason.TARGET_REFUSED,
        "the store takes no such object (KeyTooLongError): choose another `path`",
    ),
    "InvalidArgument": (
        400,
        Permanent,
        Reason.TARGET_REFUSED,
        "the store refused it: HTTP 400 (InvalidArgument)",
    ),
}


@pytest.fixture
def far_side(s3_server: SeaweedServer) -> Bucket:
    return seaweed_bucket(s3_server)


@pytest.fixture(autouse=True)
def no_role(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine has no role, and nobody asks outside."""
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9")


@pytest.mark.parametrize("mistake", MISTAKES)
async def test_a_mistake_is_one_line_with_its_cure(far_side: Bucket, tmp_path: Path, mistake: str) -> None:
    changes, *expected = MISTAKES[mistake]
    settings = {name: value for name, value in {**far_side.settings, **changes}.items() if value is not None}
    async with opened(settings, tmp_path) as sink:
        assert isinstance(sink, Checked)
        for doing in (
            partial(send, sink, shipment(object_store.Target()), batches(*THREE)),
            partial(keep, sink, b"small"),
            partial(keep, sink, b"x" * (6 << 20)),
            partial(send, sink, shipment(object_store.Target(), run="r2"), batches([b"9" * (6 << 20)])),
            partial(sink.check, object_store.Target()),
        ):
            with pytest.raises(WorkError) as raised:
                await doing()
            error = raised.value
            assert [type(error), error.reason, error.detail] == expected


@pytest.mark.parametrize("code", ANSWERS)
async def test_an_answer_has_its_verdict(tmp_path: Path, code: str) -> None:
    status, *expected = ANSWERS[code]
    keys = {"access_key": "k", "secret_key": "a-secret"}
    async with answering(status, code) as url, opened({"url": f"{url}/b-1/p/", **keys}, tmp_path) as sink:
        with pytest.raises(WorkError) as raised:
            await keep(sink, b"small")
        error = raised.value
        assert [type(error), error.reason, error.detail] == expected


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"url": "ftp://b"}, "a URL here begins with s3://, gs://, az:// or https://"),
        ({"url": "s3://k:s@bucket/x"}, "a URL here is a bucket and a prefix, without credentials, `?` and `#`"),
        ({"url": "s3://b/x"}, "no bucket of that name can be: three letters or more, digits, `.`, `_` and `-`"),
        ({"url": "s3://bucket/../x"}, "`..` in the path '../x'"),
        (
            {"url": "https://bucket.s3.eu-west-1.amazonaws.com/x"},
            "write s3://bucket/prefix/, and the region as `region`",
        ),
        ({"url": "http://169.254.169.254/bucket"}, "link-local and metadata addresses are never written to"),
        (
            {"url": "s3://bucket/", "access_key": "k"},
            "`access_key` and `secret_key` go together, and `session_token` only with both",
        ),
        ({"url": "gs://bucket/", "region": "eu"}, "`region` has no meaning for gs://"),
        (
            {"url": "az://container/", "account_key": "a", "sas_token": "b"},
            "`account_key` or `sas_token`: one of them",
        ),
    ],
)
def test_options_that_cannot_be_are_refused_when_the_file_is_read(options: dict[str, str], said: str) -> None:
    with pytest.raises(ValidationError) as raised:
        object_store.Config.model_validate(options)
    (error,) = raised.value.errors()
    assert error["msg"].removeprefix("Value error, ") == said


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("s3://bucket/a/b/", Place("s3", "bucket", "a/b")),
        ("gs://bucket", Place("gs", "bucket", "")),
        ("https://storage.googleapis.com/bucket/a", Place("gs", "bucket", "a")),
        ("az://container/a", Place("az", "container", "a")),
        ("https://acme.blob.core.windows.net/container/a", Place("az", "container", "a", account="acme")),
        (
            "https://minio.example.com:9000/bucket/a/",
            Place("s3", "bucket", "a", endpoint="https://minio.example.com:9000"),
        ),
    ],
)
def test_a_url_names_a_place(url: str, place: Place) -> None:
    assert placed(url) == place


@pytest.mark.parametrize(
    "options",
    [
        {"url": "gs://bucket/", "service_account_key": '{"private_key": "no key"}'},
        {"url": "az://container/", "account": "acme", "account_key": "not base64!"},
    ],
)
def test_credentials_that_cannot_be_read_pause_the_target(options: dict[str, str]) -> None:
    config = object_store.Config.model_validate(options)
    with pytest.raises(Unauthorized, match="cannot be read") as raised:
        store_of(config.place, config)
    assert "no key" not in str(raised.value)


async def test_a_check_also_sees_that_we_may_not_look(far_side: Bucket, tmp_path: Path) -> None:
    async with opened(far_side.settings, tmp_path, access_key="blind") as sink:
        assert isinstance(sink, Checked)
        with pytest.raises(Unauthorized) as raised:
            await sink.check(object_store.Target())
    assert raised.value.detail == GRANT


async def test_keys_of_the_environment_are_used_where_the_file_has_none(
    far_side: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "writer")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    settings = {name: far_side.settings[name] for name in ("url", "endpoint")}
    async with opened(settings, tmp_path) as sink:
        await keep(sink, b"small")
    assert far_side.names() == ["r1/A.txt"]


async def test_keys_of_the_file_are_not_mixed_with_a_token_of_the_environment(
    far_side: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of-somebody-else")
    async with opened(far_side.settings, tmp_path) as sink:
        await keep(sink, b"small")
    assert far_side.names() == ["r1/A.txt"]


async def test_a_storage_class_is_asked_for(tmp_path: Path) -> None:
    keys = {"access_key": "k", "secret_key": "s", "storage_class": "STANDARD_IA"}
    async with answering(403, "Recorded") as url, opened({"url": f"{url}/b-1/p/", **keys}, tmp_path) as sink:
        with pytest.raises(Unauthorized):
            await keep(sink, b"small")
        async with ClientSession() as session, session.get(f"{url}/asked") as answer:
            assert answer.headers["Asked"] == "STANDARD_IA"


async def keep(sink: Any, body: bytes) -> None:
    async with sink.open(shipment(object_store.Target(), stream="records"), None) as writer:
        await writer.document(document("A", "text/plain", body))
        await writer.publish()


@asynccontextmanager
async def answering(status: int, code: str) -> AsyncIterator[str]:
    """A store that gives one answer to everything, with what must not be told again."""
    said = f"<Error><Code>{code}</Code><Message>https://x/?X-Amz-Signature=a-secret</Message></Error>"

    asked: list[str] = [""]

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        asked.append(request.headers.get("x-amz-storage-class", asked[-1]))
        return web.Response(status=status, text=said, content_type="application/xml", headers={"Asked": asked[-1]})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
