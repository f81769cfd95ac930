"""Somebody is told what needs a person: on a real ledger, through real sinks."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import web
from prometheus_client import REGISTRY
from redis.asyncio import Redis
from structlog.testing import capture_logs

from config.contracts.delivery import DeliveryState
from config.contracts.event import EventState
from config.reloading import Watch
from config.route import GATE
from config.routes import RouteTable, load
from config.settings import Settings
from tests.end_to_end.installation import eventually
from tests.workers.ledger.books import LIFE, Books, delivery
from tests.workers.ledger.test_expiring import DAY, HOUR, ended_ago
from tests.workers.ledger.test_lanes import LANE, lives, opened, took
from workers.care import alarms
from workers.care.alarms import Alarms, alarm_forever
from workers.ledger import signs
from workers.ledger.quarantine import discard
from workers.ledger.records import Born, Signal
from workers.ledger.signs import note_missed
from workers.runtime import Runtime

HEAD = "version: 1\nsources: {apify: {token: tok-0123456789}}\n"
ROUTES = "routes: [{name: all, when: {status: SUCCEEDED}, to: [{sink: out}]}]\n"
TO_FILE = "sinks: {out: {type: file, base: '{folder}/told'}}\nalerts: {to: [{sink: out}], at_most: 1/15m}\n"


@dataclass
class Oncall:
    """Somebody's HTTP receiver for alerts. `answers`: statuses for the next requests, 200 when used up."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    requests: list[tuple[str, bytes]] = field(default_factory=list)


@asynccontextmanager
async def oncall() -> AsyncIterator[Oncall]:
    side = Oncall()

    async def take(request: web.Request) -> web.Response:
        side.requests.append((request.headers["Idempotency-Key"], await request.read()))
        return web.Response(status=side.answers.pop(0) if side.answers else 200)

    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    side.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    try:
        yield side
    finally:
        await runner.cleanup()


class Place:
    """A ledger and somebody who looks at it."""

    def __init__(self, redis: Redis, settings: Settings, folder: Path) -> None:
        self.books, self.settings, self.folder = Books(redis), settings, folder

    def table(self, text: str = TO_FILE) -> RouteTable:
        file = self.folder / "runrelay.yaml"
        text = text if "routes:" in text else ROUTES + text
        file.write_text(HEAD + text.replace("{folder}", str(self.folder)))
        return load(file, {})

    def runtime(self, text: str = TO_FILE) -> Runtime:
        return Runtime(settings=self.settings, table=self.table(text), ledger=self.books.ledger, apis={})

    async def turn(self, text: str = TO_FILE, every: float = 0.001) -> None:
        """The turn of a worker that has just been started."""
        await self.books.redis.delete("rr:alarmed")
        runtime = self.runtime(text)
        assert runtime.table.alerts
        await Alarms(runtime, runtime.table.alerts, every=every).turn()

    def told(self) -> list[dict[str, Any]]:
        """The alerts that lie in the folder, oldest first."""
        found = [json.loads(each.read_text()) for each in sorted((self.folder / "told").glob("alerts/*.json"))]
        return sorted(found, key=lambda one: str(one["at"]))

    async def book(self, name: str) -> dict[str, Any]:
        written = await cast("Awaitable[bytes]", self.books.redis.hget("rr:alerts", name))
        return dict(json.loads(written))

    async def later(self, name: str) -> None:
        """The time that `at_most` speaks of is over for one book."""
        book = await self.book(name)
        book["sent"] = []
        await cast("Awaitable[int]", self.books.redis.hset("rr:alerts", name, json.dumps(book)))

    async def die(self, count: int, first: int = 0, target: str = "rows") -> list[str]:
        """Deliveries end as dead letters; their ids."""
        ones = [one for one in lives(first + count, target) if f":{first:02}." <= one.life[16:]]
        await self.books.plan(*ones, body=f"{target}{first}".encode())
        for one in ones:
            lease = await took(self.books, one)
            said: dict[str, Any] = {"reason": "target_refused", "detail": "HTTP 404: canary-of-an-item"}
            await self.books.ledger.finish(lease, DeliveryState.DEAD, **said)
        await asyncio.sleep(0.002)  # what dies in the millisecond of the look is told the next time
        return [one.id for one in ones]

    async def hold(self, *targets: str, life: str = LIFE) -> list[str]:
        """A run is not as its route expects: deliveries go into quarantine; their ids."""
        gate = delivery(GATE, life=life)
        await self.books.plan(gate, body=gate.id.encode())
        ones, said = [delivery(target, life=life) for target in targets], "1 items, canary-of-an-item"
        born = [Born(one, DeliveryState.QUARANTINED, "not_as_expected", said) for one in ones]
        await self.books.ledger.judge(await took(self.books, gate), born, None, Signal.READ, reason="not_as_expected")
        await asyncio.sleep(0.002)  # as above
        return [one.id for one in ones]

    async def fresh(self, **noted: float) -> None:
        """What is noted of routes, in seconds before now. `__since` stands for the other part of the name."""
        now = await self.books.now()
        fields = {name.replace("__", "|"): now - round(ago * 1000) for name, ago in noted.items()}
        await cast("Awaitable[int]", self.books.redis.hset("rr:fresh", mapping=fields))


