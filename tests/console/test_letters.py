"""`runrelay dlq`: what is listed, shown, retried and dropped, and what is refused."""

import asyncio
import io
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from config.contracts.after import AfterState
from config.contracts.delivery import Checkpoint, DeliveryState, Receipt
from config.contracts.event import EventState, event_id
from config.keys import RecordKind
from console.cli.main import main
from tests.workers.ledger.books import Books, after, delivery

Captured = pytest.CaptureFixture[str]
BODY, LOST = b'{"canary": "in the body"}', b"\xff" * 7
PLANNED, UNKNOWN = event_id("apify", None, BODY), event_id("apify", None, LOST)
CRM, LOG = delivery("crm", event=PLANNED), delivery("log", event=PLANNED, route="other")
ROW = Receipt(route="all", target="crm", sink="disk", stream="items:default", read=4, delivered=4, out=1, bytes=30)


async def fill(books: Books) -> None:
    """An event that died, and of another one two dead deliveries and one under way."""
    await books.plan(CRM, LOG, delivery("fine", event=PLANNED), body=BODY)
    for one, reason, tries in ((CRM, "target_refused", 1), (LOG, "path_escape", 7)):
        taken = await books.ledger.take_delivery(one.id, 1)
        assert taken
        checkpoint = msgspec.json.encode(Checkpoint(offset=4, batch=1, receipts=(ROW,)))
        said: dict[str, Any] = {"reason": reason, "detail": "HTTP 404 \x1b[31mgone"}
        await books.ledger.finish(taken[0], DeliveryState.DEAD, checkpoint=checkpoint, attempt=tries, **said)
    lease = await books.taken_event(LOST)
    await books.ledger.finish(lease, EventState.DEAD, reason="run_not_found", detail="not there")
    records: list[tuple[RecordKind, str]] = [("dl", CRM.id), ("dl", LOG.id), ("ev", UNKNOWN)]
    for ended, record in zip((1000_000, 2000_000, 3000_000), records, strict=True):
        await books.set(*record, ended=ended)
        await books.redis.zadd(books.keys.dead, {":".join(record): ended})


def in_books(url: str, work: Callable[[Books], Awaitable[Any]]) -> Any:
    async def worked() -> Any:
        redis = Redis.from_url(url)
        try:
            return await work(Books(redis))
        finally:
            await redis.aclose()

    return asyncio.run(worked())


@pytest.fixture(autouse=True)
def ledger(valkey_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def fresh(books: Books) -> None:
        await books.redis.flushall()
        await fill(books)

    in_books(valkey_server, fresh)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDIS_URL", valkey_server)
    monkeypatch.setenv("RUNRELAY_NAMESPACE", "rr")


def states(url: str) -> dict[str, str]:
    async def look(books: Books) -> dict[str, str]:
        events, deliveries = await books.ledger.of_run("apify", "run1")
        return {one.id: one.state.value for one in events} | {one.delivery.id: one.state.value for one in deliveries}

    return dict(in_books(url, look))


def told(capsys: Captured) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def ids(capsys: Captured) -> list[str]:
    return [one.get("delivery") or one["event"] for one in told(capsys)]


def test_letters_are_grouped_by_reason(capsys: Captured) -> None:
    assert main(["dlq", "list"]) == 0
    said = capsys.readouterr().out
    headings = [line for line in said.splitlines() if line.endswith(": 1")]
    assert headings == ["path_escape: 1", "run_not_found: 1", "target_refused: 1"]
    assert "\\x1b[31mgone" in said
    assert "\x1b" not in said


def test_dead_is_another_name_of_it(capsys: Captured) -> None:
    assert main(["dead", "list", "--json"]) == 0
    assert ids(capsys) == [UNKNOWN, LOG.id, CRM.id]


def test_a_limit_is_said_where_it_cuts(valkey_server: str, capsys: Captured) -> None:
    async def same(books: Books) -> None:
        await books.set("dl", LOG.id, reason="target_refused")

    in_books(valkey_server, same)
    assert main(["dlq", "list", "--limit", "1"]) == 0
    assert "target_refused: 2, the newest 1\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--route", "other"], [LOG.id]),
        (["--target", "crm"], [CRM.id]),
        (["--target", "log", "--route", "all"], []),
        (["--sink", "disk"], [LOG.id, CRM.id]),
        (["--source", "apify"], [UNKNOWN, LOG.id, CRM.id]),
        (["--source", "another"], []),
        (["--reason", "run_not_found"], [UNKNOWN]),
        (["--status", "SUCCEEDED"], [LOG.id, CRM.id]),
        (["--status", "FAILED"], []),
        (["--actor", "acme/shop"], [LOG.id, CRM.id]),
        (["--actor", "acme~sh*"], [LOG.id, CRM.id]),
        (["--actor", "shop"], []),
        (["--since", "1970-01-01T00:33:20"], [UNKNOWN, LOG.id]),
        (["--until", "1970-01-01T00:33:20Z"], [CRM.id]),
        (["--since", "1970-01-01T02:33:20+02:00", "--until", "1970-01-01T00:50:00Z"], [LOG.id]),
        (["--since", "30d"], []),
        (["--until", "30d"], [UNKNOWN, LOG.id, CRM.id]),
    ],
)
def test_selectors_say_which(words: list[str], found: list[str], valkey_server: str, capsys: Captured) -> None:
    async def named(books: Books) -> None:
        event = await books.ledger.event(PLANNED)
        assert event
        assert event.run
        run = msgspec.structs.replace(event.run, actor="acme/shop")
        await books.set("ev", PLANNED, snapshot=msgspec.json.encode(run))

    in_books(valkey_server, named)
    assert main(["dlq", "list", "--json", *words]) == 0
    assert ids(capsys) == found
    assert main(["dlq", "retry", "--dry-run", "--json", *words]) == 0
    assert ids(capsys) == found


