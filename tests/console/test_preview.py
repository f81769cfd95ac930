"""`runrelay preview`, against the emulator: what it says of a real run, and that it leaves nothing anywhere."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from console.cli.main import main
from emulator.scenarios import Scenario
from tests.config.sources.platforms import TOKEN, Emulated
from tests.console.beside import PUBLIC, SECRET, emulator_beside
from tests.console.test_reconcile_command import finished_run, told

Captured = pytest.CaptureFixture[str]

ROUTES = """
sinks:
  disk: {type: file, base: results/}
  books: {type: sqlite, path: results/shop.db}
  crm: {type: http, url: "http://127.0.0.1:9/hooks", sign: "secret-of-the-crm", headers: {Authorization: "Bearer hidden"}}
  own: {type: acme_mute.sink}
routes:
  - name: numbers
    when: {status: SUCCEEDED}
    read: {where: item.n > 0}
    to:
      - {sink: disk, path: "{{ actor.name }}/{{ run.status }}.jsonl"}
      - {sink: books, table: numbers}
  - name: log
    when: {status: SUCCEEDED}
    read: {log_tail: 2}
    to: [{sink: disk, path: "log.txt"}]
  - name: records
    when: {status: SUCCEEDED}
    read: {records: [INPUT]}
    to: [{sink: disk}]
  - name: leads
    when: {status: SUCCEEDED}
    to: [{sink: crm, per: item, when: {origin: API}}, {sink: own}]
  - name: broken
    when: {status: FAILED}
    to: [{sink: disk}]
"""

#: A sink of somebody else that does not say what it makes of anything.
MUTE = """
from pydantic import BaseModel
class Config(BaseModel): pass
class Target(BaseModel): pass
TAKES, WHOLE = frozenset({"items"}), False
def connect(config, around): raise AssertionError("nobody is connected to")
"""


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulated]:
    """A platform, a file of several routes, and no Redis."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUNRELAY_PUBLIC_URL", PUBLIC)
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "acme_mute").mkdir()
    (tmp_path / "acme_mute" / "sink.py").write_text(MUTE)
    with emulator_beside(tmp_path) as place:
        write(place, ROUTES)
        yield place


def write(place: Emulated, rest: str) -> None:
    url = place.source.manners.base_url.removesuffix("/v2")
    source = f'sources: {{apify: {{token: "{TOKEN}", api_url: "{url}", webhook: {{secrets: [{SECRET}]}}}}}}'
    Path("runrelay.yaml").write_text(f"version: 1\n{source}\n{rest}")


def test_try(platform, capsys):
    run = finished_run(capsys)
    print(main(["preview", run]))
    print(main(["preview", "--last", "--actor", "local/writer", "--json", "--route", "numbers"]))
    print(capsys.readouterr().out)
    assert 0