@pytest.fixture
def place(redis: Redis, settings: Settings, tmp_path: Path) -> Place:
    return Place(redis, settings, tmp_path)


async def test_a_dead_letter_is_told_once(place: Place) -> None:
    (died,) = await place.die(1)
    await place.turn()
    await place.turn()
    (alert,) = place.told()
    at, id = alert.pop("at"), alert.pop("id")
    assert alert == {
        "kind": "dead_letter",
        "text": (
            "Runrelay: 1 dead letter\n"
            f"- 1 × target_refused at all/rows: runrelay show {died[:12]}\n"
            "What to do: runrelay dlq list says why; once it is mended: runrelay dlq retry --reason REASON"
        ),
        "count": 1,
        "about": [
            {
                "subject": "1 × target_refused at all/rows",
                "source": "apify",
                "route": "all",
                "target": "rows",
                "reason": "target_refused",
                "count": 1,
                "example": died,
            }
        ],
        "over": [],
        "what_to_do": "runrelay dlq list says why; once it is mended: runrelay dlq retry --reason REASON",
    }
    moment = at.partition("+")[0].replace("-", "").replace(":", "")
    assert [each.name for each in (place.folder / "told/alerts").iterdir()] == [f"{moment}Z-dead_letter-{id[:8]}.json"]
    assert [each.name for each in (place.folder / "told").iterdir()] == ["alerts"]


async def test_a_storm_is_one_message_with_counts(place: Place) -> None:
    await place.die(1)
    await place.turn()
    await place.die(20, first=1)
    await place.die(3, target="other")
    await place.turn()
    assert len(place.told()) == 1
    await place.later("out|dead_letter")
    await place.turn()
    first, second = sorted(place.told(), key=lambda one: int(one["count"]))
    assert (first["count"], second["count"]) == (1, 23)
    assert [(one["target"], one["count"]) for one in second["about"]] == [("rows", 20), ("other", 3)]


async def test_at_most_is_counted_for_each_kind(place: Place) -> None:
    await place.die(1)
    await place.turn()
    await place.books.ledger.pause("sink:disk")
    await place.turn()
    assert {one["kind"] for one in place.told()} == {"dead_letter", "paused"}


async def test_what_failed_is_sent_again_as_it_was_and_nobody_waits_for_it(place: Place) -> None:
    async with oncall() as side:
        side.answers = [503, 500]
        text = TO_FILE.replace("sinks: {", f"sinks: {{crm: {{type: http, url: '{side.url}'}}, ")
        text = text.replace("to: [", "to: [{sink: crm}, ").replace("1/15m", "100/1h")
        before = counted()
        await place.die(1)
        with capture_logs() as logs:
            for round in (1, 2, 3):
                await place.turn(text)
                assert len(place.told()) == round
                await place.die(1, first=round)
        keys, bodies = zip(*side.requests, strict=True)
        assert (len(set(keys)), len(set(bodies)), len(keys)) == (1, 1, 3)
        await place.turn(text)
    assert json.loads(side.requests[-1][1])["count"] == 3
    assert side.requests[-1][0] != keys[0]
    assert keys[0].startswith(json.loads(bodies[0])["id"] + ":alert:")
    assert [one["count"] for one in place.told()] == [1, 1, 1, 1]
    assert counted() == (before[0] + 6, before[1] + 2)
    failed = [(line["to"], line["error"]) for line in logs if line["event"] == "alert.failed"]
    assert failed == [("crm", "target_unavailable")] * 2


