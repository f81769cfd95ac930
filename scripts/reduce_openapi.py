"""Cut the platform's published OpenAPI document down to what tests need: shapes, no prose.

    python scripts/reduce_openapi.py DOWNLOADED.json > tests/emulator/conformance/openapi.json

Left out: descriptions, examples, and operations that are neither about runs nor about what runs leave, with every part
that only they refer to. One path or component a line, so that a later edition shows its changes.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: What nobody who reads runs asks for: building, publishing and renting Actors, and signing.
LEFT_OUT = re.compile(
    r"/v2/(actors/\{actorId\}/versions|store\b|tools/|browser-info|schedules/\{scheduleId\}/log)|openapi\.json$"
)
_PROSE = {"description", "example", "examples", "summary", "title", "externalDocs", "tags"}
#: Members whose keys are names of things, not words of the format.
_NAMED = {"properties", "headers", "schemas", "parameters", "responses", "paths", "content", "mapping"}


def bare(node: Any, *, names: bool = False) -> Any:
    """The node without prose."""
    if isinstance(node, list):
        return [bare(each) for each in node]
    if not isinstance(node, dict):
        return node
    kept = {key: value for key, value in node.items() if names or not (key in _PROSE or key.startswith("x-"))}
    return {
        key: bare(value, names=not names and key in _NAMED and isinstance(value, dict)) for key, value in kept.items()
    }


def references(node: Any) -> Iterator[tuple[str, str]]:
    """Kind and name of each component the node refers to."""
    if isinstance(node, list):
        node = dict(enumerate(node))
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                _, _, kind, name = value.split("/")
                yield kind, name
            else:
                yield from references(value)


def reduced(document: dict[str, Any]) -> dict[str, Any]:
    paths = {path: bare(item, names=False) for path, item in document["paths"].items() if not LEFT_OUT.search(path)}
    components: dict[str, dict[str, Any]] = {"securitySchemes": bare(document["components"]["securitySchemes"])}
    open_ends = set(references(paths))
    while open_ends:
        kind, name = open_ends.pop()
        part = bare(document["components"][kind][name])
        components.setdefault(kind, {})[name] = part
        open_ends |= {(a, b) for a, b in references(part) if b not in components.get(a, {})}
    return {
        "openapi": document["openapi"],
        "info": {"title": "Apify API, shapes only", "version": document["info"]["version"]},
        "servers": document["servers"],
        "security": document["security"],
        "paths": paths,
        "components": {kind: dict(sorted(parts.items())) for kind, parts in sorted(components.items())},
    }


def printed(document: dict[str, Any]) -> str:
    """JSON with one path or component a line."""

    def lines(members: dict[str, Any]) -> str:
        return ",\n".join(f"{json.dumps(name)}: {json.dumps(part)}" for name, part in members.items())

    head = {key: value for key, value in document.items() if key not in {"paths", "components"}}
    kinds = ",\n".join(f"{json.dumps(kind)}: {{\n{lines(parts)}\n}}" for kind, parts in document["components"].items())
    return f'{{\n{lines(head)},\n"paths": {{\n{lines(document["paths"])}\n}},\n"components": {{\n{kinds}\n}}\n}}\n'


if __name__ == "__main__":
    sys.stdout.write(printed(reduced(json.loads(Path(sys.argv[1]).read_text()))))
