"""What sinks say before they send anything, and that it is what they then send."""

import importlib
import json
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pytest
from redis import Redis

from config.contracts.document import Glimpse
from config.contracts.errors import Permanent
from config.contracts.sink import Batch, Previewed, Shipment, Surroundings
from console.servers.postgres import PostgresServer
from tests.workers.sinks.far_server import FarServer, far_server
from tests.workers.sinks.postgres_database import Database
from tests.workers.sinks.started import platform
from tests.workers.sinks.test_every_sink_has_a_contract import sink_modules
from tests.workers.sinks.told import Phone, phone
from workers.rows import STAMPS
from workers.sinks import _shown
from workers.testing.contract import send
from workers.testing.shipments import around, batches, document, shipment

SECRET = "never-to-be-seen-0123456789"
ITEMS = batches([b'{"url":"u1","price":9.90,"tags":["a\\"b"]}', b'{"url":"u2","price":"x","in":{"a":null}}', b"[1]"])[0]
SHOT = Glimpse("SHOT", "image/png", 5000, b"\x89PNG")
NOTE = Glimpse("note", "text/plain", 4000, "grüß".encode()[:-1])
LOG = Glimpse("log.txt", "text/plain; charset=utf-8", 4, b"one\n")
LAKE = {"url": "s3://lake/shop/"}
POSTGRES = {"url": f"postgresql://me:{SECRET}@db/shop"}
MYSQL = {"host": "db", "user": "me", "password": SECRET, "database": "shop"}
CRM = {
    "url": f"https://me:{SECRET}@crm.example.com/hooks/{SECRET}/in?key={SECRET}",
    "sign": SECRET,
    "headers": {"Authorization": f"Bearer {SECRET}"},
}
RABBIT = {"url": f"amqp://me:{SECRET}@broker"}
PEOPLE = {"urls": [f"json://me:{SECRET}@host", f"mailto://me:{SECRET}@example.com"]}
ROWS = {"table": "products"}
ONE_EACH = {**ROWS, "mode": "upsert", "key": "url", "order": "none", "stamp": False}


class Case(NamedTuple):
    """`what` of a stream, sent to a sink of that type. Its preview stands in `previews.txt`, under its name."""

    name: str
    type: str
    config: dict[str, Any]
    target: dict[str, Any]
    stream: str = "items:default"
    what: Batch | Glimpse = ITEMS

    @property
    def module(self) -> Any:
        return importlib.import_module(f"workers.sinks.{self.type}")

    def shipment(self) -> Shipment:
        return shipment(self.module.Target.model_validate(self.target), stream=self.stream)

    def preview(self) -> list[str]:
        made = self.shipment()
        config = self.module.Config.model_validate(self.config)
        return [line.replace(made.delivery.id, "<ID>") for line in self.module.preview(config, made, self.what)]


CASES = [
    Case("a packed table as text", "file", {"base": "out"}, {"path": "{{ run.id }}.csv.gz"}),
    Case("a picture", "file", {"base": "out"}, {}, "records", SHOT),
    Case("rows of records", "file", {"base": "out"}, {}, "rows:records"),
    Case("columns with types", "object_store", LAKE, {"path": "{{ run.id }}.parquet"}),
    Case("a sheet", "object_store", LAKE, {"path": "{{ run.id }}.xlsx"}),
    Case("an object for each batch", "object_store", LAKE, {"per": "batch"}),
    Case(
        "the beginning of a text",
        "object_store",
        {**LAKE, "access_key": "me", "secret_key": SECRET},
        {},
        "records",
        NOTE,
    ),
    Case("rows of SQLite", "sqlite", {"path": "shop.db"}, ROWS),
    Case("one row for each key of SQLite", "sqlite", {"path": "shop.db"}, {**ONE_EACH, "columns": "drop_extra"}),
    Case("rows of DuckDB", "duckdb", {"path": "shop.duckdb"}, ROWS),
    Case("one row for each key of DuckDB", "duckdb", {"path": "shop.duckdb"}, {**ONE_EACH, "columns": "freeze"}),
    Case("rows of Postgres", "postgres", {**POSTGRES, "schema": "scrapes"}, ROWS),
    Case("one row for each key of Postgres", "postgres", POSTGRES, {**ONE_EACH, "columns": "freeze"}),
    Case("whole requests in Postgres", "postgres", POSTGRES, {**ROWS, "columns": "json", "stamp": False}, "requests"),
    Case("rows of MySQL", "mysql", MYSQL, ROWS),
    Case("one row for each key of MySQL", "mysql", MYSQL, ONE_EACH),
    Case("rows for dlt", "dlt", {"destination": "bigquery", "dataset": "shop", "credentials": SECRET}, ROWS),
    Case("a request for each item", "http", CRM, {"per": "item", "body": {"id": "{{ item.url }}"}}),
    Case("an envelope", "http", {"url": "https://crm.example.com/", "compress": "gzip"}, {"bisect": True}),
    Case("a posted picture", "http", CRM, {}, "records", SHOT),
    Case("entries", "redis_stream", {"url": f"redis://me:{SECRET}@cache/0", "password": SECRET}, {"stream": "shop"}),
    Case("messages of NATS", "nats", {"url": "nats://bus", "token": SECRET}, {"subject": "shop.{{ item.url }}"}),
    Case("a record of a batch", "kafka", {"servers": "log:9092"}, {"topic": "shop", "per": "batch"}),
    Case("messages of RabbitMQ", "rabbitmq", RABBIT, {"exchange": "shop", "routing_key": "{{ item.url }}"}),
    Case("too large a picture", "rabbitmq", {**RABBIT, "max_message": "4kB"}, {"queue": "shop"}, "records", SHOT),
    Case(
        "a message of MQTT",
        "mqtt",
        {"url": f"mqtt://me:{SECRET}@plant"},
        {"topic": "shop/{{ run.id }}", "retain": True},
        "records",
        NOTE,
    ),
    Case("words", "notify", PEOPLE, {"text": "*{{ run.id }}* {{ run.status }}\n{{ log_tail | code }}"}, "log", LOG),
    Case(
        "a start with items",
        "actor",
        {"source": "apify"},
        {"actor": "acme/detail", "memory": 256, "input": {"urls": "{{ items }}"}},
    ),
    Case("a start of a task", "actor", {"source": "apify"}, {"task": "acme/again"}, "run", LOG),
    Case("lines", "stdout", {"prefix": "> "}, {}),
    Case("a picture on a terminal", "stdout", {"prefix": "> "}, {}, "records", SHOT),
]