def counted() -> tuple[float, float]:
    """Alerts about dead letters that were sent, and tries that failed."""
    sent, failed = (
        REGISTRY.get_sample_value("runrelay_alerts_total", {"kind": "dead_letter", "outcome": outcome}) or 0.0
        for outcome in ("sent", "failed")
    )
    return sent, failed


async def test_an_alert_is_written_down_before_it_is_sent(place: Place) -> None:
    """So that a worker that dies in between is followed by one that sends the same."""
    async with oncall() as side:
        seen: list[dict[str, Any]] = []
        text = TO_FILE.replace("type: file, base: '{folder}/told'", f"type: http, url: '{side.url}'")
        await place.die(1)
        side.answers = [500]
        await place.turn(text)
        seen.append((await place.book("out|dead_letter"))["alert"])
        await place.turn(text)
    assert seen == [json.loads(body) for _, body in side.requests[1:]]
    assert (await place.book("out|dead_letter"))["alert"] is None


async def test_one_that_takes_for_ever_is_given_up_for_this_turn(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alarms, "PATIENCE", 0.1)
    plug = "tests.workers.care.deaf"
    await place.die(1)
    text = TO_FILE.replace("sinks: {", f"sinks: {{deaf: {{type: {plug}}}, ").replace("to: [", "to: [{sink: deaf}, ")
    with capture_logs() as logs:
        await place.turn(text)
    assert [(line["to"], line["error"]) for line in logs if line["event"] == "alert.failed"] == [
        ("deaf", "TimeoutError")
    ]
    assert len(place.told()) == 1


async def test_holds_are_told_when_they_begin_and_when_they_end(place: Place) -> None:
    books = place.books
    (one,) = lives(1)
    await books.plan(one)
    lease = await took(books, one)
    await books.ledger.hand_back(
        lease, "paused", wait=60.0, signal=Signal.REFUSED, reason="token_refused", detail="401"
    )
    await books.ledger.pause("sink:disk", await books.now() + 60_000)
    await place.turn()
    (begun,) = place.told()
    assert (begun["kind"], begun["count"]) == ("paused", 2)
    refused, held = begun["about"]
    assert refused["subject"].startswith("target all/rows refuses our credentials, since ")
    assert refused["subject"].endswith(", 1 waits")
    assert (refused["route"], refused["target"], refused["reason"]) == ("all", "rows", "token_refused")
    assert held["subject"].startswith("sink disk is held by hand, until ")
    await books.ledger.resume("sink:disk")
    await place.later("out|paused")
    await place.turn()
    ended = next(one for one in place.told() if one["over"])
    assert (ended["count"], ended["over"], ended["about"]) == (0, ["sink disk is held by hand"], [])
    assert ended["text"] == "Runrelay: it is over\n- over: sink disk is held by hand"


async def test_a_target_that_fails_is_told_and_that_it_answers_again(place: Place) -> None:
    await opened(place.books)
    await place.turn()
    await place.books.ledger.resume(LANE)
    await place.later("out|failing")
    await place.turn()
    begun, ended = sorted(place.told(), key=lambda one: -int(one["count"]))
    assert (begun["kind"], begun["about"][0]["target"], begun["about"][0]["count"]) == ("failing", "rows", 5)
    assert ended["over"] == ["target all/rows fails again and again"]


async def test_what_goes_into_quarantine_is_told_once_with_what_to_do(place: Place) -> None:
    crm, lake = await place.hold("crm", "lake")
    await place.turn()
    await place.turn()
    (first,) = place.told()
    assert (first["kind"], first["count"], first["over"]) == ("quarantined", 2, [])
    assert {one.pop("target"): one for one in first["about"]} == {
        name: {
            "subject": f"1 × not_as_expected at all/{name}",
            "source": "apify",
            "route": "all",
            "reason": "not_as_expected",
            "count": 1,
            "example": example,
        }
        for name, example in (("crm", crm), ("lake", lake))
    }
    assert first["text"].startswith("Runrelay: 2 deliveries in quarantine\n- 1 × not_as_expected at all/")
    assert first["text"].endswith(
        "\nWhat to do: runrelay quarantine show ID says what is not as expected; then quarantine release or discard it"
    )
    assert "canary" not in json.dumps(first)
    (later,) = await place.hold("crm", life="2026-02-01T00:00:00.000Z")
    await place.later("out|quarantined")
    await place.turn()
    second = next(one for one in place.told() if one["count"] == 1)
    assert [one["example"] for one in second["about"]] == [later]


