import asyncio
import os
import re
import signal
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from config.contracts.errors import Forbidden, Transient, Unauthorized, WorkError
from config.contracts.reasons import Reason
from config.contracts.sink import Checked
from console.servers.postgres import PostgresServer
from tests.workers.sinks.postgres_database import Database, fill, into, opened
from workers.sinks import _postgres_stream, postgres
from workers.testing.contract import ALL, THREE, Connect, send, stored
from workers.testing.shipments import batches, shipment

STAMPED = "_run_id text, _finished_at timestamptz, _target text, _stream text, _item bigint, _delivered_at timestamptz"
PAGE = Path(__file__).parents[3] / "docs/how-to/deliver-into-postgres.md"
WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND strpos(query, $1) > 0"
UPSERT = {"mode": "upsert", "key": "url"}
FROZEN = {"columns": "freeze"}


@pytest.fixture
def far_side(postgres_server: PostgresServer) -> Database:
    return Database(postgres_server.url)


class Mistake(NamedTuple):
    """`made`: what the role finds, where `{s}` is the schema and `{role}` the role that delivers.

    `looked`: whether `check` sees it before anything is sent."""

    made: str
    options: dict[str, Any]
    kind: type[WorkError]
    reason: Reason
    line: str
    looked: bool = True


GRANTED = "GRANT ALL ON SCHEMA {s} TO {role}"
REFUSED, GONE = Reason.TARGET_REFUSED, Reason.TARGET_UNAVAILABLE


def raising(state: str) -> str:
    return (
        f"{GRANTED}; CREATE TABLE {{s}}.results ({STAMPED}, item jsonb); ALTER TABLE {{s}}.results OWNER TO {{role}};"
        "CREATE FUNCTION {s}.no() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION 'it said so' USING ERRCODE = '{state}'; END $$;"
        "CREATE TRIGGER no BEFORE INSERT ON {s}.results FOR EACH ROW EXECUTE FUNCTION {s}.no()"
    )


