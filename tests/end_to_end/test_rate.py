"""A sink with a `rate`: two deliveries at the same time share it, and both end."""

from pathlib import Path

from config.contracts.delivery import DeliveryState
from config.settings import Settings
from tests.end_to_end.installation import installation
from tests.workers.sinks.far_server import far_server

ROUTES = """\
sinks:
  crm: {type: http, url: "%s", rate: 40/s}
routes:
  - name: all
    to: [{sink: crm, name: items, per: item}, {sink: crm, name: end, per: run, body: "{{ run.id }} has ended"}]
"""


async def test_what_has_a_rate_arrives_whole(settings: Settings, tmp_path: Path, actors: Path) -> None:
    async with far_server() as side, installation(settings, tmp_path, ROUTES % side.url, actors) as place:
        run = (await place.start("local~pusher", {"items": 30}))["id"]
        _, deliveries = await place.finished(run)

    assert {one.delivery.target: (one.state, one.attempt) for one in deliveries} == {
        "items": (DeliveryState.DELIVERED, 0),
        "end": (DeliveryState.DELIVERED, 0),
    }
    assert len(side.received) == len(side.tried) == 31
    assert [one.body for one in side.received if "x-runrelay-row" not in one.headers] == [f"{run} has ended".encode()]
