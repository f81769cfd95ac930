"""Paths below `api.url`: `{id}` and other names in braces, filled so that no value can leave its place."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote

from multidict import MultiDict

from config.contracts.errors import Permanent
from config.contracts.reasons import Reason
from config.wire.places import at, steps

_FIELD = re.compile(r"\{([^{}]*)\}")

#: A path below the API's base URL, quoted, and its parameters.
Place = tuple[str, Mapping[str, str]]


def names(path: str) -> list[str]:
    """The names in braces."""
    return _FIELD.findall(path)


def without_names(path: str) -> str:
    """The rest of it."""
    return _FIELD.sub("", path)


def filled(path: str, run_id: str, fields: Mapping[str, Any], key: str) -> Place:
    """The path for a run. fields: of the run. key: where the file has the path, for people.

    Raises Permanent (source_refused) if the run has no such field.
    """

    def value(match: re.Match[str]) -> str:
        found = run_id if match[1] == "id" else at(fields, steps(match[1]))
        if isinstance(found, bool) or not isinstance(found, str | int) or found == "":
            raise Permanent(Reason.SOURCE_REFUSED, f"the run has no `{match[1]}` that `{key}` could be filled with")
        return segment(str(found))

    return split(_FIELD.sub(value, path))


def of_file(path: str, run_id: str, fields: Mapping[str, Any], name: str) -> Place:
    """The path of a file: `{name}` is its name, whose slashes stay."""
    return filled(path.replace("{name}", below(name)), run_id, fields, "files.download")


def segment(value: str) -> str:
    """The value as one segment of a path, whatever it is."""
    quoted = quote(value, safe="")
    return quoted.replace(".", "%2E") if set(value) == {"."} else quoted


def below(name: str) -> str:
    """The same of a name that may be a path itself; one with a step up, or an empty step, is a single segment."""
    parts = name.split("/")
    return "/".join(map(segment, parts)) if {"", ".", ".."}.isdisjoint(parts) else segment(name)


def split(path: str) -> Place:
    """A written path and its parameters."""
    there, _, query = path.partition("?")
    return there, MultiDict(parse_qsl(query, keep_blank_values=True))
