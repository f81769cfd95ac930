"""The object store sink on Azurite."""

import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from obstore.store import AzureStore

from config.contracts.errors import Permanent, Unauthorized, WorkError
from config.contracts.reasons import Reason
from config.contracts.sink import Checked
from tests.services.azurite import ACCOUNT, KEY, Azurite, azurite
from tests.workers.sinks.bucket import Bucket, at, opened
from workers.sinks import object_store
from workers.testing.contract import THREE, Connect, SinkContract, send
from workers.testing.killed import KilledContract
from workers.testing.servers import ServerContract, silent_server
from workers.testing.shipments import batches, shipment

pytestmark = pytest.mark.services

CONTAINER = "runrelay-tests"
EARLIER, LATER = "2026-03-01T10:00:00.000Z", "2026-03-02T10:00:00.000Z"


@pytest.fixture(scope="session")
def server() -> Iterator[Azurite]:
    with azurite() as one:
        one.make(CONTAINER)
        yield one


@pytest.fixture
def far_side(server: Azurite) -> Bucket:
    prefix = f"p-{secrets.token_hex(6)}"
    store = AzureStore(
        CONTAINER,
        prefix=prefix,
        account_name=ACCOUNT,
        account_key=KEY,
        endpoint=server.endpoint,
        client_options={"allow_http": True},
    )
    settings = {
        "url": f"az://{CONTAINER}/{prefix}/",
        "endpoint": server.endpoint,
        "account": ACCOUNT,
        "account_key": KEY,
    }
    return Bucket(settings, store)


@pytest.fixture
def settings(far_side: Bucket) -> dict[str, Any]:
    return far_side.settings


@pytest.fixture
def connect(settings: dict[str, Any], tmp_path: Path) -> Connect:
    return lambda: opened(settings, tmp_path)


class TestAzure(SinkContract, ServerContract, KilledContract):
    module = object_store
    options = object_store.Target()

    @pytest.fixture
    def down(self, settings: dict[str, Any], tmp_path: Path) -> Connect:
        return lambda: opened(settings, tmp_path, endpoint=f"http://127.0.0.1:9/{ACCOUNT}")

    @pytest.fixture
    def refused(self, settings: dict[str, Any], tmp_path: Path) -> Connect:
        return lambda: opened(settings, tmp_path, account_key="YSB3cm9uZyBrZXk=")

    @pytest.fixture
    async def silent(self, settings: dict[str, Any], tmp_path: Path) -> AsyncIterator[Connect]:
        async with silent_server() as port:
            yield lambda: opened(settings, tmp_path, endpoint=f"http://127.0.0.1:{port}/{ACCOUNT}", timeout="1s")


async def test_a_blob_says_whose_it_is(connect: Connect, far_side: Bucket) -> None:
    async with connect() as sink:
        await send(sink, shipment(at("a", format="csv.gz")), batches(*THREE))
    found = far_side.attributes("a")
    assert {name: found[name] for name in ("Content-Type", "Content-Encoding", "run", "stream")} == {
        "Content-Type": "text/csv; charset=utf-8",
        "Content-Encoding": "gzip",
        "run": "platform/r1",
        "stream": "items:default",
    }


async def test_a_later_finish_replaces_an_earlier_one_and_never_the_other_way(
    connect: Connect, far_side: Bucket
) -> None:
    async with connect() as sink:
        await send(sink, shipment(object_store.Target(), life=EARLIER), batches([b"1"]))
        await send(sink, shipment(object_store.Target(), life=LATER), batches([b"1", b"2"]))
        with pytest.raises(Permanent, match="superseded"):
            await send(sink, shipment(object_store.Target(), life=EARLIER), batches([b"1"]))
    assert far_side.items("r1") == [b"1", b"2"]


async def test_another_blob_is_kept(connect: Connect, far_side: Bucket) -> None:
    far_side.put("r1.jsonl", b"somebody's")
    async with connect() as sink:
        with pytest.raises(Permanent, match="upload_conflict"):
            await send(sink, shipment(object_store.Target()), batches(*THREE))
        await send(sink, shipment(object_store.Target(), generation=1), batches([b"1"]))
    assert far_side.items("r1") == [b"1"]


async def test_a_check_leaves_nothing_behind(connect: Connect, far_side: Bucket) -> None:
    async with connect() as sink:
        assert isinstance(sink, Checked)
        await sink.check(object_store.Target())
    assert far_side.names() == []


@pytest.mark.parametrize(
    ("changes", "reason", "line"),
    [
        (
            {"url": "az://nobodys/x/"},
            Reason.TARGET_REFUSED,
            "there is no container `nobodys`: create it, or mend `url`",
        ),
        (
            {"account_key": "YSB3cm9uZyBrZXk="},
            Reason.TOKEN_REFUSED,
            "the `account_key` or `sas_token` is wrong, or a firewall rule of the account keeps us out",
        ),
        (
            {"account_key": None, "sas_token": "sv=2021-08-06&sp=r&sig=d3Jvbmc%3D"},
            Reason.TOKEN_REFUSED,
            "the `account_key` or `sas_token` is wrong, or a firewall rule of the account keeps us out",
        ),
    ],
)
async def test_a_mistake_is_one_line_with_its_cure(
    far_side: Bucket, tmp_path: Path, changes: dict[str, Any], reason: Reason, line: str
) -> None:
    settings = {name: value for name, value in {**far_side.settings, **changes}.items() if value is not None}
    async with opened(settings, tmp_path) as sink:
        assert isinstance(sink, Checked)
        for doing in (send(sink, shipment(object_store.Target()), batches(*THREE)), sink.check(object_store.Target())):
            with pytest.raises(WorkError) as raised:
                await doing
            error = raised.value
            assert (type(error), error.reason, error.detail) == (Unauthorized, reason, line)