async def test_what_was_let_go_before_somebody_looked_is_not_told(place: Place) -> None:
    (one,) = await place.hold("crm")
    record = await place.books.ledger.delivery(one)
    assert record
    assert await discard(place.books.ledger, record) == "done"
    await place.turn()
    assert place.told() == []


FRESH = TO_FILE + "routes: [{name: all, freshness: {every: 6h}, to: [{sink: out}]}]\n"


async def test_a_route_that_does_not_deliver_in_time_is_told_until_it_does(place: Place) -> None:
    text = FRESH.replace("1/15m", "9/15m")
    await place.fresh(all=5 * HOUR, all__since=90 * HOUR)
    await place.turn(text)
    assert place.told() == []
    await place.fresh(all=7 * HOUR)
    await place.turn(text)
    await place.turn(text)
    (begun,) = place.told()
    last = datetime.fromtimestamp(await noted(place, "all") / 1000, UTC)
    since = (last + timedelta(hours=6)).isoformat(timespec="seconds")
    subject = (
        f"route all is stale since {since}: every 6h is wanted, last delivery {last.isoformat(timespec='seconds')}"
    )
    assert (begun["kind"], begun["count"]) == ("stale", 1)
    assert begun["about"] == [{"subject": subject, "route": "all", "since": since}]
    assert begun["text"] == (
        f"Runrelay: 1 route has not delivered in time\n- {subject}\n"
        "What to do: runrelay runs lists what came, runrelay status what waits; if no run came, look at its schedule"
    )
    await place.books.ledger.note_fresh("all")
    await place.turn(text)
    ended = next(one for one in place.told() if one["over"])
    assert (ended["count"], ended["over"]) == (0, ["route all is stale"])


async def test_a_route_that_has_never_delivered_is_told_as_such(place: Place) -> None:
    await place.fresh(all__since=7 * HOUR)
    await place.turn(FRESH)
    (alert,) = place.told()
    assert alert["text"].splitlines()[1].endswith(": every 6h is wanted, no delivery since that is wanted")


async def noted(place: Place, name: str) -> int:
    return int(await cast("Awaitable[bytes]", place.books.redis.hget("rr:fresh", name)))


async def test_runs_that_no_webhook_announced_are_told_by_source(place: Place) -> None:
    books = place.books
    for number in range(3):
        await note_missed(books.redis, books.keys, "apify", f"run{number}")
    await place.turn()
    await note_missed(books.redis, books.keys, "apify", "run3")
    await place.later("out|webhook_missed")
    await place.turn()
    first, second = sorted(place.told(), key=lambda one: -int(one["count"]))
    assert "- 3 runs of apify ended, and no webhook said so: runrelay show run2\n" in first["text"]
    assert (second["count"], second["about"][0]["example"]) == (1, "run3")


async def test_data_that_is_about_to_be_deleted_is_told_by_route_and_once(place: Place) -> None:
    first, second = [await ended_ago(place.books, 7 * DAY - HOUR, name) for name in ("a", "b")]
    await place.turn()
    await place.books.end(first)
    await place.later("out|expiring")
    await place.turn()
    (alert,) = place.told()
    assert (alert["kind"], alert["count"]) == ("expiring", 2)
    assert [(one["route"], one["count"]) for one in alert["about"]] == [("all", 2)]
    assert list((await place.book("out|expiring"))["told"]) == [second.id]


async def test_of_what_is_about_to_be_deleted_it_is_told_how_much_is_in_quarantine(place: Place) -> None:
    ended = datetime.fromtimestamp(await place.books.now() / 1000 - 6.5 * DAY, UTC)
    await place.hold("crm", "lake", life=ended.isoformat())
    await place.turn(TO_FILE.replace("at_most", "kinds: expiring, at_most"))
    (alert,) = place.told()
    assert alert["about"][0]["subject"].startswith("2 deliveries of all not done, 2 in quarantine; the first data may ")