MISTAKES = {
    "no right on the schema": Mistake(
        "SELECT 1",
        *(
            {},
            Unauthorized,
            REFUSED,
            'the role "{role}" may not make tables in {s}: GRANT USAGE, CREATE ON SCHEMA {s} TO "{role}"',
        ),
    ),
    "no schema, and no right to make it": Mistake(
        "DROP SCHEMA {s}",
        *(
            {},
            Unauthorized,
            REFUSED,
            'the role "{role}" may not make the schema {s}: CREATE SCHEMA {s} AUTHORIZATION "{role}"',
        ),
    ),
    "no right on the table": Mistake(
        GRANTED + f"; CREATE TABLE {{s}}.results (url text, {STAMPED})",
        *(FROZEN, Forbidden, REFUSED),
        'the role "{role}" may not write to {s}.results: GRANT SELECT, INSERT, DELETE ON {s}.results TO "{role}"',
    ),
    "no right to update": Mistake(
        f"{GRANTED}; CREATE TABLE {{s}}.results ({STAMPED}, url text UNIQUE);"
        "GRANT SELECT, INSERT ON {s}.results TO {role}",
        *(FROZEN | UPSERT, Forbidden, REFUSED),
        'the role "{role}" may not write to {s}.results: GRANT UPDATE ON {s}.results TO "{role}"',
    ),
    "a table of somebody else's": Mistake(
        GRANTED + "; CREATE TABLE {s}.results (n int); GRANT ALL ON {s}.results TO {role}",
        *({}, Forbidden, REFUSED),
        'the role "{role}" may not change {s}.results: ALTER TABLE {s}.results OWNER TO "{role}", or say'
        " `columns: freeze`",
    ),
    "places of somebody else's": Mistake(
        GRANTED + "; CREATE TABLE {s}._runrelay_checkpoints (delivery text, stream text, holder text, batches int,"
        " next_item bigint, at timestamptz)",
        *({}, Unauthorized, REFUSED),
        'the role "{role}" may not write to {s}._runrelay_checkpoints: GRANT SELECT, INSERT, UPDATE, DELETE ON'
        ' {s}._runrelay_checkpoints TO "{role}"',
    ),
    "no table": Mistake(
        GRANTED,
        *(FROZEN, Forbidden, REFUSED),
        "there is no table {s}.results: create it, or let `columns: evolve` do so",
    ),
    "a view": Mistake(
        GRANTED + "; CREATE VIEW {s}.results AS SELECT 1 AS n",
        *({}, Forbidden, REFUSED, "{s}.results is no table but a view or the like: name a table"),
    ),
    "a frozen table that lacks a column": Mistake(
        f"{GRANTED}; CREATE TABLE {{s}}.results ({STAMPED.replace('_item bigint, ', '')}, url text UNIQUE)",
        *(FROZEN, Forbidden, REFUSED),
        "{s}.results lacks columns: ALTER TABLE {s}.results ADD COLUMN _item bigint; or say `stamp: false`",
    ),
    "a frozen table that cannot tell an older run": Mistake(
        f"{GRANTED}; CREATE TABLE {{s}}.results ({STAMPED.replace('_finished_at timestamptz, ', '')}, url text UNIQUE)",
        *(FROZEN | UPSERT, Forbidden, REFUSED),
        "{s}.results lacks columns: ALTER TABLE {s}.results ADD COLUMN _finished_at timestamptz; or say `stamp: false`"
        " and `order: none`",
    ),
    "a frozen table that lacks the key": Mistake(
        f"{GRANTED}; CREATE TABLE {{s}}.results ({STAMPED})",
        *(FROZEN | UPSERT, Forbidden, REFUSED),
        "{s}.results lacks columns: ALTER TABLE {s}.results ADD COLUMN url text",
    ),
    "a frozen table without a unique index": Mistake(
        f"{GRANTED}; CREATE TABLE {{s}}.results ({STAMPED}, url text)",
        *(FROZEN | UPSERT, Forbidden, REFUSED),
        '`upsert` needs a unique index: CREATE UNIQUE INDEX ON {s}.results ("url")',
    ),
    "a table with doubles": Mistake(
        "{g}; CREATE TABLE {s}.results (url text); INSERT INTO {s}.results VALUES ('a'), ('a');"
        " ALTER TABLE {s}.results OWNER TO {role}",
        *(UPSERT, Forbidden, REFUSED, "{s}.results has rows with the same url: remove all but one of each"),
    ),
    "a column of ours of another type": Mistake(
        f"{GRANTED}; CREATE TABLE {{s}}.results ({STAMPED.replace('_item bigint', '_item date')}, url text UNIQUE)",
        *(FROZEN, Forbidden, REFUSED),
        "{s}.results._item is date and cannot hold bigint: ALTER TABLE {s}.results ALTER _item TYPE bigint"
        " USING _item::text::bigint",
    ),
    "a role that only reads": Mistake(
        GRANTED + "; ALTER ROLE {role} SET default_transaction_read_only = on",
        *({}, Unauthorized, REFUSED),
        "the server only reads: name the primary in `url`, or let the role write (default_transaction_read_only)",
    ),
    "too many connections": Mistake(
        GRANTED + "; ALTER ROLE {role} CONNECTION LIMIT 0",
        *({}, Transient, GONE),
        'too many connections for role "{role}": raise max_connections there, or end some',
    ),
    "a full disk": Mistake(
        raising("53100"), {"columns": "json"}, Transient, GONE, "it said so: make room on the server's disk", False
    ),
    "a deadlock": Mistake(raising("40P01"), {"columns": "json"}, Transient, GONE, "it said so", False),
    "a serialization failure": Mistake(raising("40001"), {"columns": "json"}, Transient, GONE, "it said so", False),
    "no memory": Mistake(raising("53200"), {"columns": "json"}, Transient, GONE, "it said so", False),
}


@pytest.fixture
def mistake(request: pytest.FixtureRequest, far_side: Database) -> tuple[Mistake, Connect]:
    """It is made, and the role delivers."""
    found, names = MISTAKES[request.param], {"s": far_side.schema, "role": f"etl_{far_side.schema}", "g": GRANTED}
    made = found.made.replace("{g}", GRANTED)
    for name, value in names.items():
        made = made.replace(f"{{{name}}}", value)
        found = found._replace(line=found.line.replace(f"{{{name}}}", value))
    far_side.made(f"CREATE ROLE {names['role']} LOGIN PASSWORD 'p'", made)
    host = far_side.url.rpartition("@")[2]
    return found, lambda: opened(far_side, url=f"postgresql://{names['role']}:p@{host}")


@pytest.mark.parametrize("mistake", MISTAKES, indirect=True)
class TestMistakes:
    async def test_each_has_its_verdict_and_its_cure(
        self, mistake: tuple[Mistake, Connect], caplog: pytest.LogCaptureFixture
    ) -> None:
        made, connect = mistake
        with pytest.raises(WorkError) as caught:
            await fill(connect, shipment(into(**made.options)), b'{"url":"a"}', b'{"url":"b"}')
        assert told(caught.value) == (made.kind, made.reason, made.line)
        assert [record for record in caplog.records if record.levelname == "ERROR"] == []

    async def test_each_is_seen_before_anything_is_sent(self, mistake: tuple[Mistake, Connect]) -> None:
        made, connect = mistake
        if not made.looked:
            await check(connect, into(**made.options))
            return
        with pytest.raises(WorkError) as caught:
            await check(connect, into(**made.options))
        assert told(caught.value) == (made.kind, made.reason, made.line)


