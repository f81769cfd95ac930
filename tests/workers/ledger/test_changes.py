"""What a target is told that is told of changes only: turns of deliveries on a real Redis."""

import asyncio
import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, cast
from unittest.mock import AsyncMock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from config.contracts.delivery import Checkpoint, Delivery, DeliveryState
from config.contracts.errors import Permanent
from config.contracts.reasons import Reason
from config.contracts.sink import Batch
from config.settings import Settings, load_settings
from tests.workers.feeding import DEAD, DELIVERED, FINISHED, PARTIAL, Feed, Platform, items
from workers.ledger.changes import Changes
from workers.ledger.ledger import LeaseLost
from workers.ledger.letters import drop
from workers.ledger.records import Lease

ALL = "change: [new, changed, removed], key: [id]"
Made = Callable[..., Feed]


@pytest.fixture
def feed(redis: Redis, settings: Settings, tmp_path: Path) -> Made:
    def make(only: str = ALL, more: str = "", read: str = "", sink: str = "crm") -> Feed:
        return Feed(redis, settings, tmp_path, only, more, read, sink)

    return make


async def test_each_run_tells_what_differs_from_the_one_before(feed: Made) -> None:
    shop = feed()
    assert (await shop.run(items(a=1, b=1, c=1))).state is DELIVERED
    assert shop.heard() == [("new", "a"), ("new", "b"), ("new", "c")]
    one = await shop.plan([*items(a=1, b=2, d=1), {"price": 1, "id": "a"}])
    assert (await shop.through(one)).state is DELIVERED
    assert shop.heard() == [("changed", "b"), ("new", "d"), ("removed", "c")]
    assert await shop.count(one) == {"read": 4, "filtered": 2, "added": 1, "delivered": 3}
    assert shop.consumer.rows[-3:] == [1, 2, 4], "rows keep their numbers; those of keys that are gone follow"
    await shop.run(items(d=1, b=2, a=1))
    assert shop.heard() == []


async def test_an_item_stays_as_it_was_written_but_for_its_last_field(feed: Made) -> None:
    shop = feed()
    rows = [b'{"id": "a", "n": 12345678901234567890123 }\n', b'{"_change": "old", "id": "b"}\n']
    rows += [b'{"id":"\\ud800","half":1}\n', b'{"id":7.5,"b":{"d":1,"c":2}}\n']
    batches = list[bytes]()
    shop.consumer.take = lambda item: batches.append(json.dumps(item).encode())  # type: ignore[method-assign]
    await shop.run(rows)
    assert batches == [
        b'{"id": "a", "n": 12345678901234567890123, "_change": "new"}',
        b'{"id": "b", "_change": "new"}',
        b'{"id": "\\ud800", "half": 1, "_change": "new"}',
        b'{"id": 7.5, "b": {"d": 1, "c": 2}, "_change": "new"}',
    ]
    batches.clear()
    await shop.run([*rows[:3], b'{"b":{"c":2,"d":1},"id":7.5}\n'])
    assert batches == []
    await shop.run([])
    assert sorted(batches) == sorted(
        [
            b'{"id": "a", "_change": "removed"}',
            b'{"id": "b", "_change": "removed"}',
            b'{"id": "\\ud800", "_change": "removed"}',
            b'{"id": 7.5, "_change": "removed"}',
        ]
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("new", [("new", "a"), ("new", "b"), ("new", "c"), ("new", "b")]),
        ("changed", [("changed", "a"), ("changed", "a")]),
        ("removed", [("removed", "b"), ("removed", "c")]),
    ],
)
async def test_only_what_is_wanted_is_told_of_and_all_is_known(feed: Made, change: str, said: Any) -> None:
    shop = feed(f"change: {change}, key: [id]")
    for rows in (items(a=1, b=1), items(a=2, c=1), items(a=3, b=1)):
        await shop.run(rows)
    heard = shop.heard()
    if change == "new":
        assert heard == said[:3], "a key that comes back is no news unless it was told that it went"
    else:
        assert heard == said