def goldens() -> dict[str, list[str]]:
    """Name of a case → its lines."""
    text = Path(__file__).with_name("previews.txt").read_text()
    parts = (part.rstrip("\n").split("\n") for part in text.split("== ")[1:])
    return {name: lines for name, *lines in parts}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_says_what_would_be_sent_and_no_secret(case: Case) -> None:
    said = case.preview()
    assert said == goldens()[case.name]
    assert SECRET not in "\n".join(said)


def test_every_sink_has_previews_and_each_is_looked_at() -> None:
    assert {case.type for case in CASES} == sink_modules()
    assert all(isinstance(case.module, Previewed) for case in CASES)
    assert goldens().keys() == {case.name for case in CASES}


#: What reaches out of the process, by the names under which Python tells of it (docs: "Audit events table").
OUTSIDE = ("socket.", "sqlite3.connect", "subprocess.", "os.mkdir", "os.listdir", "open")
_listening: list[list[str]] = []


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    if _listening and event.startswith(OUTSIDE):
        _listening[-1].append(f"{event} {arguments}")


sys.addaudithook(_hear)  # one cannot be taken away


@contextmanager
def hearing() -> Iterator[list[str]]:
    _listening.append([])
    try:
        yield _listening[-1]
    finally:
        _listening.pop()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_nothing_is_looked_at_outside(case: Case) -> None:
    """The first time imports may read files of ours."""
    once = case.preview()
    with hearing() as heard:
        again = case.preview()
    assert (again, heard) == (once, [])


@pytest.mark.parametrize(
    ("type", "config", "target", "reason"),
    [
        ("file", {"base": "out"}, {"path": "{{ run.id }}/{{ run.nothing }}/x.csv"}, "path_escape"),
        ("kafka", {"servers": "log:9092"}, {"topic": "{{ run.finishedAt }}"}, "template_failed"),
        ("nats", {"url": "nats://bus"}, {"subject": "{{ run.id }}..x"}, "template_failed"),
    ],
)
def test_it_ends_where_the_delivery_would(
    type: str, config: dict[str, Any], target: dict[str, Any], reason: str
) -> None:
    with pytest.raises(Permanent) as caught:
        Case("", type, config, target).preview()
    assert caught.value.reason == reason