async def test_a_file_that_cannot_be_used_is_told_with_its_place_until_it_is_mended(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alarms, "ASK", 0.02)
    monkeypatch.setattr(alarms, "EVERY", 0.02)
    monkeypatch.setattr(signs, "MISREAD_MS", 100)
    runtime = place.runtime(TO_FILE.replace("1/15m", "2/15m"))
    file, watch = runtime.table.file, Watch(runtime.table)
    good = file.read_text()
    tasks = [asyncio.create_task(alarm_forever(runtime, watch)), asyncio.create_task(watch.forever(lambda _: None))]

    async def told(number: int) -> list[dict[str, Any]] | None:
        return place.told() if len(place.told()) == number else None

    file.write_text(good + "raotes: []\n")
    watch.ask()
    (begun,) = await eventually(partial(told, 1))
    file.write_text(good)
    watch.ask()
    ended = next(one for one in await eventually(partial(told, 2)) if one["over"])
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (begun["kind"], begun["count"], ended["count"]) == ("reload_failed", 1, 0)
    (problem,) = begun["about"]
    assert problem["subject"].startswith(f"{file}:6:1: raotes: there is no key `raotes` here: did you mean `routes`?")
    assert ended["over"] == [problem["subject"]]


async def test_a_problem_of_the_file_shows_no_secret(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alarms, "ASK", 0.02)
    runtime = place.runtime()
    watch = Watch(runtime.table)
    watch.problem = "runrelay.yaml:3:9: Bearer canary-secret"
    working = asyncio.create_task(alarm_forever(runtime, watch))

    async def told() -> list[dict[str, Any]] | None:
        return place.told() or None

    (alert,) = await eventually(told)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    assert "runrelay.yaml:3:9: Bearer ***" in alert["text"]
    assert "canary-secret" not in json.dumps(alert)


async def test_only_the_kinds_that_are_asked_for_are_told(place: Place) -> None:
    await place.die(1, target="other")
    await opened(place.books)
    await place.turn(TO_FILE.replace("at_most", "kinds: failing, at_most"))
    assert [one["kind"] for one in place.told()] == ["failing"]


async def test_one_worker_at_a_time_has_its_turn_and_not_more_often_than_it_should(place: Place) -> None:
    await place.turn(every=60.0)
    await place.die(1)
    runtime = place.runtime()
    assert runtime.table.alerts
    await Alarms(runtime, runtime.table.alerts, every=0.001).turn()
    assert place.told() == []
    assert 30_000 < await place.books.redis.pttl("rr:alarmed") <= 60_000


async def test_what_a_far_side_answered_is_not_repeated(place: Place) -> None:
    await place.die(2, target="other")
    await opened(place.books)
    await place.turn()
    told = "".join(each.read_text() for each in (place.folder / "told/alerts").iterdir())
    assert "canary" not in told
    assert "boo" not in told


async def test_on_a_terminal_it_is_one_line(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    await place.die(1)
    await place.turn("sinks: {out: {type: stdout, prefix: 'alert '}}\nalerts: {to: [{sink: out}]}\n")
    (line,) = [each for each in capfd.readouterr().out.splitlines() if each.startswith("alert ")]
    assert json.loads(line.removeprefix("alert "))["count"] == 1


async def test_a_book_that_nobody_can_read_is_begun_anew(place: Place) -> None:
    await place.die(1)
    await cast("Awaitable[int]", place.books.redis.hset("rr:alerts", "out|dead_letter", "{"))
    await place.turn()
    assert [one["count"] for one in place.told()] == [1]


async def test_many_things_are_counted_and_the_first_named(place: Place) -> None:
    for number in range(12):
        await place.books.ledger.pause(f"target:all/t{number}")
    await place.turn()
    (alert,) = place.told()
    assert (alert["count"], len(alert["about"])) == (12, 10)
    assert "- and 2 more like these\n" in alert["text"]


async def test_the_run_of_what_died_need_not_have_been_met(place: Place) -> None:
    lease = await place.books.taken_event()
    await place.books.ledger.finish(lease, EventState.DEAD, reason="run_foreign")
    await asyncio.sleep(0.002)
    await place.turn()
    assert place.told()[0]["about"][0]["subject"] == "1 × run_foreign of apify"