async def test_of_several_items_with_one_key_the_first_counts(feed: Made) -> None:
    shop = feed()
    one = await shop.plan([*items(a=1), *items(a=2), *items(b=1, c=1, d=1), *items(a=3)])
    await shop.through(one)
    assert shop.heard() == [("new", "a"), ("new", "b"), ("new", "c"), ("new", "d")]
    assert shop.consumer.has["a"] == {"id": "a", "price": 1}
    assert await shop.count(one) == {"read": 6, "filtered": 2, "delivered": 4}


async def test_what_is_gone_is_told_once_also_in_many_slices(feed: Made) -> None:
    shop = feed()
    ids = {f"k{number}": 1 for number in range(10)}
    await shop.run(items(**ids))
    shop.heard()
    shop.settings = shop.settings.model_copy(update={"slice_seconds": 0.0})
    shop.consumer.refused = {"k3", "k4"}
    one = await shop.plan(items(k0=1))
    assert (await shop.through(one)).state is PARTIAL
    assert sorted(shop.heard()) == [("removed", id) for id in sorted(ids) if id not in {"k0", "k3", "k4"}]
    assert await shop.count(one) == {"read": 1, "filtered": 1, "added": 9, "rejected": 2, "delivered": 7}
    assert [len(each) for each in shop.consumer.batches[-3:]] == [3, 3, 3]
    shop.consumer.refused = set()
    await shop.run(items(k0=1))
    assert sorted(shop.heard()) == [("removed", "k3"), ("removed", "k4")]


async def test_requests_are_compared_as_items_are(feed: Made) -> None:
    shop = feed(read="requests: true", more=", send: requests")
    shop.settings = shop.settings.model_copy(update={"slice_seconds": 0.0})
    assert (await shop.run(items(a=1, b=1, c=1, d=1, e=1))).state is DELIVERED
    assert (await shop.run(items(e=1, x=1, a=2))).state is DELIVERED
    told = shop.heard()
    assert told[:7] == [*(("new", id) for id in "abcde"), ("new", "x"), ("changed", "a")]
    assert sorted(told[7:]) == [("removed", "b"), ("removed", "c"), ("removed", "d")]


async def test_an_item_without_its_key_is_rejected_and_then_nothing_counts_as_gone(feed: Made) -> None:
    shop = feed()
    await shop.run(items(a=1, b=1))
    one = await shop.plan([*items(a=1), {"price": 1}, {"id": None}, {"id": ""}, [1], "a"])
    record = await shop.through(one)
    assert record.state is PARTIAL
    kept = {name: json.loads(text)["why"] for name, text in (await shop.ledger.rejects(one.id)).items()}
    assert kept == {
        "items:default:1": "has no `id` to compare by",
        "items:default:2": "has no `id` to compare by",
        "items:default:3": "has no `id` to compare by",
        "items:default:4": "is no object, so it has nothing to compare by",
        "items:default:5": "is no object, so it has nothing to compare by",
    }
    assert record.checkpoint.receipts[0].warnings == (
        "5 items could not be compared: what the run lacks is not told as removed",
    )
    await shop.run(items(a=1))
    assert shop.heard()[2:] == [("removed", "b")]


async def test_a_run_that_did_not_come_to_its_own_end_has_no_word_on_what_is_gone(feed: Made) -> None:
    shop = feed()
    await shop.run(items(a=1, b=1))
    record = await shop.run(items(a=2), status="TIMED-OUT")
    assert shop.heard()[2:] == [("changed", "a")]
    assert record.checkpoint.receipts[0].warnings == (
        "the run ended TIMED-OUT: what it lacks may be there, and is not told as removed",
    )
    await shop.run([])
    assert sorted(shop.heard()) == [("removed", "a"), ("removed", "b")]


