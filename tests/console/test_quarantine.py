"""`runrelay quarantine`: what is listed and shown, let go and given up, and what is refused."""

import asyncio
import io
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from config.contracts.delivery import DeliveryState
from config.contracts.event import EventState, event_id
from config.route import GATE
from console.cli.main import main
from tests.workers.ledger.books import DOCUMENTS, LIFE, Books, delivery, run
from workers.ledger.records import Born, LeadsTo, Signal

Captured = pytest.CaptureFixture[str]
PLANNED = event_id("apify", None, b"{}")
ROWS, LAKE = delivery("rows", event=PLANNED), delivery("lake", event=PLANNED)
EYES = msgspec.structs.replace(delivery(GATE, event=PLANNED), sink="")
WHY = "3 items, at least 10 were expected; `url\x1b[31m` is filled in 0 of 3 items, in 100% of them it was expected"
FILE = """\
version: 1
sources: {apify: {token: tok-0123456789, webhook: {secrets: [secret-0123456789]}, retention: 7d}}
sinks: {disk: {type: file, base: results/}}
routes: [{name: all, when: {status: SUCCEEDED}, to: [{sink: disk, path: "{{ run.id }}.jsonl"}]}]
"""


async def fill(books: Books) -> None:
    """A run that two targets wait for."""
    lease = await books.taken_event()
    leads_to = LeadsTo((ROWS, LAKE))
    known = msgspec.structs.replace(run(), actor="acme/shop", actor_id="A1")
    more = {"run": known, "deliveries": [EYES], "documents": DOCUMENTS, "gated": {EYES.id: leads_to}}
    await books.ledger.plan(lease, EventState.PLANNED, **more)  # type: ignore[arg-type]  # as one mapping it is shorter
    taken = await books.ledger.take_delivery(EYES.id, 1)
    assert taken
    facts = {"items_read": 3, "held": WHY}
    born = [Born(one, DeliveryState.QUARANTINED, "not_as_expected", WHY, facts) for one in leads_to.wanted]
    await books.ledger.judge(taken[0], born, None, Signal.READ, reason="not_as_expected", detail=WHY)
    for one, at in ((ROWS, 1000_000), (LAKE, 2000_000)):
        await books.set("dl", one.id, at=at)
        await books.redis.zadd(books.keys.quarantined, {one.id: at})


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
    (tmp_path / "runrelay.yaml").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDIS_URL", valkey_server)
    monkeypatch.setenv("RUNRELAY_NAMESPACE", "rr")
    monkeypatch.setenv("TZ", "UTC")


def states(url: str) -> dict[str, str]:
    async def look(books: Books) -> dict[str, str]:
        _, deliveries = await books.ledger.of_run("apify", "run1")
        return {one.delivery.target: one.state.value for one in deliveries}

    return dict(in_books(url, look))


def told(capsys: Captured) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_runs_are_listed_by_route_with_what_was_seen_and_until_when_their_data_is_there(capsys: Captured) -> None:
    assert main(["quarantine", "list"]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[0] == "all: 1 run is not_as_expected"
    assert said.count("run1") == 1
    for words in ("02-06 07:38:32", "rows, lake", "at least 10 were expected"):
        assert words in " ".join(said.split()) or words in said
    assert "\x1b" not in said


def test_json_has_one_delivery_a_line(capsys: Captured) -> None:
    assert main(["quarantine", "list", "--json"]) == 0
    names = ("delivery", "state", "reason", "detail", "items_read", "source_expires_at")
    found = [{name: one[name] for name in names} for one in told(capsys)]
    same = {"state": "quarantined", "reason": "not_as_expected", "detail": WHY, "items_read": 3}
    expires = "2026-02-06T07:38:32.674+00:00"
    assert found == [{"delivery": one.id, **same, "source_expires_at": expires} for one in (ROWS, LAKE)]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--route", "all"], [ROWS.id, LAKE.id]),
        (["--route", "other"], []),
        (["--target", "lake"], [LAKE.id]),
        (["--actor", "acme/shop"], [ROWS.id, LAKE.id]),
        (["--actor", "acme/other"], []),
        (["--since", "1970-01-01T00:33:20Z"], [LAKE.id]),
        (["--until", "1970-01-01T00:33:20Z"], [ROWS.id]),
    ],
)
def test_selectors_say_which(words: list[str], found: list[str], capsys: Captured) -> None:
    assert main(["quarantine", "list", "--json", *words]) == 0
    assert [one["delivery"] for one in told(capsys)] == found
    assert main(["quarantine", "release", "--dry-run", "--json", *words]) == 0
    assert [one["delivery"] for one in told(capsys)] == found


