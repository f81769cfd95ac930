"""A bucket with a prefix for each test, looked at without asking the sink; and short ways to use it."""

import secrets
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import obstore
from obstore.store import ObjectStore, S3Store

from config.contracts.sink import Sink
from console.servers.seaweedfs import ACCESS_KEY, SECRET_KEY, SeaweedServer
from workers.sinks import object_store
from workers.testing.shipments import around

BUCKET = "runrelay-tests"


@dataclass
class Bucket:
    """`settings`: options of a sink that writes here; `store`: a client of our own, at the same prefix."""

    settings: dict[str, Any]
    store: ObjectStore

    def items(self, run: str) -> list[bytes]:
        return self.body(f"{run}.jsonl").split(b"\n")[:-1]

    def documents(self, run: str) -> list[bytes]:
        return [self.body(name) for name in self.names() if name.startswith(f"{run}/")]

    def body(self, key: str) -> bytes:
        return bytes(obstore.get(self.store, key).bytes())

    def names(self) -> list[str]:
        return sorted(one["path"] for one in obstore.list(self.store).collect())

    def attributes(self, key: str) -> dict[str, str]:
        return dict(obstore.get(self.store, key, options={"head": True}).attributes)

    def put(self, key: str, body: bytes, **attributes: str) -> None:
        obstore.put(self.store, key, body, attributes=attributes)


def seaweed_bucket(server: SeaweedServer) -> Bucket:
    """Writing to a bucket as administrator makes it."""
    prefix = f"p-{secrets.token_hex(6)}"
    store = S3Store(
        BUCKET,
        prefix=prefix,
        access_key_id=ACCESS_KEY,
        secret_access_key=SECRET_KEY,
        endpoint=server.url,
        region="us-east-1",
        client_options={"allow_http": True, "timeout": timedelta(seconds=60)},
    )
    obstore.put(store, "made", b"")
    obstore.delete(store, "made")
    settings = {
        "url": f"s3://{BUCKET}/{prefix}/",
        "endpoint": server.url,
        "region": "us-east-1",
        "access_key": "writer",
        "secret_key": SECRET_KEY,
    }
    return Bucket(settings, store)


Opened = Callable[..., AbstractAsyncContextManager[Sink]]


def opened(settings: dict[str, Any], spool: Path, **changes: Any) -> AbstractAsyncContextManager[Sink]:
    return object_store.connect(object_store.Config.model_validate({**settings, **changes}), around(spool))


def at(path: str, **options: Any) -> object_store.Target:
    return object_store.Target.model_validate({"path": path, **options})