def told(error: WorkError) -> tuple[type[WorkError], Reason, str]:
    return type(error), error.reason, error.detail


async def check(connect: Connect, options: postgres.Target) -> None:
    async with connect() as sink:
        assert isinstance(sink, Checked)
        await sink.check(options)


@pytest.mark.parametrize(
    ("change", "kind", "reason", "line"),
    [
        (
            lambda url: url.replace("for-one-demo-only", "wrong"),
            *(Unauthorized, Reason.TOKEN_REFUSED),
            'mend the user and password in `url`: the role "runrelay" may not log in'
            ' (password authentication failed for user "runrelay")',
        ),
        (
            lambda url: url.replace("/postgres", "/nowhere"),
            *(Unauthorized, REFUSED),
            'database "nowhere" does not exist: create it, or mend the name in `url`',
        ),
        (
            lambda url: url + "?sslmode=require",
            *(Unauthorized, REFUSED),
            "127.0.0.1 does not encrypt, as `url` demands: mend its sslmode",
        ),
        (
            lambda url: re.sub("127.0.0.1:[0-9]+", "nowhere.invalid", url),
            *(Transient, GONE),
            "the database cannot be reached at nowhere.invalid:5432: is it up? mend host and port in `url`",
        ),
        (
            lambda url: re.sub(":[0-9]+/", ":1/", url),
            *(Transient, GONE),
            "the database cannot be reached at 127.0.0.1:1: is it up? mend host and port in `url`",
        ),
    ],
    ids=["password", "database", "encryption", "host", "port"],
)
async def test_a_url_that_is_wrong(
    far_side: Database, change: Callable[[str], str], kind: type[WorkError], reason: Reason, line: str
) -> None:
    for attempt in (check, lambda connect, options: fill(connect, shipment(options), b"{}")):
        with pytest.raises(WorkError) as caught:
            await attempt(lambda: opened(far_side, url=change(far_side.url)), into())
        assert told(caught.value) == (kind, reason, line)


