"""Runs of Actors that charge for events."""

from pathlib import Path
from typing import Any

import pytest
from apify_client.errors import ApifyApiError

from tests.emulator.clients import KINDS, client_of
from tests.emulator.conftest import Emulator, StartEmulator
from tests.emulator.scripted import write_script

PRICES = {"chargedEvents": {"page": 0.01, "report": 0.5, "apify-default-dataset-item": 0.001}}


@pytest.fixture
async def platform(start_emulator: StartEmulator, actors: Path) -> Emulator:
    write_script(actors, "paid", {**PRICES, "datasets": {"default": {}, "extra": {}}}, duration="1h")
    write_script(actors, "free", duration="1h")
    return await start_emulator()


@pytest.mark.parametrize("kind", KINDS)
async def test_the_clients_charge_and_see_what_was_charged(platform: Emulator, kind: str) -> None:
    client: Any = client_of(kind, platform.url)
    started = await client.actor("local/paid").start(max_total_charge_usd="5")
    run = client.run(started.id)

    await run.charge("page", count=3, idempotency_key="a")
    await run.charge("page", count=3, idempotency_key="a")
    await run.charge("report")
    charged = await run.get()

    assert charged.charged_event_counts == {"page": 3, "report": 1, "apify-default-dataset-item": 0}
    assert charged.usage_total_usd == 0.53
    assert charged.usage_usd is None
    assert charged.pricing_info.pricing_per_event.actor_charge_events["page"].event_price_usd == 0.01
    with pytest.raises(ApifyApiError) as refused:
        await run.charge("nothing")
    assert (refused.value.status_code, refused.value.type) == (400, "invalid-input")


async def test_the_whole_price_list_is_on_the_run_and_on_the_actor(platform: Emulator) -> None:
    run = await platform.start("paid")
    actor = (await platform.get("/v2/actors/local~paid")).data

    assert run["pricingInfo"] == {
        "pricingModel": "PAY_PER_EVENT",
        "apifyMarginPercentage": 0.2,
        "createdAt": actor["createdAt"],
        "startedAt": actor["createdAt"],
        "notifiedAboutFutureChangeAt": None,
        "notifiedAboutChangeAt": None,
        "reasonForChange": None,
        "minimalMaxTotalChargeUsd": None,
        "pricingPerEvent": {
            "actorChargeEvents": {
                name: {"eventTitle": name, "eventDescription": f"Charged for each {name}.", "eventPriceUsd": price}
                for name, price in PRICES["chargedEvents"].items()
            }
        },
    }
    assert actor["pricingInfos"] == [run["pricingInfo"]]
    assert "pricingInfo" not in await platform.start("free")


async def test_more_than_the_limit_is_counted_and_not_paid(platform: Emulator) -> None:
    run = await platform.start("paid", "maxTotalChargeUsd=0.75")
    path = f"/v2/actor-runs/{run['id']}"

    answer = await platform.post(f"{path}/charge", {"eventName": "report", "count": 2})

    assert (answer.status, answer.json) == (201, {})
    now = (await platform.get(path)).data
    assert (now["chargedEventCounts"]["report"], now["usageTotalUsd"]) == (2, 0.75)
    [listed] = (await platform.get("/v2/actor-runs")).data["items"]
    assert listed["usageTotalUsd"] == 0.75
    assert "usageTotalUsd" not in (await platform.get(path, token=None)).data


async def test_items_pushed_to_the_default_dataset_are_charged_by_the_platform(platform: Emulator) -> None:
    run = await platform.start("paid")
    other = run["storageIds"]["datasets"]["extra"]

    await platform.post(f"/v2/datasets/{run['defaultDatasetId']}/items", [{"n": 1}, {"n": 2}])
    await platform.post(f"/v2/actor-runs/{run['id']}/dataset/items", {"n": 3})
    await platform.post(f"/v2/datasets/{other}/items", {"n": 4})

    now = (await platform.get(f"/v2/actor-runs/{run['id']}")).data
    assert (now["chargedEventCounts"]["apify-default-dataset-item"], now["usageTotalUsd"]) == (3, 0.003)


@pytest.mark.parametrize(
    ("actor", "body", "error"),
    [
        ("free", {"eventName": "page", "count": 1}, "cannot-charge-non-pay-per-event-actor"),
        ("paid", {"eventName": "apify-default-dataset-item", "count": 1}, "cannot-charge-apify-event"),
        ("paid", {"eventName": "page", "count": -1}, "invalid-input"),
        ("paid", {"eventName": "page"}, "invalid-input"),
        ("paid", {"count": 1}, "invalid-input"),
    ],
)
async def test_a_charge_that_cannot_be_meant_is_refused(platform: Emulator, actor: str, body: Any, error: str) -> None:
    run = await platform.start(actor)

    assert (await platform.post(f"/v2/actor-runs/{run['id']}/charge", body)).error == (400, error)
    assert (await platform.post("/v2/actor-runs/nobody/charge", body)).status in {400, 404}


async def test_an_idempotency_key_counts_within_its_run_and_outlives_the_emulator(
    platform: Emulator, start_emulator: StartEmulator
) -> None:
    first, second = await platform.start("paid"), await platform.start("paid")
    body = {"eventName": "page", "count": 1}
    for run in (first, second, first):
        await platform.post(f"/v2/actor-runs/{run['id']}/charge", body, Idempotency_Key="same")
    await platform.stop()
    again = await start_emulator()

    await again.post(f"/v2/actor-runs/{first['id']}/charge", body, Idempotency_Key="same")

    counts = [(await again.get(f"/v2/actor-runs/{run['id']}")).data["chargedEventCounts"] for run in (first, second)]
    assert [count["page"] for count in counts] == [1, 1]
