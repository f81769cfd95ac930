"""How many webhooks a second are accepted, and what each costs.

`runrelay receiver` with everything on (secret check, limits, log line, metrics), a bare Starlette route and one that
queues with arq, each as one process with a Valkey of its own that fsyncs every write, under the same load.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from redis import Redis

from benchmarks.comparison import Comparison, Sample, in_turns
from benchmarks.load import SECRET
from benchmarks.measure import Failed, cpu_seconds, peak_mb, redis_pid, running
from console.embedded import embedded_valkey

RUNRELAY, BARE, ARQ = "Runrelay", "bare Starlette", "Starlette + arq"
#: seconds of load before anything counts
WARM_UP = 0.5

ROUTES = f"""
version: 1
sources: {{apify: {{token: unused, webhook: {{secrets: [{SECRET}]}}}}}}
sinks: {{out: {{type: file, base: out}}}}
routes: [{{name: all, to: [{{sink: out}}]}}]
"""


@dataclass(frozen=True)
class Server:
    """A contender.

    Attributes:
        args: of the command; it prints a JSON object with its `url` once it listens.
        stored: the sorted set that must hold one entry per accepted webhook; empty if nothing is promised.
    """

    module: str
    args: Sequence[str] = ()
    stored: str = ""


SERVERS = {
    RUNRELAY: Server("console.cli.main", ["receiver", "--port", "0", "--json"], stored="rr:events"),
    BARE: Server("benchmarks.peers.starlette_bare"),
    ARQ: Server("benchmarks.peers.starlette_arq", stored="arq:queue"),
}


async def compare(repetitions: int, seconds: float, connections: int) -> Comparison:
    """Raises Failed if a webhook was refused, or accepted and not stored."""
    shots = {name: partial(shoot, server, seconds, connections) for name, server in SERVERS.items()}
    return Comparison(
        title=f"Accepting webhooks of 1.2 KB over {connections} connections",
        quantities={"rate": "webhooks/s", "cpu": "CPU µs each", "p50": "p50 ms", "p99": "p99 ms", "memory": "peak MB"},
        peers=(BARE, ARQ),
        samples=await in_turns(shots, repetitions),
    )


async def shoot(server: Server, seconds: float, connections: int) -> Sample:
    with TemporaryDirectory() as folder, embedded_valkey() as redis:
        routes = Path(folder) / "runrelay.yaml"
        routes.write_text(ROUTES)
        environ = {"REDIS_URL": redis, "RUNRELAY_CONFIG": str(routes)}
        async with running(server.module, *server.args, environ=environ) as serving:
            url = f"{json.loads(await serving.line())['url']}/webhooks/apify"
            warm = await fire(url, WARM_UP, connections)
            before = cpu_seconds(serving.pid, redis_pid(redis))
            shot = await fire(url, seconds, connections)
            used = cpu_seconds(serving.pid, redis_pid(redis)) - before
            memory = peak_mb(serving.pid)
        if server.stored:
            check_stored(redis, server.stored, warm["answered"] + shot["answered"])
    own = {"cpu": 1e6 * used / shot["answered"], "memory": memory}
    return {key: shot[key] for key in ("rate", "p50", "p99")} | own


async def fire(url: str, seconds: float, connections: int) -> Mapping[str, float]:
    async with running("benchmarks.load", url, str(seconds), str(connections)) as load:
        shot = json.loads(await load.line(seconds + 30))
    if shot["refused"] or not shot["answered"]:
        raise Failed(f"a webhook was not accepted: {shot['refused']}")
    return {key: float(value) for key, value in shot.items() if key != "refused"}


def check_stored(url: str, key: str, accepted: float) -> None:
    with Redis.from_url(url) as redis:
        stored = redis.zcard(key)
    if stored != accepted:
        raise Failed(f"{accepted:.0f} webhooks were accepted and {stored} are in {key}")