def test_a_time_that_is_none_is_wrong_usage(capsys: Captured) -> None:
    assert main(["dlq", "list", "--since", "yesterday", "--json"]) == 2
    assert [one["kind"] for one in told(capsys)] == ["usage_invalid"]


def test_show_tells_why_when_and_how_far(capsys: Captured) -> None:
    assert main(["dlq", "show", CRM.id[:8], "--json"]) == 0
    (one,) = told(capsys)
    facts = {name: one[name] for name in ("delivery", "body_bytes", "attempt", "reason", "detail", "ended")}
    assert facts == {
        "delivery": CRM.id,
        "body_bytes": len(BODY),
        "attempt": 1,
        "reason": "target_refused",
        "detail": "HTTP 404 \x1b[31mgone",
        "ended": "1970-01-01T00:16:40.000+00:00",
    }
    assert main(["dlq", "show", CRM.id]) == 0
    said = capsys.readouterr().out
    assert "body_bytes 25" in said
    assert "canary" not in said


def test_show_of_an_event_and_of_a_run(capsys: Captured) -> None:
    assert main(["dlq", "show", UNKNOWN, "--json"]) == 0
    (one,) = told(capsys)
    assert (one["event"], one["body_bytes"], one["reason"]) == (UNKNOWN, 7, "run_not_found")
    assert main(["dlq", "show", "run1", "--json"]) == 0
    assert sorted(ids(capsys)) == sorted([UNKNOWN, LOG.id, CRM.id])


@pytest.mark.parametrize(
    ("id", "kind"), [(delivery("fine").id, "not_dead"), ("f" * 64, "not_found"), ("Nobody", "not_found")]
)
@pytest.mark.parametrize("verb", ["show", "retry", "drop"])
def test_what_is_no_dead_letter_is_refused(verb: str, id: str, kind: str, capsys: Captured) -> None:
    assert main(["dlq", verb, id, "--json"]) == 1
    assert [one["kind"] for one in told(capsys)] == [kind]


@pytest.mark.parametrize("verb", ["retry", "drop"])
@pytest.mark.parametrize("words", [[], [""], [CRM.id, " "]])
def test_nothing_is_done_unless_somebody_says_to_what(verb: str, words: list[str], capsys: Captured) -> None:
    assert main(["dlq", verb, *words, "--json"]) == 2
    assert [one["kind"] for one in told(capsys)] == ["usage_invalid"]


def test_retry_by_id_touches_nothing_else(valkey_server: str, capsys: Captured) -> None:
    assert main(["dlq", "retry", CRM.id[:10]]) == 0
    assert capsys.readouterr().out == "1 dead letter retried\n"
    now = states(valkey_server)
    assert (now[CRM.id], now[LOG.id], now[UNKNOWN]) == ("waiting", "dead", "dead")


def test_retry_of_all_takes_events_too(valkey_server: str, capsys: Captured) -> None:
    assert main(["dlq", "retry", "--all", "--json"]) == 0
    assert [one["outcome"] for one in told(capsys)] == ["retried"] * 3
    now = states(valkey_server)
    assert (now[CRM.id], now[LOG.id], now[UNKNOWN]) == ("waiting", "waiting", "accepted")


def test_an_id_and_selectors_must_both_hold(valkey_server: str, capsys: Captured) -> None:
    assert main(["dlq", "retry", "run1", "--reason", "path_escape"]) == 0
    now = states(valkey_server)
    assert (now[CRM.id], now[LOG.id]) == ("dead", "waiting")