class TestDelivered:
    """What was said, and what a real delivery of the same batch wrote."""

    folder: Path

    @pytest.fixture(autouse=True)
    def _room(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "room"

    @pytest.mark.parametrize("path", ["a.jsonl", "{{ run.id }}.csv", "deep/{{ run.status }}.tsv"])
    async def test_files(self, path: str, tmp_path: Path) -> None:
        place, *content = await self.deliver(Case("", "file", {"base": str(tmp_path)}, {"path": path}))
        found = Path(place.removeprefix("file ")).read_bytes()
        assert found.decode().splitlines() == content

    async def test_rows_of_sqlite(self, tmp_path: Path) -> None:
        said = await self.deliver(Case("", "sqlite", {"path": str(tmp_path / "shop.db")}, ROWS))
        with sqlite3.connect(tmp_path / "shop.db") as db:
            db.row_factory = sqlite3.Row
            assert rows_in(said) == unstamped(map(dict, db.execute("SELECT * FROM products ORDER BY _item")))
            (made,) = db.execute("SELECT group_concat(name, ', ') FROM pragma_table_info('products')").fetchone()
        assert columns_in(said) == made

    async def test_rows_of_duckdb(self, tmp_path: Path) -> None:
        said = await self.deliver(Case("", "duckdb", {"path": str(tmp_path / "shop.duckdb")}, ROWS))
        with duckdb.connect(tmp_path / "shop.duckdb") as db:
            kinds = [f"{name} {kind}" for name, kind, *_ in db.execute("DESCRIBE products").fetchall()]
            names = [kind.split()[0] for kind in kinds]
            found = db.execute("SELECT * FROM products ORDER BY _item").fetchall()
        assert columns_in(said).split(", ") == kinds
        assert [one | {"price": one["price"] and float(one["price"])} for one in rows_in(said)] == unstamped(
            dict(zip(names, row, strict=True)) for row in found
        )

    @pytest.mark.parametrize("mode", [{}, {"mode": "upsert", "key": "url"}])
    async def test_rows_of_postgres(self, mode: dict[str, str], postgres_server: PostgresServer) -> None:
        side = Database(postgres_server.url)
        said = await self.deliver(
            Case("", "postgres", {"url": side.url, "schema": side.schema}, {**ROWS, **mode, "columns": "evolve"})
        )
        assert [column.split(" ", 1) for column in columns_in(said).split(", ")][len(STAMPS) :] == [
            [name, kind] for name, kind in side.columns("products").items()
        ]
        found = side.rows('SELECT _item, url, price::text, tags::text, "in"::text, _more::text FROM products')
        assert [[json_of(cell) for cell in row.values()] for row in rows_in(said)] == [
            [json_of(cell) for cell in row] for row in found
        ]

    @pytest.fixture
    async def receiver(self) -> AsyncIterator[FarServer]:
        async with far_server() as server:
            yield server

    @pytest.mark.parametrize("target", [{}, {"per": "item"}, {"per": "item", "body": "{{ item.url }} of {{ run.id }}"}])
    async def test_requests(self, target: dict[str, Any], receiver: FarServer) -> None:
        case = Case("", "http", {"url": f"{receiver.url}/", "sign": SECRET}, target)
        said = await self.deliver(case)
        assert said[2::3] == [one.body.decode() for one in receiver.received]
        for head, one in zip(said[1::3], receiver.received, strict=True):
            headers = {name.lower(): value for name, value in json.loads(head).items()}
            varying = {name: one.headers[name] for name in ("webhook-timestamp", "webhook-signature")}
            assert {**headers, **varying} == {name: one.headers[name] for name in headers}

    async def test_entries(self, valkey_url: str) -> None:
        said = await self.deliver(Case("", "redis_stream", {"url": valkey_url}, {"stream": "shop"}))
        with Redis.from_url(valkey_url, decode_responses=True) as redis:
            found: Any = [entry for _, entry in redis.xrange("shop")]
        assert [{**json.loads(head), "data": body} for head, body in zip(said[1::3], said[2::3], strict=True)] == found

    @pytest.fixture
    async def friend(self) -> AsyncIterator[Phone]:
        async with phone() as side:
            yield side

    async def test_words(self, friend: Phone) -> None:
        target = {"text": "*{{ run.id }}* {{ run.status }}\n{{ log_tail }}", "title": "run {{ run.id }}"}
        said = await self.deliver(Case("", "notify", {"url": friend.url}, target, "log", LOG))
        (told,) = friend.told
        assert said == ["message to JSON", f"title: {told['title']}", *told["message"].split("\n")]

    async def test_starts(self) -> None:
        options = {"actor": "local/detail", "memory": 256, "input": {"urls": "{{ items }}"}}
        async with platform(self.folder) as place:
            case = Case("", "actor", {"source": "apify", "lag": "0s"}, options)
            start, query, body = await self.deliver(case, replace(around(self.folder), source=place.named))
        (asked,) = place.asked
        assert start.split(",")[0] == "start of local/detail"
        assert start.split()[4].rstrip(",") in asked.agent
        assert (json.loads(query), body) == ({"memory": int(asked.query["memory"])}, asked.body.decode())

    async def test_lines(self, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
        said = await self.deliver(Case("", "stdout", {"prefix": "> "}, {}))
        assert capfdbinary.readouterr().out.decode().splitlines() == said

    async def deliver(self, case: Case, lent: Surroundings | None = None) -> list[str]:
        """Preview it, and send it."""
        module, shipped = case.module, case.shipment()
        config = module.Config.model_validate(case.config)
        said = list(module.preview(config, shipped, case.what))
        async with module.connect(config, lent or around(self.folder)) as sink:
            if isinstance(case.what, Batch):
                await send(sink, shipped, [case.what])
            else:
                async with sink.open(shipped, None) as writer:
                    await writer.document(document(case.what.key, case.what.content_type, case.what.start))
                    await writer.publish()
        return said


def columns_in(said: list[str]) -> str:
    return next(line.partition(": ")[2] for line in said if line.startswith("columns"))


def rows_in(said: list[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said if line.startswith("{")]


def unstamped(rows: Any) -> list[dict[str, Any]]:
    kept = [name for name in STAMPS if name != _shown.NUMBER]
    return [{name: value for name, value in row.items() if name not in kept} for row in rows]


def json_of(cell: Any) -> Any:
    try:
        return json.loads(cell)
    except (TypeError, ValueError):
        return cell