async def test_what_the_target_refused_is_told_again(feed: Made) -> None:
    shop = feed()
    await shop.run(items(a=1, b=1, c=1))
    shop.heard()
    shop.consumer.refused = {"a", "c", "d"}
    record = await shop.run(items(a=2, b=2, d=1))
    assert (record.state, shop.heard()) == (PARTIAL, [("changed", "b")])
    shop.consumer.refused = set()
    await shop.run(items(a=2, b=2, d=1))
    assert shop.heard() == [("changed", "a"), ("new", "d"), ("removed", "c")]


async def test_what_the_target_refused_when_all_was_published_is_told_again(feed: Made) -> None:
    shop = feed(more=", staged: true")
    await shop.run(items(a=1, b=1, c=1))
    shop.heard()
    shop.consumer.refused = {"a", "c", "d"}
    record = await shop.run(items(a=2, b=1, d=1))
    assert (record.state, shop.heard()) == (PARTIAL, [])
    shop.consumer.refused = set()
    await shop.run(items(a=2, b=1, d=1))
    assert shop.heard() == [("changed", "a"), ("new", "d"), ("removed", "c")]
    assert {key: item["price"] for key, item in shop.consumer.has.items()} == {"a": 2, "b": 1, "d": 1}


async def test_a_sink_that_lost_what_it_had_is_told_all_of_it_once_more(feed: Made) -> None:
    shop = feed(more=", staged: true")
    shop.settings = shop.settings.model_copy(update={"slice_seconds": 0.0})
    one = await shop.plan(items(a=1, b=1, c=1, d=1))
    await shop.turn(one)
    await shop.turn(one)
    shop.consumer.lose = True
    assert (await shop.through(one)).state is DELIVERED
    assert shop.consumer.has == {key: {"id": key, "price": 1} for key in "abcd"}
    await shop.run(items(a=1, b=1, c=1, d=1))
    assert shop.consumer.batches[-2:] == [["a", "b", "c"], ["d"]]


async def test_after_a_dead_letter_the_next_run_mends_what_it_left_behind(feed: Made) -> None:
    """It was half told of: what it said may stand, and what it was about to say may stand."""
    shop = feed()
    await shop.run(items(a=1, b=1, c=1, e=1, f=1))
    shop.heard()
    shop.consumer.deadly = {"g"}
    dead = await shop.plan([*items(a=2, b=2, n=1, c=2, g=1)])
    assert (await shop.through(dead)).state is DEAD
    assert shop.heard() == [("changed", "a"), ("changed", "b"), ("new", "n"), ("changed", "c")]
    shop.consumer.deadly = set()
    await shop.run(items(a=1, b=1, c=1, e=1, f=1))
    assert sorted(shop.heard()) == [
        ("changed", "a"),
        ("changed", "b"),
        ("changed", "c"),
        ("removed", "g"),
        ("removed", "n"),
    ]
    assert shop.consumer.has == {key: {"id": key, "price": 1} for key in "abcef"}
    assert (await shop.retried(dead)).state is DeliveryState.SUPERSEDED
    assert shop.heard() == []


async def test_a_dead_letter_that_is_still_the_newest_goes_on_where_it_stopped(feed: Made) -> None:
    shop = feed()
    shop.consumer.deadly = {"d"}
    dead = await shop.plan(items(a=1, b=1, c=1, d=1))
    assert (await shop.through(dead)).state is DEAD
    shop.consumer.deadly = set()
    assert (await shop.retried(dead)).state is DELIVERED
    assert shop.heard() == [("new", key) for key in "abcd"]
    await shop.run(items(a=1, b=1, c=1, d=1))
    assert shop.heard() == []


async def test_a_dead_letter_that_is_given_up_leaves_nothing_behind_but_what_is_in_doubt(feed: Made) -> None:
    shop = feed()
    shop.consumer.deadly = {"d"}
    dead = await shop.plan(items(a=1, b=1, c=1, d=1))
    await shop.through(dead)
    assert await shop.redis.exists(shop.ledger.keys.next(dead.id))
    await drop(shop.ledger, await shop.record(dead))
    assert not await shop.redis.exists(shop.ledger.keys.next(dead.id))


