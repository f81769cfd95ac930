"""What a gate counts, and what it leads to."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from config.contracts.delivery import Checkpoint, Delivery, DeliveryState
from config.contracts.document import Document
from config.contracts.event import EventState
from config.contracts.old_runs import BACKFILL, via
from config.contracts.run import Run
from config.contracts.sink import Batch, Shipment, Taken
from config.language.expression import Expression
from config.language.schema import JsonSchema
from config.route import Expect, Read, Retry, Route, Target, Transform, When
from config.routes import load
from workers.gating import Counting, counts_only, judged, target_of
from workers.ledger.records import Born, EventRecord, LeadsTo
from workers.planner import Plan, plan_of

RUN = Run(id="r", source="apify", status="SUCCEEDED", terminal=True, life="l", finished=1.0, account="u", actor_id="A")
ROUTE = Route("all", When(), False, Read(), (), expect=Expect(min_items=10))


def delivery(target: str) -> Delivery:
    return Delivery(
        id=target, event_id="e", source="apify", run_id="r", life="l", route="all", target=target, sink="s", cfg="c",
        streams=("items:default",),
    )  # fmt: skip


LEADS_TO = LeadsTo((delivery("rows"), delivery("lake")), (delivery("call"),))


def test_datasets_count_together_and_what_is_as_expected_goes_on() -> None:
    at = Checkpoint(tally={"items:default|items": 4, "items:reviews|items": 6, "items:reviews|filled:a|b": 1})
    verdict = judged(ROUTE, RUN, at, LEADS_TO, ())
    facts = {"items_read": 10, "held": None}
    assert verdict.born == [Born(one, DeliveryState.WAITING, facts=facts) for one in LEADS_TO.wanted]
    assert (verdict.items, verdict.held, verdict.facts) == (10, "", facts)


def test_a_field_whose_name_has_a_bar_is_counted_like_others() -> None:
    route = replace(ROUTE, expect=Expect(filled={"a|b": 1.0}))
    at = Checkpoint(tally={"items:default|items": 2, "items:default|filled:a|b": 2})
    assert judged(route, RUN, at, LEADS_TO, ()).held == ""


def test_what_is_not_is_held_and_others_are_told() -> None:
    verdict = judged(ROUTE, RUN, Checkpoint(tally={"items:default|items": 3}), LEADS_TO, ())
    why = "3 items, at least 10 were expected"
    facts = {"items_read": 3, "held": why}
    assert verdict.born == [
        Born(delivery("rows"), DeliveryState.QUARANTINED, "not_as_expected", why, facts),
        Born(delivery("lake"), DeliveryState.QUARANTINED, "not_as_expected", why, facts),
        Born(delivery("call"), DeliveryState.WAITING, facts=facts),
    ]


def test_all_that_is_not_as_expected_is_said_in_one_line_of_bounded_length() -> None:
    expect = Expect(min_items=5, filled={f"field{n}": 1.0 for n in range(100)}, max_usd=1.0)
    run = msgspec.structs.replace(RUN, cost=2.0)
    held = judged(replace(ROUTE, expect=expect), run, Checkpoint(tally={"x|items": 3}), LEADS_TO, ()).held
    assert held.startswith("3 items, at least 5 were expected; `field0` is filled in 0 of 3 items, in 100% of them")
    assert len(held) == 500


@pytest.mark.parametrize(
    ("read", "expect", "counts"),
    [
        (Read(), Expect(min_items=1, max_items=2, drop_from_usual=0.5, max_usd=1.0, max_usd_per_1000=1.0), True),
        (Read(transform=Transform(set={"a": Expression("1")}, omit=("b",))), Expect(min_items=1), True),
        (Read(), Expect(min_items=1, filled={"a": 1.0}), False),
        (Read(), Expect(schema=JsonSchema({})), False),
        (Read(clean=True), Expect(min_items=1), False),
        (Read(transform=Transform(where=Expression("item.a"))), Expect(min_items=1), False),
        (Read(transform=Transform(set={"a": Expression("1")}, strict=True)), Expect(min_items=1), False),
        (Read(), None, False),
    ],
)
def test_rows_are_read_only_if_somebody_must_look_at_them(read: Read, expect: Expect | None, counts: bool) -> None:
    assert counts_only(replace(ROUTE, read=read, expect=expect)) == counts


def test_a_gate_is_tried_for_as_long_as_the_first_target() -> None:
    patient = Retry(for_seconds=7.0)
    first: Any = msgspec.json.decode(b"{}")
    target = Target("rows", "s", None, "items", target_of(ROUTE).batch, patient, first)
    assert target_of(replace(ROUTE, to=(target,))).retry == patient
    assert target_of(ROUTE).retry == Retry()


async def test_its_sink_takes_everything_and_keeps_nothing() -> None:
    shipment: Any = Shipment(delivery("expect"), "items:default", RUN, {}, target_of(ROUTE).options)
    async with Counting().open(shipment, None) as writer:
        taken = await writer.items(Batch(0, 0, b"1\n2\n", 2))
        assert (taken, writer.position) == (Taken(rows=2, out=0, bytes=0, position={}), {})
        assert await writer.publish() == Taken(rows=0, out=0, bytes=0)
        with pytest.raises(NotImplementedError):
            await writer.document(Document("a", "text/plain", None, None))  # type: ignore[arg-type]  # never looked at


FILE = """\
version: 1
sources: {apify: {token: tok-0123456789, webhook: {secrets: [secret-0123456789]}}}
sinks: {disk: {type: file, base: results/}, oncall: {type: notify, url: "json://localhost/"}}
routes:
  - name: all
    when: {status: SUCCEEDED}
    read: {records: [OUTPUT], dataset: ["*"]}
    expect:
      items: {min: 1}
      else: [{sink: oncall, text: held}, {sink: oncall, name: never, when: {origin: API}, text: held}]
    to:
      - {sink: disk, name: rows, send: items, path: "{{ run.id }}/{{ dataset }}.jsonl"}
      - {sink: disk, name: shots, send: records, path: "{{ run.id }}/{{ record.key }}"}
"""


def planned(folder: Path, how: str = "webhook") -> Plan:
    (folder / "runrelay.yaml").write_text(FILE)
    event = EventRecord(id="e", state=EventState.PLANNING, source="apify", run_id="r", kind="", via=how, at=0)
    run = msgspec.structs.replace(RUN, datasets={"default": "d1", "details": "d2"})
    return plan_of(event, run, load(folder / "runrelay.yaml", {}), {})


def test_a_route_that_expects_something_begins_with_one_look_at_all_its_items(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    (gate,) = plan.deliveries
    assert (gate.target, gate.sink, gate.streams) == ("expect", "", ("items:default", "items:details"))
    leads_to = plan.gated[gate.id]
    assert [one.target for one in leads_to.wanted] == ["rows", "shots"]
    assert [one.target for one in leads_to.told] == ["oncall"]
    assert plan.to_targets == leads_to.wanted


def test_nobody_is_told_of_an_old_run_unless_effects_are_meant(tmp_path: Path) -> None:
    (told,) = [plan.told for plan in planned(tmp_path, via(BACKFILL, effects=False)).gated.values()]
    (effects,) = [plan.told for plan in planned(tmp_path, via(BACKFILL, effects=True)).gated.values()]
    assert (told, [one.target for one in effects]) == ((), ["oncall"])
