"""Sinks that a demo delivers to besides its own, each on the real server, and looked at without the sink."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from config import plugins
from console.demo import looking, serving
from console.demo.looking import Environment, Found
from console.failures import CommandFailed


@dataclass(frozen=True, slots=True)
class Guest:
    """One sink.

    Attributes:
        sink: its options in runrelay.yaml.
        target: the options of the target.
        look: what lies there, asked of the far side itself.
        serve: starts what it needs, and says what `${…}` stands for; None if it needs nothing.
        needs: packages besides the sink's own, by module, and what `pip install` calls them.
    """

    sink: str
    target: str
    look: Callable[[Environment, Path], Awaitable[Found]]
    serve: Callable[[ExitStack], dict[str, str]] | None = None
    needs: Mapping[str, str] = field(default_factory=dict)


def chosen(names: str) -> dict[str, Guest]:
    """The guests of a list with commas, by name. Raises CommandFailed if one is unknown or lacks its package."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    for name in wanted:
        if name not in GUESTS:
            raise CommandFailed("sink_unknown", f"the demo has no sink {name}: it has {', '.join(GUESTS)}")
        _installed(name)
    return {name: GUESTS[name] for name in wanted}


def _installed(name: str) -> None:
    try:
        plugins.load("workers.sinks", _type(name), plugins.SINKS)
    except plugins.PluginMissing as missing:
        raise CommandFailed("plugin_missing", missing.message) from None
    for module, package in GUESTS[name].needs.items():
        if find_spec(module) is None:
            message = f"`{name}` needs the package `{module}`, which is not installed: pip install {package}"
            raise CommandFailed("plugin_missing", message)


@contextmanager
def served(guests: Mapping[str, Guest]) -> Iterator[dict[str, str]]:
    """The servers of all of them, and what their `${…}` stand for. Raises ConfigInvalid if one is not installed."""
    with ExitStack() as stack:
        environment: dict[str, str] = {}
        for guest in guests.values():
            environment |= guest.serve(stack) if guest.serve else {}
        yield environment


def written_into(routes: str, guests: Mapping[str, Guest]) -> str:
    """The routes file of the demo with a sink and a target more for each."""
    if not guests:
        return routes
    sinks = "".join(f"  {name}: {{{guest.sink}}}\n" for name, guest in guests.items())
    targets = "".join(f"      - {{sink: {name}, send: items, {guest.target}}}\n" for name, guest in guests.items())
    head, rest = routes.split("\nroutes:\n")
    first, others = rest.split("\n\n", 1)
    return f"{head}{sinks}\nroutes:\n{first}\n{targets}\n{others}"


def _type(name: str) -> str:
    return GUESTS[name].sink.partition("type: ")[2].partition(",")[0]


_TABLE = "table: modules"
_FILE = "type: file, base: ."

GUESTS: dict[str, Guest] = {
    "postgres": Guest('type: postgres, url: "${DEMO_POSTGRES_URL}"', _TABLE, looking.in_postgres, serving.postgres),
    "object_store": Guest(
        'type: object_store, url: "s3://runrelay-demo/apify/", endpoint: "${DEMO_S3_ENDPOINT}", region: us-east-1, '
        'access_key: "${DEMO_S3_KEY}", secret_key: "${DEMO_S3_SECRET}"',
        "path: modules.jsonl",
        looking.in_s3,
        serving.s3,
    ),
    "duckdb": Guest("type: duckdb, path: modules.duckdb", _TABLE, looking.in_duckdb),
    "sqlite": Guest("type: sqlite, path: modules.db", _TABLE, looking.in_sqlite),
    "dlt": Guest(
        "type: dlt, destination: duckdb, dataset: demo, credentials: warehouse.duckdb",
        _TABLE,
        looking.in_warehouse,
        needs={"duckdb": "'runrelay[duckdb]'"},
    ),
    "nats": Guest(
        'type: nats, url: "${DEMO_NATS_URL}"', "subject: modules, create: true", looking.in_nats, serving.nats
    ),
    "kafka": Guest(
        'type: kafka, servers: "${DEMO_KAFKA_SERVERS}", idempotent: false',  # this broker has no such producers
        "topic: modules",
        looking.in_kafka,
        serving.kafka,
    ),
    "redis_stream": Guest(
        'type: redis_stream, url: "${DEMO_REDIS_URL}"', "stream: modules", looking.in_redis_stream, serving.redis
    ),
    "parquet": Guest(_FILE, "path: modules.parquet", looking.in_parquet, needs={"pyarrow": "'runrelay[parquet]'"}),
    "csv": Guest(_FILE, "path: modules.csv", looking.in_csv),
    "xlsx": Guest(_FILE, "path: modules.xlsx", looking.in_xlsx, needs={"openpyxl": "openpyxl"}),
}


def compared(found: Mapping[str, Found], delivered: Mapping[str, int]) -> list[str]:
    """What the far sides hold, against what the receipts say; empty if all is well."""
    return [
        f"modules/{name}: the receipt says {delivered[name]}, but {one.count} items are in {one.where}"
        for name, one in found.items()
        if name in delivered and one.count != delivered[name]
    ]