@pytest.mark.parametrize("another", ["an older run", "a replay", "one that dies as well", "to be forgotten"])
async def test_a_dead_letter_does_not_go_on_once_the_target_was_sent_something_else(feed: Made, another: str) -> None:
    """What it had told may have been undone since."""
    shop = feed()
    first = await shop.plan(items(a=0, b=0, c=0, d=0, e=0))
    await shop.through(first)
    shop.consumer.deadly = {"e"}
    dead = await shop.plan(items(a=2, b=2, c=2, d=2, e=2), finished=FINISHED + 3)
    assert (await shop.through(dead)).state is DEAD
    shop.consumer.deadly = {"b"} if another == "one that dies as well" else set()
    if another == "a replay":
        await shop.replayed(first)
    elif another == "to be forgotten":
        assert await shop.ledger.run("unlearn", "shop/crm") == b"done"
    else:
        await shop.run(items(a=1, b=1, c=1, d=1, e=1), finished=FINISHED + 2)
    shop.consumer.deadly = set()
    assert not await shop.redis.exists(shop.ledger.keys.next(dead.id)), "nobody needs what it had noted"
    again = await shop.retried(dead)
    assert (again.state, again.reason) == (DEAD, "overtaken")
    assert again.detail.endswith("so it cannot go on where it stopped: runrelay replay run2")
    assert (await shop.replayed(dead)).state is DELIVERED
    assert {item["price"] for item in shop.consumer.has.values()} == {2}
    shop.heard()
    await shop.run(items(a=2, b=2, c=2, d=2, e=2))
    assert shop.heard() == []


@pytest.mark.parametrize("change", ["[new, removed]", "[new, changed]", "[changed, removed]"])
async def test_what_is_in_doubt_is_told_by_whatever_word_is_wanted(feed: Made, change: str) -> None:
    def die() -> None:
        raise Permanent(Reason.TARGET_REFUSED, "no more of that")

    shop = feed(f"change: {change}, key: [id]")
    await shop.run(items(a=1, b=1, c=1))
    shop.heard()
    shop.consumer.after = die
    assert (await shop.run(items(c=2))).state is DEAD
    undone, word = {item[1] for item in shop.heard()}, "changed" if "changed" in change else "new"
    shop.consumer.after = lambda: None
    await shop.run(items(a=1, b=1, c=1))
    assert sorted(shop.heard()) == [(word, id) for id in sorted(undone)]
    assert undone
    await shop.run(items(a=1, b=1, c=1))
    assert shop.heard() == []


async def test_a_delivery_of_everything_ends_what_was_known_of_the_target(feed: Made) -> None:
    shop = feed()
    await shop.run(items(a=1))
    assert (await shop.run_whole(items(a=2, b=2))).state is DELIVERED
    assert not await shop.redis.keys("rr:last:*")
    shop.consumer.told.clear()
    await shop.run(items(a=1))
    assert shop.heard() == [("new", "a")]


async def test_what_comes_between_slices_ends_what_is_known_and_not_the_delivery(feed: Made) -> None:
    shop = feed()
    shop.settings = shop.settings.model_copy(update={"slice_seconds": 0.0})
    one = await shop.plan(items(a=1, b=1, c=1, d=1))
    await shop.turn(one)
    await shop.turn(one)
    assert (await shop.run_whole(items(a=2))).state is DELIVERED
    assert (await shop.through(one)).state is DELIVERED
    shop.consumer.told.clear()
    await shop.run(items(a=1))
    assert shop.heard() == [("new", "a")]
    assert not await shop.redis.exists(shop.ledger.keys.next(one.id))


async def test_another_sink_has_nothing_of_what_the_one_before_had(feed: Made) -> None:
    shop = feed()
    await shop.run(items(a=1, b=1))
    other = feed(more=", name: crm", sink="shelf")
    other.started = 1
    await other.run(items(a=1))
    assert other.heard() == [("new", "a")]


