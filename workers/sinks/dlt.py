"""Hands each delivery to dlt as one load, for the warehouses dlt knows: BigQuery, Snowflake, Redshift, Databricks, …

Items are staged in the spool folder; when all of them are there, a process of its own loads them into one table. dlt
makes the table and its columns, in its own manner: names become `snake_case`, a value that does not fit its column gets
a second column, lists and objects are JSON columns (with `nesting` tables of their own). An item that is no object is
the member `value`. Whole numbers beyond 64 bits and numbers that no float holds become text.

Rows are merged by the columns that say where they come from (`_run_id`, `_target`, `_stream`, `_item`): a load that is
repeated after a crash replaces what it had brought. Where a destination cannot merge (files), it is at least once.
Needs dlt and what it needs for the destination: `pip install 'dlt[bigquery]'`.
"""

import asyncio
import contextlib
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import msgspec
from pydantic import BaseModel, Field, SecretStr, model_validator

from config.contracts.document import Document, Glimpse
from config.contracts.errors import Permanent, Transient, Unauthorized, WorkError
from config.contracts.reasons import Reason
from config.contracts.sink import About, Batch, Shipment, Surroundings, Taken, Writer
from workers.rows import STAMPS, KeyNames, TableName, origin_of
from workers.sinks._dlt_load import keys_of, row_of
from workers.sinks._shown import row
from workers.staging import PartFile, blocking

if find_spec("dlt") is None:  # it takes seconds to import, and only the process that loads does so
    raise ModuleNotFoundError("No module named 'dlt'", name="dlt")

TAKES = frozenset({"items", "requests"})
WHOLE = False
ABOUT = About(
    promise="exactly once where the destination can merge, as databases do; else at least once, with a stable id",
    tested="dlt 1.31 into DuckDB 2.0, PostgreSQL 18 and files; BigQuery, Snowflake, Redshift, ClickHouse, Databricks, "
    "MotherDuck and the others are not tested here",
    example="""
sinks:
  bigquery: {type: dlt, destination: bigquery, dataset: scrapes, credentials: "${SECRET}"}
routes:
  - name: products
    to: [{sink: bigquery, table: products, mode: upsert, key: [url]}]
""",
    extra="dlt",
)

#: Bytes of what a loading process says that are kept.
_MOST_SAID = 1 << 16
#: Seconds a process that only looks may take.
_LOOK = 25.0


class Config(BaseModel, extra="forbid", frozen=True):
    """Options of a dlt sink."""

    destination: str = Field(
        pattern=r"[a-z][a-z0-9_]{0,40}",
        description="As dlt calls it: `bigquery`, `snowflake`, `duckdb`, …",
    )
    dataset: str = Field(pattern=r"[A-Za-z_][A-Za-z0-9_]{0,62}", description="Dataset or schema that holds the tables.")
    credentials: SecretStr | dict[str, SecretStr] | None = Field(
        None, description="A URL or path, or the members dlt's page on the destination names. Without, dlt's own ways."
    )
    options: dict[str, SecretStr] = Field({}, description="What else the destination takes, such as `bucket_url`.")


class Target(BaseModel, extra="forbid", frozen=True):
    """Options of a target: its table."""

    table: TableName = Field(description="The table: a-z, 0-9 and `_`.", examples=["table: products"])
    mode: Literal["append", "upsert", "replace_run"] = Field(
        "append",
        description="`append` adds rows; `upsert` keeps one row for each `key`, that which was loaded last; "
        "`replace_run` removes what the same run brought at an earlier finish.",
    )
    key: KeyNames = Field(
        (), description="Members of the item that tell rows apart, for `upsert`.", examples=["key: [url]"]
    )
    columns: Literal["evolve", "freeze"] = Field(
        "evolve", description="`freeze`: a column that the table does not have fails the load."
    )
    nesting: int = Field(0, ge=0, le=10, description="Levels of lists and objects that become tables of their own.")

    @model_validator(mode="after")
    def _agrees(self) -> "Target":
        if (self.mode == "upsert") != bool(self.key):
            raise ValueError("`mode: upsert` and `key` go together: say both, or neither")
        return self

    @property
    def whole(self) -> bool:
        """Whether a later finish of a run is loaded from its first row."""
        return self.mode == "replace_run"


@asynccontextmanager
async def connect(config: Config, around: Surroundings) -> AsyncIterator["DltSink"]:
    """Each load connects by itself. The spool holds the items until then."""
    await blocking(lambda: around.spool.mkdir(parents=True, exist_ok=True))
    yield DltSink(config, around.spool)


def preview(config: Config, shipment: Shipment, what: Batch | Glimpse) -> Iterator[str]:
    """The rows, as dlt is given them: names and types of columns are its affair."""
    target = shipment.options
    assert isinstance(target, Target)
    assert isinstance(what, Batch)
    yield f"table {target.table} of the dataset {config.dataset} in {config.destination}"
    yield f"merged by {row(keys_of(target.mode, target.key))}, where the destination can"
    for number, item in zip(what.numbers, what.items(), strict=False):
        yield row(row_of(_stamps(shipment), number, item))


