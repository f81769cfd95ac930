"""`runrelay replay`: what is made again, what is left out and why."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from config.contracts.delivery import DeliveryState
from config.contracts.event import EventState, event_id
from console.cli.main import main
from tests.console.test_letters import in_books, told
from tests.workers.ledger.books import DOCUMENTS, Books, delivery, run
from workers.ledger.letters import next_generation

Captured = pytest.CaptureFixture[str]
EVENT = event_id("apify", None, b"{}")
ROWS, CRM = delivery("rows", event=EVENT), delivery("crm", event=EVENT)
SINKS = {"sinks": {"disk": {"type": "file", "base": "results"}}}


@pytest.fixture(autouse=True)
def ledger(valkey_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDIS_URL", valkey_server)
    monkeypatch.setenv("RUNRELAY_NAMESPACE", "rr")
    monkeypatch.setitem(DOCUMENTS, "sha1", json.dumps(SINKS).encode())

    async def fill(books: Books) -> None:
        await books.redis.flushall()
        await books.plan(ROWS, CRM)
        await books.end(ROWS)
        await books.end(CRM, DeliveryState.DEAD)

    in_books(valkey_server, fill)


def typed_as(url: str, kind: str) -> None:
    async def write(books: Books) -> None:
        await books.redis.set(books.keys.document("sha1"), json.dumps({"sinks": {"disk": {"type": kind}}}))

    in_books(url, write)


def set_state(url: str, id: str, state: str) -> None:
    async def write(books: Books) -> None:
        await books.set("dl", id, state=state)

    in_books(url, write)


def generations(url: str) -> list[tuple[str, int]]:
    async def look(books: Books) -> list[tuple[str, int]]:
        _, known = await books.ledger.of_run("apify", "run1")
        return sorted((one.delivery.target, one.delivery.generation) for one in known)

    return list(in_books(url, look))


def outcomes(capsys: Captured) -> dict[str, str]:
    return {one["target"]: one["outcome"] for one in told(capsys)}


def test_a_run_is_replayed_to_all_its_targets(valkey_server: str, capsys: Captured) -> None:
    assert main(["replay", "run1", "--json"]) == 0
    facts = {one["target"]: one for one in told(capsys)}
    again = next_generation(ROWS)
    assert facts["rows"] == {
        "outcome": "replayed",
        "source": "apify",
        "run_id": "run1",
        "route": "all",
        "target": "rows",
        "sink": "disk",
        "replays": ROWS.id,
        "was": "delivered",
        "delivery": again.id,
        "generation": 1,
    }
    assert facts["crm"]["outcome"] == "replayed"
    assert generations(valkey_server) == [("crm", 0), ("crm", 1), ("rows", 0), ("rows", 1)]


def test_a_dry_run_makes_nothing(valkey_server: str, capsys: Captured) -> None:
    assert main(["replay", "run1", "--dry-run", "--json"]) == 0
    assert outcomes(capsys) == {"rows": "would_replay", "crm": "would_replay"}
    assert main(["replay", "run1", "--dry-run"]) == 0
    assert capsys.readouterr().out.endswith("2 would be replayed\n")
    assert generations(valkey_server) == [("crm", 0), ("rows", 0)]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--failed"], ["crm"]),
        (["run1", "--failed"], ["crm"]),
        (["--target", "rows"], ["rows"]),
        (["--status", "SUCCEEDED"], ["crm", "rows"]),
        (["--until", "30d"], []),
        ([ROWS.id[:8]], ["rows"]),
        ([EVENT], ["crm", "rows"]),
    ],
)
def test_only_what_is_meant_is_replayed(words: list[str], found: list[str], capsys: Captured) -> None:
    assert main(["replay", *words, "--json"]) == 0
    assert sorted(outcomes(capsys)) == found


def test_what_is_partial_has_failed(valkey_server: str, capsys: Captured) -> None:
    set_state(valkey_server, ROWS.id, "partial")
    assert main(["replay", "--failed", "--json"]) == 0
    assert sorted(outcomes(capsys)) == ["crm", "rows"]


def test_what_is_under_way_is_left_alone(valkey_server: str, capsys: Captured) -> None:
    assert main(["replay", "run1"]) == 0
    assert capsys.readouterr().out.endswith("2 replayed\n")
    assert main(["replay", "run1", "--json"]) == 1
    assert outcomes(capsys) == {"rows": "under_way", "crm": "under_way"}
    assert main(["replay", "run1"]) == 1
    said = capsys.readouterr()
    assert said.out.endswith("0 replayed\n")
    assert "left out (under_way): a delivery of the run is on its way to the same target" in said.err
    assert len(generations(valkey_server)) == 4


def test_what_was_given_up_is_left_out(valkey_server: str, capsys: Captured) -> None:
    set_state(valkey_server, CRM.id, "dropped")
    assert main(["replay", "run1", "--json"]) == 0
    assert outcomes(capsys) == {"rows": "replayed", "crm": "dropped"}


@pytest.mark.parametrize("kind", ["actor", "notify", "workers.sinks.actor"])
def test_sinks_that_act_are_left_out_unless_that_is_meant(kind: str, valkey_server: str, capsys: Captured) -> None:
    typed_as(valkey_server, kind)
    assert main(["replay", "run1", "--json"]) == 1
    assert outcomes(capsys) == {"rows": "effects", "crm": "effects"}
    assert generations(valkey_server) == [("crm", 0), ("rows", 0)]
    assert main(["replay", "run1", "--include-effects", "--json"]) == 0
    assert outcomes(capsys) == {"rows": "replayed", "crm": "replayed"}


def test_http_targets_are_warned_of(valkey_server: str, capsys: Captured) -> None:
    assert main(["replay", "run1", "--dry-run"]) == 0
    assert "under new ids" not in capsys.readouterr().err
    typed_as(valkey_server, "http")
    assert main(["replay", "run1", "--dry-run"]) == 0
    assert "HTTP targets get everything anew, under new ids" in capsys.readouterr().err


def test_a_route_that_is_no_longer_kept_is_said(valkey_server: str, capsys: Captured) -> None:
    async def forget(books: Books) -> None:
        await books.redis.delete(books.keys.document("sha1"))

    in_books(valkey_server, forget)
    assert main(["replay", "run1", "--json"]) == 1
    assert outcomes(capsys) == {"rows": "config_gone", "crm": "config_gone"}


@pytest.mark.parametrize(
    ("words", "code", "kind"),
    [
        ([], 2, "usage_invalid"),
        ([""], 2, "usage_invalid"),
        (["--dry-run"], 2, "usage_invalid"),
        (["Nobody"], 1, "not_found"),
    ],
)
def test_what_cannot_be_meant_is_refused(words: list[str], code: int, kind: str, capsys: Captured) -> None:
    assert main(["replay", *words, "--json"]) == code
    facts: list[dict[str, Any]] = told(capsys)
    assert [one["kind"] for one in facts] == [kind]


TODAY = """\
version: 1
sources: {apify: {token: tok-0123456789}}
sinks: {disk: {type: file, base: results/}, next: {type: actor, source: apify, max_chain: 3}}
routes:
  - name: all
    read: {records: ["*"]}
    to:
      - {sink: disk, name: rows, path: "{{ run.id }}/{{ record.key }}"}
      - {sink: next, name: crm, actor: acme/detail, per: run, send: run, input: {}}