class TestCheck:
    @pytest.mark.parametrize("options", [{}, {"columns": "json"}, UPSERT, {"mode": "replace_run"}, {"stamp": False}])
    async def test_what_it_tries_leaves_nothing_behind(self, far_side: Database, options: dict[str, Any]) -> None:
        await check(lambda: opened(far_side), into(**options))
        assert far_side.rows("SELECT 1 FROM pg_namespace WHERE nspname = $1", far_side.schema) == []

    @pytest.mark.parametrize("options", [{}, {"columns": "json"}, UPSERT, {"mode": "replace_run"}, {"stamp": False}])
    async def test_a_table_that_was_filled_is_good(self, far_side: Database, options: dict[str, Any]) -> None:
        await fill(lambda: opened(far_side), shipment(into(**options)), b'{"url":"a"}')
        await check(lambda: opened(far_side), into(**options))
        assert far_side.rows("SELECT count(*) FROM results") == [(1,)]

    async def test_the_table_of_the_how_to_has_all_it_needs(self, far_side: Database) -> None:
        (made,) = re.findall(r"^CREATE TABLE .*?^CREATE INDEX.*?$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
        far_side.made(made.replace("scrapes", far_side.schema))
        keyed = into("products", columns="freeze", **UPSERT)
        await check(lambda: opened(far_side), keyed)
        await fill(lambda: opened(far_side), shipment(keyed), b'{"url":"a","price":1,"seen":"2026-03-01"}')
        assert far_side.rows("SELECT url, price, seen::text FROM products") == [("a", 1, "2026-03-01")]

    async def test_a_table_with_all_it_needs_may_be_somebody_elses(self, far_side: Database) -> None:
        role = f"etl_{far_side.schema}"
        await fill(lambda: opened(far_side), shipment(into(columns="json")), b"1")
        far_side.change(
            f"CREATE ROLE {role} LOGIN PASSWORD 'p'; GRANT USAGE ON SCHEMA {far_side.schema} TO {role};"
            f" GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {far_side.schema} TO {role}"
        )
        url = f"postgresql://{role}:p@{far_side.url.rpartition('@')[2]}"
        await check(lambda: opened(far_side, url=url), into(columns="json"))
        await fill(lambda: opened(far_side, url=url), shipment(into(columns="json"), run="r2"), b"2")
        assert far_side.items("r2") == [b"2"]


class TestServer:
    async def test_killed_and_started_again_between_two_chunks_it_goes_on(
        self, far_side: Database, postgres_server: PostgresServer
    ) -> None:
        whole = into(columns="json")
        first, second, third = batches(*THREE)
        async with opened(far_side) as sink, sink.open(shipment(whole), None) as writer:
            taken = await writer.items(first)
            postgres_server.stop()
            for down in (writer.items(second), writer.publish(), send(sink, shipment(whole), [second], stored(taken))):
                with pytest.raises(Transient):
                    await down
            postgres_server.start()
            await send(sink, shipment(whole), [second, third], stored(taken))
        assert far_side.items("r1") == ALL

    async def test_killed_in_the_middle_of_a_chunk_nothing_of_it_is_there(
        self, far_side: Database, postgres_server: PostgresServer
    ) -> None:
        whole = into(columns="json")
        first, *rest = batches(*THREE)
        async with opened(far_side) as sink:
            async with sink.open(shipment(whole), None) as writer:
                taken = await writer.items(first)
                async with locked(far_side):
                    late = asyncio.create_task(writer.items(rest[0]))
                    await asyncio.sleep(0.1)
                    postgres_server.stop()
                with pytest.raises(Transient):
                    await late
            postgres_server.start()
            assert far_side.items("r1") == ALL[:2]
            await send(sink, shipment(whole), rest, stored(taken))
        assert far_side.items("r1") == ALL

    async def test_somebody_elses_lock_is_waited_for_a_while(
        self, far_side: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_postgres_stream, "PATIENCE", 0.1)
        whole = into(columns="json")
        async with opened(far_side) as sink:
            await send(sink, shipment(whole), batches([b"1"]))
            async with locked(far_side):
                with pytest.raises(Transient) as caught:
                    await send(sink, shipment(whole, run="r2"), batches([b"2"]))
            await send(sink, shipment(whole, run="r2"), batches([b"2"]))
        assert caught.value.detail == "canceling statement due to lock timeout: somebody else holds a lock on it"
        assert far_side.items("r2") == [b"2"]

    async def test_a_step_that_takes_too_long_ends(self, far_side: Database) -> None:
        whole = into(columns="json")
        far_side.made(
            f"CREATE TABLE {far_side.schema}.results ({STAMPED}, item jsonb)",
            f"CREATE FUNCTION {far_side.schema}.slow() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_sleep(60); END $$",
            f"CREATE TRIGGER slow BEFORE INSERT ON {far_side.schema}.results"
            f" FOR EACH ROW EXECUTE FUNCTION {far_side.schema}.slow()",
        )
        with pytest.raises(Transient) as caught:
            await fill(lambda: opened(far_side, timeout="1s"), shipment(whole), b"1")
        assert "raise `timeout`" in caught.value.detail

    async def test_a_connection_that_hangs_holds_nobody(
        self, far_side: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its process at the server is stopped, so that it does not even hear that it is to stop. No second question
        follows: a server that hangs as a whole would not answer that, either."""
        asked = list[object]()
        monkeypatch.setattr(_postgres_stream.Stream, "arrived", lambda *told: asked.append(told))
        whole = into(columns="json")
        async with opened(far_side, timeout="1s") as sink, sink.open(shipment(whole), None) as writer:
            await writer.items(batches([b"1"])[0])
            async with locked(far_side):
                late = asyncio.create_task(writer.items(batches([b"1"], [b"2"])[1]))
                while not (waiting := far_side.rows(WAITING, far_side.schema)):
                    await asyncio.sleep(0.01)
                os.kill(waiting[0][0], signal.SIGSTOP)
            try:
                async with asyncio.timeout(15):
                    with pytest.raises(Transient) as caught:
                        await late
                    assert far_side.items("r1") == [b"1"]
            finally:
                os.kill(waiting[0][0], signal.SIGCONT)
            await send(sink, shipment(whole, run="r2"), batches([b"2"]))
        assert caught.value.detail == "127.0.0.1: no answer in time"
        assert asked == []

    async def test_a_column_that_others_dropped_meanwhile_comes_back(self, far_side: Database) -> None:
        first, second, third = batches(*THREE)
        async with opened(far_side) as sink:
            async with sink.open(shipment(into()), None) as writer:
                taken = await writer.items(first)
                far_side.change("ALTER TABLE results DROP COLUMN n")
                with pytest.raises(Transient, match="somebody changed the table meanwhile"):
                    await writer.items(second)
            await send(sink, shipment(into()), [second, third], stored(taken))
        assert far_side.rows("SELECT n FROM results ORDER BY _item") == [(None,), (None,), (3,), (4,), (5,)]


@asynccontextmanager
async def locked(far_side: Database) -> Any:
    """Somebody else holds the table."""
    db = await far_side.client()
    try:
        await db.execute("BEGIN; LOCK TABLE results")
        yield
    finally:
        db.terminate()
