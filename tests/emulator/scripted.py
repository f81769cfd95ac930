"""Actors that are acted out, for tests that need a run and no process."""

import json
from pathlib import Path
from typing import Any


def write_script(actors: Path, name: str, manifest: dict[str, Any] | None = None, **script: Any) -> None:
    """A folder with an `actor.yaml`: `write_script(actors, "name", duration="1h", items=[{"n": 1}])`."""
    folder = actors / name
    folder.mkdir()
    (folder / "actor.yaml").write_text(json.dumps({"name": name, "script": script, **(manifest or {})}))
