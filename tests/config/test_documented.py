"""The routes files in the documentation, as somebody copies them."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.config.loading import table
from workers.rehearsal import prove

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```yaml\n(version: 1\n.*?)^```$", re.MULTILINE | re.DOTALL)
_NAME = re.compile(r"\$\{([A-Z_]+)")
#: What stands for a name whose value has to be a URL, or a key.
_URLS = {
    "DATABASE_URL": "postgresql://me:secret@db/x",
    "SLACK_URL": "https://hooks.slack.com/services/T1/B2/C3",
    "ALERT_URL": "https://alerts.example.com/",
    "SIGNING_KEY": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
}


def _files() -> Iterator[tuple[str, str]]:
    """The page and the text of each."""
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        for text in _BLOCK.findall(page.read_text(encoding="utf-8")):
            yield page.relative_to(ROOT).as_posix(), text


FILES = list(_files())


def test_there_are_some() -> None:
    assert {"README.md", "docs/how-to/write-files.md", "docs/reference/configuration.md"} <= {page for page, _ in FILES}


@pytest.mark.parametrize("text", [text for _, text in FILES], ids=[page for page, _ in FILES])
def test_every_whole_file_loads_and_passes_its_tests(text: str, tmp_path: Path) -> None:
    named = {name: _URLS.get(name, f"a-secret-{name}-0123456789-0123456789") for name in _NAME.findall(text)}
    loaded = table(tmp_path, text, named)
    assert loaded.routes
    prove(loaded)