"""


def now(text: str = TODAY) -> None:
    Path("runrelay.yaml").write_text(text)


def test_with_the_routes_of_now_it_is_what_they_say(valkey_server: str, capsys: Captured) -> None:
    now()
    assert main(["replay", "run1", "--using", "now", "--json"]) == 0
    assert outcomes(capsys) == {"rows": "replayed", "crm": "effects"}

    async def look(books: Books) -> tuple[Any, bytes | None]:
        made = await books.ledger.delivery(next_generation(ROWS).id)
        assert made
        return made.delivery, await books.ledger.document(made.delivery.cfg)

    made, document = in_books(valkey_server, look)
    assert (made.generation, made.streams, made.event_id) == (1, ("records",), EVENT)
    assert made.cfg != "sha1"
    assert b"record.key" in document


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (TODAY.replace("name: all", "name: other"), "the file has no route 'all' any more"),
        (TODAY.replace("name: rows", "name: files"), "the route 'all' has no target 'rows' any more"),
    ],
)
def test_a_route_or_target_that_is_gone_is_said(text: str, why: str, valkey_server: str, capsys: Captured) -> None:
    now(text)
    assert main(["replay", "run1", "--target", "rows", "--using", "now", "--json"]) == 1
    assert [(one["outcome"], one["detail"]) for one in told(capsys)] == [("config_gone", why)]
    assert generations(valkey_server) == [("crm", 0), ("rows", 0)]
    assert main(["replay", "run1", "--target", "rows", "--dry-run"]) == 0, "with the routes of then it can be done"


def test_what_the_run_was_like_must_still_be_kept(valkey_server: str, capsys: Captured) -> None:
    async def forget(books: Books) -> None:
        await books.redis.delete(books.keys.record("ev", EVENT))

    now()
    in_books(valkey_server, forget)
    assert main(["replay", "run1", "--target", "rows", "--using", "now", "--json"]) == 1
    assert [one["detail"] for one in told(capsys)] == ["what the run was like is no longer kept"]


@pytest.fixture
def unwanted(valkey_server: str) -> str:
    """The id of an event that no route wanted, of the run that others wanted."""

    async def end(books: Books) -> str:
        lease = await books.taken_event(b"unwanted")
        await books.ledger.plan(lease, EventState.UNMATCHED, run=run(), deliveries=[], documents={}, reason="no_route")
        return lease.id

    return str(in_books(valkey_server, end))


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["{event}"], ["planned_anew"]),
        (["run1"], ["replayed", "replayed", "planned_anew"]),
        (["run1", "--target", "rows"], ["replayed"]),
        (["run1", "--failed"], ["replayed"]),
        ([ROWS.id], ["replayed"]),
        (["--reason", "no_route"], ["planned_anew"]),
        (["--reason", "no_route", "--status", "FAILED"], []),
        (["--source", "apify"], ["replayed", "replayed"]),
    ],
)
def test_an_event_that_no_route_wanted_is_planned_anew_if_it_is_meant(
    words: list[str], found: list[str], unwanted: str, capsys: Captured
) -> None:
    assert main(["replay", *(word.format(event=unwanted) for word in words), "--json"]) == 0
    assert [one["outcome"] for one in told(capsys)] == found


@pytest.mark.parametrize(("id", "found"), [(ROWS.id, ["replayed"]), (EVENT, ["replayed", "replayed", "planned_anew"])])
def test_a_delivery_of_the_unmatched_route_is_replayed_alone_if_it_is_named(
    id: str, found: list[str], valkey_server: str, capsys: Captured
) -> None:
    async def unmatch(books: Books) -> None:
        await books.set("ev", EVENT, state="unmatched")

    in_books(valkey_server, unmatch)
    assert main(["replay", id, "--json"]) == 0
    assert [one["outcome"] for one in told(capsys)] == found


def test_people_read_that_it_is_planned_anew(unwanted: str, capsys: Captured) -> None:
    assert main(["replay", unwanted]) == 0
    said = capsys.readouterr().out
    assert "planned anew" in said
    assert said.endswith("1 replayed\n")


def test_a_task_is_a_selector_too(valkey_server: str, capsys: Captured) -> None:
    async def name(books: Books) -> None:
        event = await books.ledger.event(EVENT)
        assert event
        assert event.run
        named = msgspec.structs.replace(event.run, task="acme/nightly", task_id="t1")
        await books.set("ev", EVENT, snapshot=msgspec.json.encode(named))

    in_books(valkey_server, name)
    for words, found in ((["acme/nightly"], 2), (["t1"], 2), (["acme/other"], 0)):
        assert main(["replay", "--task", *words, "--dry-run", "--json"]) == 0
        assert len(told(capsys)) == found
