"""Writes the reference pages that come from the models: `python scripts/reference.py`. A test compares them."""

import sys
from pathlib import Path

from pydantic.fields import FieldInfo

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from config.settings import Settings  # noqa: E402  # found through the line above

ENVIRONMENT = ROOT / "docs/reference/environment.md"
_HEAD = """\
# Environment

Everything a process reads from the environment, besides the `${NAME}` in runrelay.yaml. A `.env` beside the routes
file gives what the environment does not set. `scripts/reference.py` writes this page from `config/settings.py`.

| variable | default | |
|---|---|---|
"""


def environment() -> str:
    """docs/reference/environment.md."""
    return _HEAD + "".join(_row(name, field) for name, field in Settings.model_fields.items())


def _row(name: str, field: FieldInfo) -> str:
    variable = field.validation_alias or f"RUNRELAY_{name.upper()}"
    return f"| `{variable}` | {_written(field.default)} | {field.description} |\n"


def _written(default: object) -> str:
    return f"`{default}`" if str(default) else "empty"


if __name__ == "__main__":
    ENVIRONMENT.write_text(environment())
