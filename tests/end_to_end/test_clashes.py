"""Items whose types do not fit an expression: what is counted and logged of them, without what they hold."""

from pathlib import Path

from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from config.contracts.delivery import DeliveryState
from config.settings import Settings
from tests.end_to_end.installation import installation

ROUTES = """
sinks: {disk: {type: file, base: "{folder}/results"}}
routes:
  - name: clashing
    to:
      - {sink: disk, path: "{{ run.id }}.jsonl", where: item.text > 5 or item.n == 0, batch: {items: 2}}
"""


async def test_clashes_are_counted_and_logged_a_line_for_each_batch(
    settings: Settings, tmp_path: Path, actors: Path
) -> None:
    async with installation(settings, tmp_path, ROUTES, actors) as place:
        with capture_logs() as logs:
            run = (await place.start("local~pusher", {"items": 3, "size": 3}))["id"]
            _, (one,) = await place.finished(run)
    assert one.state is DeliveryState.DELIVERED
    told = [line for line in logs if line["event"] == "delivery.clashed"]
    known = {"event": "delivery.clashed", "log_level": "warning", "stream": "items:default"}
    known |= {"delivery_id": one.delivery.id}
    assert told == [known | {"count": 2, "items": 2}, known | {"count": 1, "items": 1}]
    labels = {"route": "clashing", "target": "disk"}
    assert REGISTRY.get_sample_value("runrelay_expression_clashes_total", labels) == 3.0
