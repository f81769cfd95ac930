"""How runs at the platform look, to people and to scripts."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

import msgspec
from rich import box
from rich.table import Table

from config.sources.apify.telling import console_url
from console.cli.output import Output, plain
from console.platform import Left


async def show_changes(out: Output, looks: AsyncIterator[dict[str, Any]]) -> dict[str, Any]:
    """Note every change of a run's status. Returns the run as it was seen last."""
    seen: dict[str, Any] = {}
    async for run in looks:
        if run["status"] != seen.get("status"):
            out.note(plain(f"run {run['id']} {run['status']}").plain)
        seen = run
    return seen


def show_run(out: Output, run: dict[str, Any], left: Sequence[Left]) -> None:
    """One run, and what it left."""
    out.fact(run=run, storages=[msgspec.structs.asdict(one) for one in left])
    out.tell(f"run {run['id']} {plain(run['status']).plain}")
    for name, value in _facts(run).items():
        if value not in {None, ""}:
            out.tell(f"  {name:<10} {plain(value, 1000).plain}")
    table = _columns("storage", "alias", "id", right=("count",))
    for one in left:
        count = "gone" if one.count is None else f"{one.count:,}{'+' if one.more else ''}"
        table.add_row(*map(plain, (one.kind, one.alias, one.id, count)))
    out.show(table)


def show_runs(out: Output, found: Sequence[dict[str, Any]]) -> None:
    """Many runs, in their short form."""
    for run in found:
        out.fact(**run)
    table = _columns("started", "run", "status", "actor", "origin", right=("seconds", "cost"))
    for run in found:
        origin = (run.get("meta") or {}).get("origin") or ""
        words = (run["startedAt"], run["id"], run["status"], run.get("actId") or "", origin, _seconds(run), _usd(run))
        table.add_row(*map(plain, words))
    out.show(table if found else "the platform has no such run")


def show_change(out: Output, run: dict[str, Any], how: str) -> None:
    """What became of a run that was to be changed."""
    out.fact(run_id=run["id"], status=run["status"])
    out.tell(f"run {run['id']} {how} {plain(run['status']).plain}")


def _facts(run: dict[str, Any]) -> dict[str, Any]:
    """What a person wants to know first; `--json` has everything."""
    options, meta, stats = (run.get(name) or {} for name in ("options", "meta", "stats"))
    return {
        "message": run.get("statusMessage"),
        "actor": run.get("actId"),
        "task": run.get("actorTaskId"),
        "build": run.get("buildNumber"),
        "origin": meta.get("origin"),
        "started": run.get("startedAt"),
        "finished": run.get("finishedAt"),
        "seconds": stats.get("runTimeSecs"),
        "memory": f"{options['memoryMbytes']} MB" if options.get("memoryMbytes") else None,
        "exit code": run.get("exitCode"),
        "cost": _usd(run),
        "console": console_url(run["id"]),
    }


def _columns(*left: str, right: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in left:
        table.add_column(name, no_wrap=True)
    for name in right:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _seconds(run: dict[str, Any]) -> str:
    if not run.get("finishedAt"):
        return ""
    took = datetime.fromisoformat(run["finishedAt"]) - datetime.fromisoformat(run["startedAt"])
    return f"{took.total_seconds():,.0f}"


def _usd(run: dict[str, Any]) -> str:
    usd = run.get("usageTotalUsd")
    return "" if usd is None else f"${usd:,.4f}"
