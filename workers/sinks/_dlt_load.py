"""The process that loads: dlt takes seconds to import, keeps state of its own, and holds the interpreter for long.

Reads what to do from stdin as JSON, and answers with one line of JSON: `{"rows"}`, or `{"verdict", "said"}`.
"""

import ctypes
import json
import os
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

#: Words of errors that are about who we are.
_REFUSED = ("password", "authenticat", "invalid credential", "unauthorized", "invalid_grant", "401", "expired")
#: Words of errors that somebody has to mend at the destination.
_WRONG = ("permission", "denied", "forbidden", "403", "does not exist", "not found", "no such", "read-only")
_STAMPS = ("_run_id", "_target", "_stream", "_item")
#: What dlt lists among its destinations, and nothing can be loaded into by its name alone.
_NO_PLACES = frozenset({"destination", "dummy"})
_BITS = 63
_INFINITE = (float("inf"), float("-inf"))


def main() -> None:
    _end_with_parent()
    told = json.load(sys.stdin)
    answer = sys.stdout
    sys.stdout = sys.stderr  # whatever else speaks
    try:
        said: dict[str, Any] = {"rows": _look(told) if told.get("look") else _load(told)}
    except BaseException as exc:
        said = _verdict(exc, told)
    answer.write(json.dumps(said) + "\n")
    answer.flush()


def _end_with_parent() -> None:
    """Linux: nobody would read the answer (prctl(2), PR_SET_PDEATHSIG)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        if os.getppid() == 1:
            sys.exit(1)


def _pipeline(told: dict[str, Any]) -> Any:
    import dlt
    from dlt.common.destination import Destination

    given = {"credentials": told["credentials"]} if told["credentials"] is not None else {}
    destination: Any = Destination.from_reference(told["destination"], **given, **told["options"])
    Path(told["work"]).mkdir(parents=True, exist_ok=True)
    return dlt.pipeline(
        pipeline_name="runrelay", pipelines_dir=told["work"], destination=destination, dataset_name=told["dataset"]
    )


def _look(told: dict[str, Any]) -> int:
    """Whether the destination lets us in."""
    pipeline = _pipeline(told)
    with pipeline.destination_client() as client:
        client.is_storage_initialized()
    return 0


def _load(told: dict[str, Any]) -> int:
    import dlt

    pipeline = _pipeline(told)
    rows: Any = dlt.resource(_rows(told), name=told["table"], max_table_nesting=told["nesting"])
    rows.apply_hints(
        write_disposition=_disposition(pipeline),
        schema_contract={"columns": told["columns"]} if told["columns"] == "freeze" else None,
        **keys_of(told["mode"], told["key"]),
    )
    info = pipeline.run(rows)
    info.raise_on_failed_jobs()
    return _count(pipeline, told)


def _disposition(pipeline: Any) -> Any:
    """Merging makes a repeated load harmless; files cannot be merged."""
    merges = pipeline.destination.capabilities().supported_merge_strategies
    return {"disposition": "merge", "strategy": "delete-insert"} if merges else "append"


def keys_of(mode: str, key: Sequence[str]) -> dict[str, Any]:
    """By which columns rows are merged."""
    match mode:
        case "upsert":
            return {"primary_key": tuple(key)}
        case "replace_run":
            return {"merge_key": _STAMPS[:3]}
        case _:
            return {"primary_key": _STAMPS}


def _rows(told: dict[str, Any]) -> Iterator[dict[str, Any]]:
    left = told["bytes"]
    with Path(told["part"]).open("rb") as part:
        while left > 0 and (line := part.readline()):
            left -= len(line)
            number, _, item = line.rstrip(b"\n").partition(b" ")
            yield row_of(told["stamps"], int(number), item)


def row_of(stamps: dict[str, Any], number: int, item: bytes) -> dict[str, Any]:
    """What dlt is given for an item."""
    return {**stamps, "_item": number, **_members(item)}


def _members(item: bytes) -> dict[str, Any]:
    """What dlt can take, losing nothing."""
    try:
        found = msgspec.json.decode(item)
    except (msgspec.DecodeError, RecursionError):
        found = _odd(item)
    fitted = _fitted(found)
    return fitted if isinstance(fitted, dict) else {"value": fitted}


def _odd(item: bytes) -> Any:
    """Numbers no float holds, and halves of surrogate pairs, which msgspec refuses to read."""
    try:
        return json.loads(item)
    except (ValueError, RecursionError):
        return item.decode(errors="replace")


def _fitted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _fitted(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_fitted(inner) for inner in value]
    if isinstance(value, str):
        return value.replace("\0", "\\u0000").encode("utf-8", "backslashreplace").decode()
    too_large = isinstance(value, int) and value.bit_length() > _BITS
    return str(value) if too_large or value in _INFINITE else value


def _count(pipeline: Any, told: dict[str, Any]) -> int:
    """How many rows of this delivery the destination has; -1 if it cannot tell, or if others may have replaced some."""
    if told["mode"] == "upsert" or not told["bytes"]:
        return -1
    try:
        client = pipeline.sql_client()
    except Exception:  # not a database
        return -1
    with client:
        table, names = client.make_qualified_table_name(told["table"]), (*_STAMPS[:3], "_finished_at")
        where = " AND ".join(f"{client.escape_column_name(name)} = %s" for name in names)
        stamps = [told["stamps"][name] for name in names]
        with client.execute_query(f"SELECT COUNT(*) FROM {table} WHERE {where}", *stamps) as cursor:  # noqa: S608  # quoted names
            return int(cursor.fetchone()[0])


def _verdict(exc: BaseException, told: dict[str, Any]) -> dict[str, str]:
    """What happens next. dlt wraps what it met; the innermost says most."""
    chain = list(_chain(exc))
    for each in chain:
        if type(each).__name__ == "UnknownDestinationModule" and told["destination"] not in _known():
            return {"verdict": "unknown", "said": f"`{told['destination']}`: known are {', '.join(_known())}"}
        if type(each).__name__ == "ConfigFieldMissingException" and (lacking := _lacking(each)):
            return {"verdict": "lacking", "said": lacking}
    said = next((text for each in reversed(chain) if (text := str(each).strip())), type(exc).__name__)
    names = {base.__name__ for each in chain for base in type(each).__mro__}
    words = " ".join(str(each) for each in chain).lower()
    return {"verdict": _word(names, words), "said": f"dlt: {said}"}


def _known() -> list[str]:
    from dlt import destinations

    return sorted(set(destinations.__all__) - _NO_PLACES)


def _lacking(exc: BaseException) -> str:
    """Which members of `credentials` dlt misses, in its own words; empty if it misses something else."""
    found = re.search(r"`credentials` is itself .* with missing field\(s\): ([^(\n]*)", str(exc))
    return found[1].strip() if found else ""


def _chain(exc: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while exc is not None and id(exc) not in seen:
        seen.add(id(exc))
        yield exc
        exc = getattr(exc, "exception", None) or exc.__cause__ or exc.__context__


def _word(names: set[str], words: str) -> str:
    if names & {"MissingDependencyException", "ModuleNotFoundError", "UnknownDestinationModule"}:
        return "missing"
    if "ConfigurationException" in names:
        return "wrong"
    if any(word in words for word in _REFUSED):
        return "refused"
    if any(word in words for word in _WRONG):
        return "wrong"
    if names & {"DataValidationError", "DatabaseTerminalException", "LoadClientJobFailed", "TerminalException"}:
        return "never"
    return "again"


if __name__ == "__main__":
    main()
