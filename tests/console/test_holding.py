"""`runrelay pause`, `resume`, `retry`, and what other commands say of what they hold, on a real Valkey."""

import json
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, cast

import pytest

from console.cli.main import main
from tests.console.test_letters import in_books
from tests.workers.ledger.books import Books, about, delivery
from tests.workers.ledger.test_lanes import lives, opened, take, took

Captured = pytest.CaptureFixture[str]
FILE = """\
version: 1
sources: {apify: {token: t0ken-t0ken, api_url: "http://127.0.0.1:9"}}
sinks: {disk: {type: file, base: x}, spare: {type: file, base: y}}
routes:
  - {name: all, to: [{sink: disk, name: rows}, {sink: disk, name: lake}]}
  - {name: other, to: [{sink: disk, name: rows}]}
unmatched: {to: [{sink: spare}]}
"""
ONE = delivery()


@pytest.fixture(autouse=True)
def ledger(valkey_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def fresh(books: Books) -> None:
        await books.redis.flushall()

    in_books(valkey_server, fresh)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDIS_URL", valkey_server)
    (tmp_path / "runrelay.yaml").write_text(FILE)


def said(capsys: Captured, *words: str, code: int = 0) -> dict[str, Any]:
    """The one object that a command prints."""
    assert main([*words, "--json"]) == code
    return dict(json.loads(capsys.readouterr().out))


def paused(url: str) -> dict[str, float]:
    """What is held → seconds until when, 0 for no end."""

    async def ask(books: Books) -> dict[str, float]:
        held = await cast("Awaitable[dict[bytes, bytes]]", books.redis.hgetall(books.keys.paused))
        now = await books.now()
        return {name.decode(): (int(until) - now) / 1000 if int(until) else 0 for name, until in held.items()}

    return dict(in_books(url, ask))


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("source", "apify"), "source:apify"),
        (("sink", "disk"), "sink:disk"),
        (("target", "all/rows"), "target:all/rows"),
        (("target", "lake"), "target:all/lake"),
        (("target", "unmatched/spare"), "target:unmatched/spare"),
    ],
)
def test_what_is_held_by_its_name_is_let_go_by_it(
    valkey_server: str, capsys: Captured, words: tuple[str, str], name: str
) -> None:
    kind, _, full = name.partition(":")
    assert said(capsys, "pause", *words) == {"kind": kind, "name": full, "until": None}
    assert paused(valkey_server) == {name: 0}
    assert said(capsys, "resume", *words) == {"kind": kind, "name": full, "was_held": True, "waited": 0}
    assert paused(valkey_server) == {}
    assert main(["resume", *words]) == 0
    assert capsys.readouterr().out == f"nothing held {kind} {full}\n"


def test_a_time_may_be_said(valkey_server: str, capsys: Captured) -> None:
    assert said(capsys, "pause", "target", "lake", "--for", "2h")["until"]
    assert paused(valkey_server) == {"target:all/lake": about(7200)}
    for span, words in (("2 hours", "not a duration"), ("0", "no time at all")):
        assert main(["pause", "target", "lake", "--for", span]) == 2
        assert words in capsys.readouterr().err
    assert paused(valkey_server) == {"target:all/lake": about(7200)}


@pytest.mark.parametrize(
    ("words", "kind", "message"),
    [
        (("target", "rows"), "ambiguous", "several routes have a target 'rows': say all/rows or other/rows"),
        (("target", "al/rows"), "not_found", "there is no target 'al/rows': did you mean `all/rows`?"),
        (("target", "laek"), "not_found", "there is no target 'laek': did you mean `lake`?"),
        (("source", "apfy"), "not_found", "there is no source 'apfy': did you mean `apify`? known are apify"),
        (("sink", "nowhere"), "not_found", "there is no sink 'nowhere': known are disk, spare"),
    ],
)
def test_a_name_that_is_none_holds_nothing(
    valkey_server: str, capsys: Captured, words: tuple[str, str], kind: str, message: str
) -> None:
    for verb in ("pause", "resume"):
        answer = said(capsys, verb, *words, code=1)
        assert (answer["kind"], answer["message"][: len(message)]) == (kind, message)
    assert paused(valkey_server) == {}


def test_where_work_of_an_older_file_leads_has_a_name_too(valkey_server: str, capsys: Captured) -> None:
    in_books(valkey_server, lambda books: books.plan(delivery("crm", route="older")))
    assert said(capsys, "pause", "target", "crm")["name"] == "older/crm"
    in_books(valkey_server, lambda books: books.ledger.pause("sink:gone"))
    assert said(capsys, "resume", "sink", "gone")["was_held"] is True
    assert list(paused(valkey_server)) == ["target:older/crm"]


def test_a_file_that_cannot_be_used_keeps_nobody_from_acting(
    valkey_server: str, tmp_path: Path, capsys: Captured
) -> None:
    (tmp_path / "runrelay.yaml").write_text("version: 7\n")
    in_books(valkey_server, lambda books: books.plan(ONE))
    assert main(["pause", "target", "all/rows"]) == 0
    assert "runrelay check" in capsys.readouterr().err
    assert list(paused(valkey_server)) == ["target:all/rows"]
    answer = said(capsys, "pause", "target", "other/rows", code=1)
    assert answer["message"].endswith("runrelay.yaml cannot be used now, so these are those of open work only")


