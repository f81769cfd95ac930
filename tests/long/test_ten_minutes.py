"""Ten minutes of real work with a job time-out of twenty seconds. Not part of `make test`: `make test-long`."""

import json
from pathlib import Path

import pytest

from config.contracts.delivery import DeliveryState
from config.settings import load_settings
from tests.end_to_end.conftest import actors  # noqa: F401  # a fixture
from tests.end_to_end.far_side import far_side
from tests.end_to_end.installation import eventually, installation


@pytest.mark.timeout(900)
async def test_a_slow_target_is_served_in_slices(valkey_url: str, tmp_path: Path, actors: Path) -> None:  # noqa: F811
    settings = load_settings(
        redis_url=valkey_url, spool_dir=tmp_path / "spool", slice_seconds=10, job_timeout=20, max_jobs=2
    )
    async with far_side(pause=0.5) as side:
        routes = f"""\
sinks: {{slow: {{type: http, url: "{side.url}"}}}}
routes: [{{name: all, when: {{}}, to: [{{sink: slow, batch: {{items: 10}}}}]}}]
"""
        async with installation(settings, tmp_path, routes, actors) as place:
            run = await place.start("local~pusher", {"items": 12_000})

            async def over() -> DeliveryState | None:
                _, deliveries = await place.ledger.of_run("apify", run["id"])
                return next((one.state for one in deliveries if one.state.final), None)

            state = await eventually(over, seconds=880)
            _, (delivery,) = await place.ledger.of_run("apify", run["id"])
    assert state is DeliveryState.DELIVERED
    assert [item["n"] for item in side.items] == list(range(12_000))
    assert delivery.attempt == 0
    print(json.dumps({"seconds": (delivery.ended - delivery.at) / 1000, "requests": len(side.requests)}))