async def test_an_item_that_nobody_could_judge_is_not_taken_for_gone(feed: Made) -> None:
    shop = feed(read="where: item.price > 0")
    await shop.run(items(a=1, b=2))
    shop.heard()
    record = await shop.run(items(a="N/A", b=2))
    assert (record.state, shop.heard()) == (DELIVERED, [])
    assert record.checkpoint.receipts[0].warnings[-1] == (
        "1 items could not be compared: what the run lacks is not told as removed"
    )
    await shop.run(items(a=0, b=2))
    assert shop.heard() == [("removed", "a")]


async def test_a_table_has_what_the_last_run_had_whatever_came_between(
    feed: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = feed()
    sink = re.sub("type: tests.*}}", f"type: sqlite, path: {tmp_path}/shop.db}}}}", shop.path.read_text())
    shop.load(sink.replace("batch:", "table: items, mode: upsert, key: [id], batch:"))
    shop.settings = shop.settings.model_copy(update={"slice_seconds": 0.0})

    def has() -> list[tuple[str, int]]:
        with closing(sqlite3.connect(tmp_path / "shop.db")) as table:
            return table.execute("SELECT id, price FROM items WHERE _change != 'removed' ORDER BY id").fetchall()

    await shop.run(items(a=0, b=0, c=0, d=0))
    newer = await shop.plan(items(a=2, b=2, d=2, e=2), finished=FINISHED + 3)
    await shop.turn(newer)
    assert has() == [("a", 2), ("b", 2), ("c", 0), ("d", 2)]
    with monkeypatch.context() as gone:
        gone.setattr(Platform, "page", AsyncMock(side_effect=Permanent(Reason.DATA_EXPIRED, "it is gone")))
        assert (await shop.through(newer)).state is DEAD
    assert (await shop.run(items(a=1, b=1, c=1, d=1), finished=FINISHED + 2)).state is DELIVERED
    assert (await shop.retried(newer)).reason == "overtaken"
    assert (await shop.replayed(newer)).state is DELIVERED
    assert has() == [("a", 2), ("b", 2), ("d", 2), ("e", 2)]


async def test_a_replay_into_a_log_of_changes_takes_nothing_away_that_it_does_not_bring(
    feed: Made, tmp_path: Path
) -> None:
    shop = feed()
    sink = re.sub("type: tests.*}}", f"type: sqlite, path: {tmp_path}/shop.db}}}}", shop.path.read_text())
    shop.load(sink.replace("batch:", "table: items, mode: append, batch:"))
    only = await shop.plan(items(a=1, b=1))
    await shop.through(only)
    assert (await shop.replayed(only)).state is DELIVERED
    with closing(sqlite3.connect(tmp_path / "shop.db")) as table:
        assert table.execute("SELECT id, price FROM items ORDER BY id").fetchall() == [("a", 1), ("b", 1)]


# turns


async def test_waiting_for_others_kills_nobody(feed: Made) -> None:
    shop = feed()
    early, late = [await shop.plan(items(a=price)) for price in (1, 2)]
    await cast(Any, shop.redis.hset(shop.ledger.keys.record("dl", late.id), mapping={"trouble": 1000, "attempt": 1}))
    record = await shop.turn(late)
    assert (record.state, record.reason, record.trouble) == (DeliveryState.WAITING, "in_turn", 0)
    assert (await shop.through(early)).state is DELIVERED
    assert (await shop.through(late)).state is DELIVERED


async def test_runs_go_one_by_one_in_the_order_in_which_they_finished(feed: Made) -> None:
    shop = feed()
    late = await shop.plan(items(a=2), finished=FINISHED + 2)
    early = await shop.plan(items(a=1), finished=FINISHED + 1)
    waiting = await shop.turn(late)
    assert (waiting.state, waiting.reason) == (DeliveryState.WAITING, "in_turn")
    assert (await shop.through(early)).state is DELIVERED
    assert await shop.redis.zscore("rr:queue", f"{late.id}:{await _seq(shop, late.id)}"), "it was called"
    assert (await shop.through(late)).state is DELIVERED
    assert shop.heard() == [("new", "a"), ("changed", "a")]


async def test_a_turn_that_comes_while_a_delivery_looks_is_not_missed(feed: Made) -> None:
    shop = feed()
    early, late = [await shop.plan(items(a=price)) for price in (1, 2)]
    taken = await shop.ledger.take_delivery(late.id, 1)
    assert taken
    assert (await shop.through(early)).state is DELIVERED
    await shop.ledger.hand_back(taken[0], "waiting", 60.0, reason="in_turn")
    assert await shop.redis.zscore("rr:queue", f"{late.id}:{await _seq(shop, late.id)}")


async def test_runs_that_finished_at_once_are_both_delivered(feed: Made) -> None:
    shop = feed()
    ones = [await shop.plan(items(a=price), finished=FINISHED) for price in (1, 2)]
    for one in sorted(ones, key=lambda one: one.id):
        assert (await shop.through(one)).state is DELIVERED
    assert shop.heard() == [("new", "a"), ("changed", "a")]


async def test_an_older_run_that_comes_late_is_superseded(feed: Made) -> None:
    shop = feed()
    await shop.run(items(a=2), finished=FINISHED + 2)
    old = await shop.run(items(a=1), finished=FINISHED + 1)
    assert (old.state, old.reason) == (DeliveryState.SUPERSEDED, "superseded")
    assert shop.heard() == [("new", "a")]
    assert shop.consumer.has["a"]["price"] == 2


async def test_an_older_run_does_not_come_between_the_slices_of_a_newer_one(feed: Made) -> None:
    shop = feed()
    shop.settings = shop.settings.model_copy(update={"slice_seconds": 0.0})
    newer = await shop.plan(items(a=2, b=2, c=2, d=2), finished=FINISHED + 2)
    await shop.turn(newer)
    older = await shop.plan(items(a=1, b=1, c=1, d=1), finished=FINISHED + 1)
    assert (await shop.turn(older)).reason == "in_turn"
    assert (await shop.through(newer)).state is DELIVERED
    assert (await shop.through(older)).state is DeliveryState.SUPERSEDED
    assert {item["price"] for item in shop.consumer.has.values()} == {2}


async def test_a_replay_sends_all_that_the_run_has_and_still_tells_what_is_gone(feed: Made) -> None:
    shop = feed()
    await shop.run(items(a=1, gone=1))
    shop.consumer.refused = {"b"}
    one = await shop.plan(items(a=1, b=1), finished=FINISHED + 1)
    await shop.through(one)
    shop.consumer.refused = set()
    del shop.consumer.told[:]
    assert (await shop.replayed(one)).state is DELIVERED
    assert shop.heard() == [("changed", "a"), ("new", "b")]


async def test_a_second_finish_of_a_run_tells_what_was_added(feed: Made) -> None:
    shop = feed()
    await shop.run(items(a=1), id="same")
    await shop.run(items(a=1, b=1), id="same2")
    assert shop.heard() == [("new", "a"), ("new", "b")]


async def _seq(shop: Feed, id: str) -> str:
    return str((await cast(Any, shop.redis.hget(shop.ledger.keys.record("dl", id), "seq"))).decode())


# limits


@pytest.mark.parametrize("change", ["[new, changed]", "[new, changed, removed]"])
async def test_more_keys_than_may_be_remembered_end_the_delivery(feed: Made, change: str) -> None:
    shop = feed(f"change: {change}, key: [id], max_keys: 4")
    await shop.run(items(a=1, b=1, c=1, d=1))
    record = await shop.run(items(a=2, b=1, c=1, d=1, e=1))
    assert (record.state, record.reason) == (DEAD, "too_many_keys")
    assert record.detail.startswith("more than 4 different keys: raise `max_keys` of `only`")
    assert len(record.detail) < 300
    assert [heard for heard in shop.heard() if heard[1] == "e"] == []


async def test_keys_that_are_told_as_removed_are_forgotten_and_others_are_not(feed: Made) -> None:
    shop = feed("change: [new, removed], key: [id], max_keys: 2")
    for rows in (items(a=1, b=1), items(c=1, d=1), items(a=1)):
        assert (await shop.run(rows)).state is DELIVERED
    other = feed("change: new, key: [id], max_keys: 2")
    other.started = 10
    assert (await other.run(items(a=1, b=1))).state is DELIVERED
    assert (await other.run(items(c=1))).reason == "too_many_keys"


async def test_another_key_begins_anew_and_takes_nothing_for_gone(feed: Made) -> None:
    shop = feed()
    await shop.run(items(a=1, b=1))
    other = feed(ALL.replace("[id]", "[id, price]"))
    other.started = 1
    await other.run(items(a=1))
    assert other.heard() == [("new", "a")]


async def test_no_more_is_held_than_a_batch_touches(feed: Made) -> None:
    shop = feed()
    one = await shop.plan([])
    only, taken = shop.route.to[0].only, await shop.ledger.take_delivery(one.id, 1)
    assert only
    assert taken
    changes = Changes(shop.ledger, taken[0], one, only)
    await changes.begin()
    for index in range(8):
        lines = b"".join(b'{"id":%d}\n' % number for number in range(index * 100, index * 100 + 100))
        sifted = await changes.sift(Batch(index, index * 100, lines, 100))
        parts = await changes.parts(sifted.notes.values())
        await shop.ledger.checkpoint(taken[0], Checkpoint(), None, parts)
        assert len(parts) <= 101
        assert len(changes._last.buckets) == len(changes._next.buckets) <= 100
    assert sum([gone.batch.count async for gone in changes.gone(800, 0, 50)]) == 0


async def test_a_worker_that_was_fenced_off_leaves_no_trace(feed: Made) -> None:
    shop = feed()
    one = await shop.plan(items(a=1))
    only = shop.route.to[0].only
    assert only
    with pytest.raises(LeaseLost):
        await Changes(shop.ledger, Lease("dl", one.id, 7), one, only).begin()
    taken = await shop.ledger.take_delivery(one.id, 1)
    assert taken
    changes = Changes(shop.ledger, taken[0], one, only)
    await changes.begin()
    await shop.redis.set(shop.ledger.keys.lease(one.id), "8")
    with pytest.raises(LeaseLost):
        await changes.sift(Batch(0, 0, b'{"id":"a"}\n', 1))
    assert set(await cast(Any, shop.redis.hkeys(shop.ledger.keys.last("shop", "crm")))) == {b"meta", b"by"}


# any lives

KEYS = "abcdefgh"
RUNS = st.dictionaries(st.sampled_from(KEYS), st.integers(1, 3), max_size=8)
CHANGES = ("new", "changed", "removed")


@st.composite
def lives(draw: st.DrawFn) -> list[dict[str, Any]]:
    runs = []
    for _ in range(draw(st.integers(2, 5))):
        rows = list(draw(RUNS).items())
        runs.append(
            {
                "rows": draw(st.permutations(rows)),
                "kills": draw(st.lists(st.integers(1, 20), max_size=3)),
                "refused": draw(st.sets(st.sampled_from(KEYS), max_size=2)) if draw(st.booleans()) else set(),
                "deadly": draw(st.sets(st.sampled_from(KEYS), max_size=1)) if draw(st.booleans()) else set(),
                "hasty": draw(st.booleans()),
                "between": draw(st.sampled_from(("nobody", "an older run", "a replay"))),
                "older": [{"id": key, "price": price} for key, price in draw(RUNS).items()],
            }
        )
    return runs


@given(wanted=st.sets(st.sampled_from(CHANGES), min_size=1), staged=st.booleans(), runs=lives())
@settings(max_examples=40)
def test_whatever_happens_the_target_has_what_the_last_run_had(
    valkey_server: str,
    tmp_path_factory: pytest.TempPathFactory,
    wanted: set[str],
    staged: bool,
    runs: list[dict[str, Any]],
) -> None:
    asyncio.run(_live(valkey_server, tmp_path_factory.getbasetemp(), wanted, staged, runs))


async def _live(url: str, folder: Path, wanted: set[str], staged: bool, runs: list[dict[str, Any]]) -> None:
    redis = Redis.from_url(url)
    await redis.flushall()
    only = f"change: [{', '.join(sorted(wanted))}], key: [id]"
    shop = Feed(redis, load_settings(redis_url=url, spool_dir=folder), folder, only, f", staged: {str(staged).lower()}")
    model: dict[str, int] | None = {}
    for each in runs:
        model = await _one(shop, wanted, model, each)
        await _check(shop, each, wanted)
    await redis.aclose()


async def _one(
    shop: Feed, wanted: set[str], model: dict[str, int] | None, each: dict[str, Any]
) -> dict[str, int] | None:
    """Deliver one run; in peace, it tells exactly what a dictionary would. None: nobody can say any more what is
    known."""
    rows = [{"id": key, "price": price} for key, price in each["rows"]]
    shop.consumer.refused, shop.consumer.deadly = each["refused"], each["deadly"]
    one = await shop.plan(rows)
    shop.heard()
    seconds = 0.0 if each["hasty"] else 100.0
    shop.settings = shop.settings.model_copy(update={"slice_seconds": seconds})
    for kill in each["kills"]:
        shop.moments.left = kill
        if (await shop.turn(one)).state.final:
            break
    shop.moments.left = 0
    record = await shop.through(one)
    if record.state is DEAD and each["between"] != "nobody":
        await _brought_back(shop, one, each)
        return None
    run = dict(each["rows"])
    if record.state is not DELIVERED or record.checkpoint.receipts[0].rejected:
        return None
    told = shop.heard()
    now = run if "removed" in wanted else {**(model or {}), **run}
    if model is not None and not each["kills"]:
        assert sorted(told) == sorted(
            [("new", key) for key in run if key not in model and "new" in wanted]
            + [("changed", key) for key in run if model.get(key, run[key]) != run[key] and "changed" in wanted]
            + [("removed", key) for key in model if key not in run and "removed" in wanted]
        )
    return now if model is not None else None


async def _brought_back(shop: Feed, dead: Delivery, each: dict[str, Any]) -> None:
    """A dead letter, after another delivery has been to its target."""
    shop.consumer.deadly = set()
    if each["between"] == "a replay":
        assert (await shop.replayed(dead)).state in {DELIVERED, PARTIAL}
    await shop.run(each["older"], finished=dead.turn - 0.5)
    if each["between"] == "a replay":
        return
    again = await shop.retried(dead)
    assert (again.state, again.reason) == (DEAD, "overtaken")
    await shop.replayed(dead)


async def _check(shop: Feed, each: dict[str, Any], wanted: set[str]) -> None:
    """Who wants to know all has all, but for what it refused itself, and for what ended the delivery."""
    newest = next(one for one in await shop.ledger.newest_deliveries(3) if one.state is not DeliveryState.SUPERSEDED)
    row = newest.checkpoint.receipts[0]
    assert newest.state in {DELIVERED, PARTIAL, DEAD}
    if newest.state is DEAD:
        return
    assert (row.status, row.read) == ("balanced", len(each["rows"]))
    has = {key: item["price"] for key, item in shop.consumer.has.items() if key not in each["refused"]}
    run = {key: price for key, price in each["rows"] if key not in each["refused"]}
    if wanted == set(CHANGES):
        assert has == run
    elif wanted == {"new", "removed"}:
        assert has.keys() == run.keys()
    elif wanted == {"new", "changed"}:
        assert run.items() <= has.items()