def test_resume_says_what_waited_and_what_still_keeps_it(valkey_server: str, capsys: Captured) -> None:
    async def held(books: Books) -> None:
        await books.ledger.pause("target:all/rows")
        await books.plan(*lives(2))
        await books.ledger.pause("sink:disk")
        await books.ledger.pause("sink:spare")

    in_books(valkey_server, held)
    assert main(["resume", "target", "all/rows"]) == 0
    told = capsys.readouterr()
    assert told.out == "target all/rows may go on, and 2 that waited with it\n"
    assert told.err.splitlines() == [
        "but sink disk: held by hand until `runrelay resume sink disk`, 0 wait",
    ]


def test_retry_closes_the_circuit_of_a_target_and_everything_goes(valkey_server: str, capsys: Captured) -> None:
    made = in_books(valkey_server, opened)
    assert said(capsys, "retry", "--target", "all/rows") == {"target": "all/rows", "waited": 5}

    async def taken(books: Books) -> list[bool]:
        assert await books.redis.exists(books.keys.open) == 0
        return [await take(books, one) is not None for one in made]

    assert in_books(valkey_server, taken) == [True] * 6


def test_retry_makes_due_what_waits_for_a_time_of_its_own(valkey_server: str, capsys: Captured) -> None:
    ours, others, (working, woken) = delivery(), delivery("lake"), lives(2)

    async def fill(books: Books) -> None:
        await books.plan(ours, others, working, woken)
        for one in (ours, others):
            await books.ledger.hand_back(await took(books, one), "waiting", wait=7200, reason="config_gone", detail="")
        await took(books, working)
        await books.redis.zrem(books.keys.queue, f"{working.id}:1")  # as arq does once it has ended
        await books.redis.delete(f"arq:job:{working.id}:1")

    in_books(valkey_server, fill)
    assert said(capsys, "retry", "--target", "all/rows") == {"target": "all/rows", "waited": 1}

    async def due(books: Books) -> dict[str, float]:
        return await books.due()

    waits = in_books(valkey_server, due)
    assert {name.removeprefix("dl:"): left for name, left in waits.items()} == {
        ours.id: about(0),
        others.id: about(7200),
        working.id: about(35),
        woken.id: about(30),
    }
    assert said(capsys, "retry", "--target", "lake")["waited"] == 1

    async def swept(books: Books) -> list[str]:
        await books.ledger.sweep(10)
        return sorted(job.partition(":")[0] for job in await books.queued())

    assert {ours.id, others.id} <= set(in_books(valkey_server, swept))


def test_retry_lifts_no_pause_and_says_so(valkey_server: str, capsys: Captured) -> None:
    async def both(books: Books) -> None:
        await opened(books)
        await books.ledger.pause("target:all/rows")

    in_books(valkey_server, both)
    assert main(["retry", "--target", "all/rows"]) == 0
    told = capsys.readouterr()
    assert told.out == "target all/rows may go on, and 5 that waited with it\n"
    assert "but target all/rows: held by hand until" in told.err
    assert list(paused(valkey_server)) == ["target:all/rows"]

    async def line(books: Books) -> list[int]:
        names = ("paused:target:all/rows", "target:all/rows")
        return [await books.redis.zcard(books.keys.line(name)) for name in names]

    assert in_books(valkey_server, line) == [5, 0]


def test_lists_say_why_a_delivery_stands_in_line(valkey_server: str, capsys: Captured) -> None:
    first, second = lives(2)
    other = delivery("lake")

    async def fill(books: Books) -> str:
        await books.redis.set(books.keys.breadth, 1)
        await books.ledger.pause("target:all/lake", await books.now() + 3_600_000)
        lease = await books.plan(first, second, other)
        return lease.id

    event = in_books(valkey_server, fill)
    assert main(["deliveries", "--json"]) == 0
    waits = {one["delivery"]: one["waits"] for one in map(json.loads, capsys.readouterr().out.splitlines())}
    held = waits.pop(other.id)
    assert (held["for"], held["name"], held["since"]) == ("held", "target all/lake", None)
    assert held["until"]
    assert waits == {first.id: None, second.id: {"for": "place", "places": 1}}
    assert main(["deliveries"]) == 0
    told = capsys.readouterr().out
    assert "waits for one of 1 places" in " ".join(told.split())
    answer = said(capsys, "runs")
    assert [one["id"] for one in answer["waits"]] == [second.id, other.id]
    assert main(["show", event]) == 0
    assert "  waits      target held by hand until " in capsys.readouterr().out


def test_lists_say_that_the_target_fails_or_when_it_is_tried_again(valkey_server: str, capsys: Captured) -> None:
    made = in_books(valkey_server, opened)
    assert main(["show", made[0].id, "--json"]) == 0
    *_, shown = map(json.loads, capsys.readouterr().out.splitlines())
    assert (shown["waits"]["for"], shown["waits"]["name"]) == ("failing", "target all/rows")

    async def closed(books: Books) -> None:
        await books.redis.delete(books.keys.circuit("target:all/rows"), books.keys.open)

    in_books(valkey_server, closed)
    assert main(["show", made[0].id]) == 0
    assert "  waits      next try " in capsys.readouterr().out


def test_the_doctor_names_holds_and_the_cure(valkey_server: str, capsys: Captured) -> None:
    async def fill(books: Books) -> None:
        await opened(books)
        await books.ledger.pause("sink:disk")

    in_books(valkey_server, fill)
    assert main(["doctor", "--json"]) == 1
    found = [one for one in map(json.loads, capsys.readouterr().out.splitlines()) if one["check"] == "holds"]
    assert [(one["ok"], one["cure"]) for one in found] == [
        (
            False,
            "mend the far side; what waits goes on by itself, or at once with: runrelay retry --target all/rows",
        ),
        (False, "once it may go on: runrelay resume sink disk"),
    ]
