"""The servers of a demo's sinks: each is started, made ready, and goes away with the stack. Raises ConfigInvalid if one
is not installed."""

import asyncio
from contextlib import ExitStack

from console.demo.looking import bucket

#: What `${…}` in the routes file stands for.
Served = dict[str, str]
#: Looks at a bucket that is not ready yet, and seconds between two.
_LOOKS, _PAUSE = 50, 0.2


def postgres(stack: ExitStack) -> Served:
    from console.servers.postgres import embedded_postgres

    return {"DEMO_POSTGRES_URL": stack.enter_context(embedded_postgres()).url}


def s3(stack: ExitStack) -> Served:
    from console.servers.seaweedfs import ACCESS_KEY, SECRET_KEY, embedded_seaweedfs

    url = stack.enter_context(embedded_seaweedfs()).url
    served = {"DEMO_S3_ENDPOINT": url, "DEMO_S3_KEY": ACCESS_KEY, "DEMO_S3_SECRET": SECRET_KEY}
    asyncio.run(_make_bucket(served))
    return served


async def _make_bucket(served: Served) -> None:
    """Whoever has `Admin` makes a bucket by writing to it; writing works a little later than answering."""
    from obstore.exceptions import BaseError

    store = bucket(served, "demo/")
    for left in reversed(range(_LOOKS)):
        try:
            await store.put_async("ready", b"")
            await store.delete_async("ready")
            return
        except BaseError:
            if not left:
                raise
            await asyncio.sleep(_PAUSE)


def redis(stack: ExitStack) -> Served:
    """Another one than the queue of the demo, as it should be elsewhere, too."""
    from console.embedded import embedded_valkey

    return {"DEMO_REDIS_URL": stack.enter_context(embedded_valkey())}


def nats(stack: ExitStack) -> Served:
    from console.servers.nats import embedded_nats

    return {"DEMO_NATS_URL": f"nats://127.0.0.1:{stack.enter_context(embedded_nats()).port}"}


def kafka(stack: ExitStack) -> Served:
    from console.servers.tansu import embedded_tansu

    server = stack.enter_context(embedded_tansu())
    server.topic("modules")
    return {"DEMO_KAFKA_SERVERS": server.bootstrap}