def test_nothing_of_that_kind_is_no_error(capsys: Captured) -> None:
    assert main(["dlq", "retry", "--route", "none"]) == 0
    assert capsys.readouterr().out == "no dead letters\n"


def test_what_stays_as_it_is_is_said(valkey_server: str, capsys: Captured) -> None:
    newer = delivery("crm", event=PLANNED, generation=1)

    async def replayed(books: Books) -> None:
        await books.plan(newer, body=b"more")

    in_books(valkey_server, replayed)
    assert main(["dlq", "retry", CRM.id, LOG.id]) == 1
    said = capsys.readouterr()
    assert said.out == "1 dead letter retried\n"
    assert "its rows are those of a later delivery" in said.err


class Terminal(io.StringIO):
    """Somebody who answers."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answer", "code", "state"), [("y\n", 0, "dropped"), ("\n", 1, "dead"), ("no\n", 1, "dead")])
def test_drop_asks(
    answer: str, code: int, state: str, valkey_server: str, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    assert main(["dlq", "drop", "--target", "crm"]) == code
    assert "Give up 1 dead letter for good? [y/N]" in capsys.readouterr().err
    now = states(valkey_server)
    assert (now[CRM.id], now[LOG.id]) == (state, "dead")


def test_drop_where_nobody_can_be_asked_needs_yes(
    valkey_server: str, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert main(["dlq", "drop", "--all"]) == 2
    assert set(states(valkey_server).values()) == {"planned", "dead", "waiting"}
    assert main(["dlq", "drop", "--all", "--yes", "--json"]) == 0
    assert [one["outcome"] for one in told(capsys)] == ["dropped"] * 3
    assert main(["dlq", "list"]) == 0
    assert capsys.readouterr().out == "no dead letters\n"


def test_a_queue_server_that_is_away_is_said(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    assert main(["dlq", "list", "--json"]) == 1
    assert [one["kind"] for one in told(capsys)] == ["queue_unavailable"]


@pytest.fixture
def undeleted(valkey_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of what should have been deleted at the platform, which said no."""
    monkeypatch.setenv("COLUMNS", "200")
    rows, wish = delivery("rows", event=PLANNED), after("dataset", "run")

    async def die(books: Books) -> None:
        await books.redis.flushall()
        await books.plan(rows, body=BODY, after=wish)
        await books.end(rows)
        await books.overdue("af", wish.id)
        await books.ledger.sweep(10)
        taken = await books.ledger.take_after(wish.id, 1)
        assert taken
        await books.ledger.finish(taken[0], AfterState.DEAD, reason="source_refused", detail="HTTP 400")

    in_books(valkey_server, die)
    return wish.id


def test_what_could_not_be_deleted_is_a_dead_letter_too(undeleted: str, capsys: Captured) -> None:
    assert main(["dlq", "list", "--status", "SUCCEEDED", "--json"]) == 0
    (one,) = told(capsys)
    facts = {name: one[name] for name in ("after", "source", "run_id", "delete", "state", "reason", "detail")}
    assert facts == {
        "after": undeleted,
        "source": "apify",
        "run_id": "run1",
        "delete": ["dataset", "run"],
        "state": "dead",
        "reason": "source_refused",
        "detail": "HTTP 400",
    }
    for words in (["--route", "all"], ["--status", "FAILED"]):
        assert main(["dlq", "list", *words, "--json"]) == 0
        assert told(capsys) == [], "it leads to no target"
    assert main(["dlq", "list"]) == 0
    assert "delete dataset+run" in capsys.readouterr().out
    assert main(["dlq", "show", undeleted[:8]]) == 0
    assert "delete     dataset, run" in capsys.readouterr().out


@pytest.mark.parametrize(("verb", "state", "due"), [("retry", "waiting", True), ("drop", "dropped", False)])
def test_it_is_retried_or_dropped_like_others(
    verb: str, state: str, due: bool, undeleted: str, valkey_server: str, capsys: Captured
) -> None:
    assert main(["dlq", verb, undeleted, *(["--yes"] if verb == "drop" else []), "--json"]) == 0
    assert [one["after"] for one in told(capsys)] == [undeleted]

    async def look(books: Books) -> tuple[str, bool]:
        record = await books.ledger.after(undeleted)
        assert record
        return record.state.value, f"af:{undeleted}" in await books.due()

    assert in_books(valkey_server, look) == (state, due)
    assert main(["dlq", verb, "run1", "--json"]) == 1
    assert [one["kind"] for one in told(capsys)] == ["not_dead"]
