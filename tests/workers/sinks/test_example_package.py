"""The package in examples/ as its users get it: built, installed beside Runrelay, found by its name, tested."""

import sys
from pathlib import Path

import pytest

from tests.packaged import ran, unpacked

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "chunks-sink"
PAGE = ROOT / "docs" / "how-to" / "write-a-sink.md"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked(EXAMPLE, tmp_path_factory)


def test_its_type_is_found_by_name(installed: Path, tmp_path: Path) -> None:
    program = [sys.executable, "-m", "console.cli.main"]
    shown = ran([*program, "sinks", "chunks"], {"PYTHONPATH": f"{installed}:{ROOT}"}, tmp_path)
    assert "exactly once" in shown
    (tmp_path / "runrelay.yaml").write_text(
        'version: 1\nsources: {apify: {token: "t-0123456789", webhook: {secrets: ["s-0123456789-0123456789-0123"]}}}\n'
        "sinks: {disk: {type: chunks, folder: chunks/}}\nroutes: [{name: all, to: [{sink: disk}]}]\n"
    )
    assert ": ok" in ran([*program, "check"], {"PYTHONPATH": f"{installed}:{ROOT}"}, tmp_path)


def test_it_keeps_the_contract(installed: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:valkey", "-p", "no:cacheprovider", "tests"]
    assert "14 passed" in ran(command, {"PYTHONPATH": f"{installed}:{ROOT}"}, EXAMPLE)


def test_the_page_shows_the_same_module() -> None:
    assert f"```python\n{(EXAMPLE / 'chunks_sink.py').read_text()}```" in PAGE.read_text()
