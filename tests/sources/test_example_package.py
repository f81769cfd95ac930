"""The package in examples/ as its users get it: built, installed beside Runrelay, found by its name, tested."""

import sys
from pathlib import Path

import pytest

from config import plugins
from tests.packaged import ran, unpacked

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "renders-source"
PAGE = ROOT / "docs" / "how-to" / "write-a-source.md"
FILE = """\
version: 1
sources:
  farm:
    type: renders
    url: https://farm.example.com
    token: t-0123456789
    webhook: {verify: standard_webhooks, secrets: [whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=]}
sinks: {disk: {type: file, base: films/}}
routes: [{name: all, to: [{sink: disk}]}]
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked(EXAMPLE, tmp_path_factory)


def test_its_type_is_found_by_name(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "runrelay.yaml").write_text(FILE)
    path = {"PYTHONPATH": f"{installed}:{ROOT}"}
    assert ": ok" in ran([sys.executable, "-m", "console.cli.main", "check"], path, tmp_path)


def test_a_module_is_found_by_its_dotted_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "acme"
    package.mkdir()
    (package / "farm_source.py").write_bytes((EXAMPLE / "renders_source.py").read_bytes())
    monkeypatch.syspath_prepend(str(tmp_path))
    assert plugins.load("config.sources", "acme.farm_source", plugins.SOURCES).__name__ == "acme.farm_source"


def test_it_keeps_the_contract(installed: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:valkey", "-p", "no:cacheprovider", "tests"]
    assert "48 passed" in ran(command, {"PYTHONPATH": f"{installed}:{ROOT}"}, EXAMPLE)


def test_the_page_shows_the_same_module() -> None:
    assert f"```python\n{(EXAMPLE / 'renders_source.py').read_text()}```" in PAGE.read_text()
