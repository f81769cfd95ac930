"""One run, read once for each target, as files of every format."""

from pathlib import Path

from config.contracts.delivery import DeliveryState
from config.settings import Settings
from tests.end_to_end.installation import installation
from tests.workers.sinks.folder import rows_of

ROUTES = """\
sinks:
  disk: {type: file, base: "{folder}/results"}
routes:
  - name: files
    when: {}
    to:
      - {sink: disk, name: csv, path: "out.csv.gz"}
      - {sink: disk, name: parquet, path: "out.parquet"}
      - {sink: disk, name: excel, path: "out.xlsx"}
      - {sink: disk, name: parts, path: "parts/{{ batch.number }}.csv", per: batch, batch: {items: 10}}
"""


async def test_each_target_has_the_run_in_its_own_format(settings: Settings, tmp_path: Path, actors: Path) -> None:
    async with installation(settings, tmp_path, ROUTES, actors) as place:
        run = await place.start("local~pusher", {"items": 25})
        _, deliveries = await place.finished(run["id"])

    assert [one.state for one in deliveries] == [DeliveryState.DELIVERED] * 4
    rows = [row for one in deliveries for row in one.checkpoint.receipts]
    assert [(row.expected, row.delivered, row.rejected, row.status) for row in rows] == [(25, 25, 0, "balanced")] * 4
    results = tmp_path / "results"
    names = sorted(str(path.relative_to(results)) for path in results.rglob("*") if path.is_file())
    assert names == ["out.csv.gz", "out.parquet", "out.xlsx", *(f"parts/{n:08}.csv" for n in range(3))]
    csv, parquet, excel = (rows_of(results / name) for name in names[:3])
    assert len(csv) == 25
    assert csv == excel == [row for name in names[3:] for row in rows_of(results / name)]
    assert [str(row) for row in parquet] == [str(row) for row in excel]
    assert {row.target: (row.out, row.bytes) for row in rows} == {
        "csv": (1, (results / names[0]).stat().st_size),
        "parquet": (1, (results / names[1]).stat().st_size),
        "excel": (1, (results / names[2]).stat().st_size),
        "parts": (3, sum((results / name).stat().st_size for name in names[3:])),
    }