def test_show_tells_what_was_expected_and_seen_line_by_line(capsys: Captured, valkey_server: str) -> None:
    async def had(books: Books) -> None:
        await books.redis.lpush(books.keys.usual("all", "A1"), 90, 100)  # type: ignore[misc]  # redis-py's own types

    in_books(valkey_server, had)
    assert main(["quarantine", "show", "run1"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "run run1 of apify: not_as_expected",
        "  route      all",
        "  data until 2026-02-06T07:38:32.674+00:00",
        "  held since 1970-01-01T00:16:40.000+00:00",
        f"  finished   {LIFE}",
        "  items      3",
        "  usual      100, 90",
        "  not so     3 items, at least 10 were expected",
        "  not so     `url\\x1b[31m` is filled in 0 of 3 items, in 100% of them it was expected",
        f"  held       rows ({ROWS.id[:12]})",
        f"  held       lake ({LAKE.id[:12]})",
    ]


@pytest.mark.parametrize("id", ["run1", EYES.id, PLANNED])
def test_a_run_is_named_by_itself_by_its_gate_or_by_its_event(id: str, valkey_server: str, capsys: Captured) -> None:
    assert main(["quarantine", "release", id]) == 0
    assert capsys.readouterr().out == "2 deliveries released\n"
    assert states(valkey_server) == {"expect": "delivered", "rows": "waiting", "lake": "waiting"}
    assert main(["quarantine", "list"]) == 0
    assert capsys.readouterr().out == "nothing is in quarantine\n"


def test_one_target_may_go_alone(valkey_server: str, capsys: Captured) -> None:
    assert main(["quarantine", "release", ROWS.id[:10], "--json"]) == 0
    assert told(capsys) == [{"delivery": ROWS.id, "outcome": "released", "detail": ""}]
    assert states(valkey_server) == {"expect": "delivered", "rows": "waiting", "lake": "quarantined"}


@pytest.mark.parametrize("verb", ["release", "discard"])
@pytest.mark.parametrize("words", [[], [""]])
def test_nothing_is_done_unless_somebody_says_to_what(verb: str, words: list[str], capsys: Captured) -> None:
    assert main(["quarantine", verb, *words, "--json"]) == 2
    assert [one["kind"] for one in told(capsys)] == ["usage_invalid"]


@pytest.mark.parametrize("verb", ["show", "release", "discard"])
def test_what_is_not_held_is_refused(verb: str, valkey_server: str, capsys: Captured) -> None:
    assert main(["quarantine", "release", ROWS.id, "--json"]) == 0
    capsys.readouterr()
    assert main(["quarantine", verb, ROWS.id, "--json"]) == 1
    assert main(["quarantine", verb, "Nobody", "--json"]) == 1
    assert [one["kind"] for one in told(capsys)] == ["not_quarantined", "not_found"]


def test_what_a_later_finish_took_over_stays_and_says_what_to_do(valkey_server: str, capsys: Captured) -> None:
    async def later(books: Books) -> None:
        await books.plan(delivery("rows", event=PLANNED, life="2026-03-01T00:00:00.000Z"), body=b"more")

    in_books(valkey_server, later)
    assert main(["quarantine", "release", "--all"]) == 1
    said = capsys.readouterr()
    assert said.out == "1 delivery released\n"
    assert said.err.endswith("stays as it is: a later finish of the run has its rows: release that one, discard this\n")


class Terminal(io.StringIO):
    """Somebody who answers."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answer", "code", "state"), [("y\n", 0, "dropped"), ("\n", 1, "quarantined")])
def test_discard_asks(
    answer: str, code: int, state: str, valkey_server: str, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    assert main(["quarantine", "discard", "--target", "lake"]) == code
    assert "1 to all/lake\nGive up 1 delivery for good? [y/N]" in capsys.readouterr().err
    assert states(valkey_server) == {"expect": "delivered", "rows": "quarantined", "lake": state}


def test_discard_where_nobody_can_be_asked_needs_yes(
    valkey_server: str, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert main(["quarantine", "discard", "--all"]) == 2
    assert main(["quarantine", "discard", "--all", "--yes", "--json"]) == 0
    assert [one["outcome"] for one in told(capsys) if "outcome" in one] == ["discarded"] * 2
    assert states(valkey_server) == {"expect": "delivered", "rows": "dropped", "lake": "dropped"}


def test_other_commands_show_why_it_is_held(capsys: Captured) -> None:
    for words in (["runs"], ["deliveries"], ["show", "run1"]):
        assert main(words) == 0
        said = " ".join(capsys.readouterr().out.split())
        assert "quarantined" in said
    assert main(["show", LAKE.id, "--json"]) == 0
    assert [one["detail"] for one in told(capsys) if one.get("delivery") == LAKE.id] == [WHY]


def test_what_is_held_is_not_replayed(capsys: Captured) -> None:
    assert main(["replay", "run1", "--json"]) == 1
    found = {one["target"]: one["outcome"] for one in told(capsys) if "target" in one}
    assert found == {"rows": "quarantined", "lake": "quarantined"}
