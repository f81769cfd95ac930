"""What a crawler left in its request queue goes where the route says."""

import json
from pathlib import Path

from config.contracts.delivery import DeliveryState
from config.settings import Settings
from tests.end_to_end.far_side import far_side
from tests.end_to_end.installation import installation

ROUTES = """\
sinks:
  disk: {type: file, base: "{folder}/results"}
  crm: {type: http, url: "URL"}
  slow: {type: tests.end_to_end.picky_file, base: "{folder}/in-parts"}
routes:
  - name: queue
    when: {}
    read: {requests: true}
    to:
      - {sink: disk}
      - {sink: crm, batch: {items: 10}}
      - {sink: slow}
"""


async def test_the_requests_of_a_run_arrive_with_a_balanced_receipt(
    settings: Settings, tmp_path: Path, actors: Path
) -> None:
    async with far_side() as side, installation(settings, tmp_path, ROUTES.replace("URL", side.url), actors) as place:
        run = await place.start("local~pusher", {"items": 1})
        queue = f"/v2/request-queues/{run['defaultRequestQueueId']}/requests"
        for n in range(25):
            page = {"url": f"https://shop.example/p/{n}", "uniqueKey": f"p{n}", "userData": {"n": n}}
            await place.api("POST", queue, json=page)
        _, deliveries = await place.finished(run["id"])

    assert [one.state for one in deliveries] == [DeliveryState.DELIVERED] * 3
    rows = [row for one in deliveries for row in one.checkpoint.receipts]
    assert [(row.stream, row.expected, row.read, row.delivered, row.status) for row in rows] == [
        ("requests", 25, 25, 25, "balanced")
    ] * 3
    for folder in ("results", "in-parts"):
        lines = (tmp_path / folder / f"{run['id']}.requests.jsonl").read_text().splitlines()
        assert sorted(json.loads(line)["userData"]["n"] for line in lines) == list(range(25))
    assert sorted(item["userData"]["n"] for item in side.items) == list(range(25))
    assert len(side.requests) == 3