class DltSink:
    """One dataset of one destination."""

    def __init__(self, config: Config, spool: Path) -> None:
        self.config, self.spool = config, spool

    @asynccontextmanager
    async def open(self, shipment: Shipment, position: dict[str, Any] | None) -> AsyncIterator[Writer]:
        delivery = shipment.delivery
        name = f"{delivery.id[:16]}-g{delivery.generation}-{delivery.streams.index(shipment.stream)}"
        part = PartFile(self.spool / f"{name}.dlt", name)
        try:
            await blocking(part.start, position)
            yield _DltWriter(self, shipment, part)
        finally:
            await asyncio.shield(asyncio.to_thread(part.close))

    async def check(self, options: BaseModel) -> None:
        work = self.spool / f"look-{os.getpid()}-{id(options)}"
        try:
            async with asyncio.timeout(_LOOK):
                await self.run({**self._told(work), "look": True})
        except TimeoutError:
            raise Transient(Reason.TARGET_UNAVAILABLE, f"{self.config.destination} did not answer in time") from None
        finally:
            await blocking(lambda: shutil.rmtree(work, ignore_errors=True))

    async def load(self, shipment: Shipment, part: PartFile) -> int:
        """Load what the part holds. Returns how many rows of it are in the table by the destination's own count; -1 if
        it cannot tell."""
        assert isinstance(shipment.options, Target)
        target = shipment.options
        work = part.part.with_suffix(".work")
        await blocking(lambda: shutil.rmtree(work, ignore_errors=True))
        about = {"part": str(part.part), "bytes": part.mark.bytes, "stamps": _stamps(shipment)}
        told = {**self._told(work), **about}
        try:
            return int(await self.run({**told, **target.model_dump()}))
        finally:
            await blocking(lambda: shutil.rmtree(work, ignore_errors=True))

    def _told(self, work: Path) -> dict[str, Any]:
        config = self.config
        return {
            "work": str(work),
            "destination": config.destination,
            "dataset": config.dataset,
            "credentials": _open(config.credentials),
            "options": _open(config.options),
        }

    async def run(self, told: dict[str, Any]) -> Any:
        """What the process answers. It ends with us, whatever happens to us."""
        environment = {**os.environ, "RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "CRITICAL"}
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "workers.sinks._dlt_load"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment,
        )
        try:
            said, _ = await child.communicate(json.dumps(told).encode())
        finally:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
        return self._judged(said[-_MOST_SAID:])

    def _judged(self, said: bytes) -> Any:
        try:
            answer = msgspec.json.decode(said.strip().rpartition(b"\n")[2])
        except msgspec.DecodeError:
            raise Transient(Reason.TARGET_UNAVAILABLE, "the process that loads ended without a word") from None
        if "rows" in answer:
            return answer["rows"]
        raise _VERDICTS[answer["verdict"]](self._hidden(answer["said"]))

    def _hidden(self, text: str) -> str:
        """On one line, without the secrets it may repeat."""
        told = [self.config.credentials, *self.config.options.values()]
        if isinstance(self.config.credentials, dict):
            told += self.config.credentials.values()
        secrets = [each.get_secret_value() for each in told if isinstance(each, SecretStr)]
        for secret in [*secrets, *(part for each in secrets for part in _passwords(each))]:
            if len(secret) >= 4:
                text = text.replace(secret, "***")
        return " ".join(text.split())[:300]


class _DltWriter:
    """One stream. Each line of its part is the number of a row, a space, and the item."""

    takes_pages = True

    def __init__(self, sink: DltSink, shipment: Shipment, part: PartFile) -> None:
        self.sink, self.shipment, self.part = sink, shipment, part

    @property
    def position(self) -> dict[str, Any] | None:
        return self.part.position

    async def items(self, batch: Batch) -> Taken:
        lines = b"".join(b"%d %s\n" % pair for pair in zip(batch.numbers, batch.items(), strict=False))
        grown = await blocking(self.part.append, lines)
        return Taken(rows=grown.rows, out=0, bytes=grown.bytes, position=self.part.mark.position())

    async def document(self, document: Document) -> Taken:
        raise TypeError("a table holds no documents")

    async def publish(self) -> Taken:
        staged = self.part.mark.rows
        found = await self.sink.load(self.shipment, self.part)
        if found not in {-1, staged}:
            raise Permanent(Reason.COUNT_MISMATCH, f"{staged} rows were loaded, and {found} of them are in the table")
        return Taken(rows=0, out=staged, bytes=0, position=self.part.mark.position())


def _stamps(shipment: Shipment) -> dict[str, str]:
    """What all rows have in common."""
    return dict(zip(STAMPS, origin_of(shipment), strict=False))


def _passwords(url: str) -> tuple[str, ...]:
    """The password of a URL, as it is written there and as it is meant."""
    try:
        password = urlsplit(url).password or ""
    except ValueError:
        return ()
    return password, unquote(password)


def _open(secrets: SecretStr | dict[str, SecretStr] | None) -> Any:
    if isinstance(secrets, dict):
        return {name: value.get_secret_value() for name, value in secrets.items()}
    return secrets.get_secret_value() if secrets else None


_VERDICTS: dict[str, Callable[[str], WorkError]] = {
    "missing": lambda said: Permanent(Reason.PLUGIN_MISSING, said),
    "unknown": lambda said: Permanent(Reason.PLUGIN_MISSING, f"dlt knows no destination {said}"),
    "lacking": lambda said: Unauthorized(
        Reason.TARGET_REFUSED, f"dlt lacks credentials: say `credentials` with {said}"[:300]
    ),
    "refused": lambda said: Unauthorized(Reason.TOKEN_REFUSED, said),
    "wrong": lambda said: Unauthorized(Reason.TARGET_REFUSED, said),
    "again": lambda said: Transient(Reason.TARGET_UNAVAILABLE, said),
    "never": lambda said: Permanent(Reason.TARGET_REFUSED, said),
}
