"""`runrelay actor …`: runs at the platform, and what they left there."""

import sys
from collections.abc import AsyncIterator, Coroutine
from datetime import datetime
from typing import Annotated, Any

import typer

from config.contracts.api import Api
from config.contracts.errors import Forbidden, NotYet
from config.logs import escaped, masked
from config.sources.apify import logs
from config.sources.apify import runs as operations
from config.sources.apify.paths import TASK
from config.sources.apify.starting import RunOptions
from console.cli.asking import Yes, confirm
from console.cli.desk import Desk, desk_of
from console.cli.options import Limit, example, not_empty
from console.cli.output import Output
from console.cli.run_options import Program, known, run_options
from console.cli.showing import show_change, show_changes, show_run, show_runs
from console.cli.spreading import spread
from console.platform import foreign, left_behind, log_lines, need_end, own_run, unfinished
from console.starting import followed, has_ended

RunId = Annotated[str, typer.Argument(metavar="RUN", callback=not_empty, help="Id of a run.")]
Status = Annotated[list[str] | None, typer.Option("--status", help="Only runs of this status; repeatable.")]
OneStatus = Annotated[str | None, typer.Option("--status", help="The last one of this status, such as SUCCEEDED.")]
Origin = Annotated[str | None, typer.Option("--origin", help="The last one started like this: API, SCHEDULER, …")]
Wait = Annotated[int, typer.Option("--wait", min=0, help="Seconds to wait for its end.")]
NoToken = Annotated[bool, typer.Option("--no-token", help="Ask like somebody who knows the id and nothing else.")]
Gracefully = Annotated[bool, typer.Option("--gracefully", help="Tell it, and give it 30 seconds.")]
_STARTED = "ISO 8601, such as 2026-11-22 or 2026-11-22T10:00:00Z; not for tasks."

app = typer.Typer(help="Runs at the platform: look, wait, stop, tidy up.", no_args_is_help=True)


def add_to(main: typer.Typer) -> None:
    app.command(epilog=example("runrelay actor runs acme/shop-de --status FAILED --status TIMED-OUT"))(runs)
    app.command(epilog=example("runrelay actor last task:acme/nightly --status SUCCEEDED"))(last)
    app.command(epilog=example("runrelay actor show HG7ML7M8z78YcAPEB --wait 60"))(show)
    app.command(epilog=example("runrelay actor log HG7ML7M8z78YcAPEB --follow"))(log)
    app.command(epilog=example("runrelay actor abort HG7ML7M8z78YcAPEB --gracefully"))(abort)
    app.command(epilog=example("runrelay actor resurrect HG7ML7M8z78YcAPEB --timeout 3600"))(resurrect)
    app.command(epilog=example("runrelay actor delete HG7ML7M8z78YcAPEB --yes"))(delete)
    main.add_typer(app, name="actor")


@spread(desk=desk_of)
def runs(
    program: Annotated[str | None, typer.Argument(metavar="[ACTOR]", help="Unless given, all of the account.")] = None,
    *,
    status: Status = None,
    after: Annotated[str | None, typer.Option("--after", help=f"Started then or later. {_STARTED}")] = None,
    before: Annotated[str | None, typer.Option("--before", help=f"Started then or earlier. {_STARTED}")] = None,
    oldest_first: Annotated[bool, typer.Option("--oldest-first", help="Instead of the newest.")] = False,
    limit: Limit = 20,
    desk: Desk,
) -> None:
    """List runs at the platform, whoever started them; an Actor's, or a task's with `task:` in front."""
    if program is not None:
        known(program)
        if program.startswith(TASK) and (after or before):
            raise typer.BadParameter("the platform lists a task's runs of all times", param_hint="--after, --before")
    times = [_moment(text, hint) if text else None for text, hint in ((after, "--after"), (before, "--before"))]

    async def look(api: Api) -> None:
        listed = operations.listed(
            api,
            program,
            status=status or (),
            started_after=times[0],
            started_before=times[1],
            desc=not oldest_first,
            page=limit,
        )
        show_runs(desk.out, await _first(listed, limit))

    desk.ask(look)


@spread(desk=desk_of)
def last(program: Program, *, status: OneStatus = None, origin: Origin = None, wait: Wait = 0, desk: Desk) -> None:
    """Tell the last run of an Actor or a task, and what it left: storages with their ids and counts.

    The storages are those of this one run, also if another one starts meanwhile.
    """
    known(program)

    async def look(api: Api) -> None:
        await _show(desk, api, await operations.last(api, program, status=status, origin=origin), wait)

    desk.ask(look)


@spread(desk=desk_of)
def show(run_id: RunId, *, wait: Wait = 0, no_token: NoToken = False, desk: Desk) -> None:
    """Tell one run, and what it left: storages with their ids and counts."""

    async def look(api: Api) -> None:
        await _show(desk, api, await operations.get(api, run_id), wait)

    desk.ask(look, token=not no_token)


@spread(desk=desk_of)
def log(
    run_id: RunId,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run ends.")] = False,
    tail: Annotated[int | None, typer.Option("--tail", min=1, help="Only so many of the last lines.")] = None,
    desk: Desk,
) -> None:
    """Print the log of a run."""
    if follow and tail:
        raise typer.BadParameter("what is followed is shown whole", param_hint="--tail")

    async def look(api: Api) -> None:
        if tail:
            for line in (await logs.tail(api, run_id, tail)).splitlines():
                _line(desk.out, line)
            return
        async for line in log_lines(api, run_id, follow=follow):
            _line(desk.out, line)

    desk.ask(look)


@spread(desk=desk_of)
def abort(run_id: RunId, *, gracefully: Gracefully = False, desk: Desk) -> None:
    """Stop a run. What it has stored stays; its webhooks are sent."""

    async def change(api: Api) -> None:
        if has_ended(before := await own_run(desk.source, api, run_id)):
            show_change(desk.out, before, "had ended already, and stays")
            return
        now = await _ours(run_id, operations.abort(api, run_id, gracefully=gracefully))
        show_change(desk.out, now, "is")

    desk.ask(change)


@spread(options=run_options, desk=desk_of)
def resurrect(run_id: RunId, *, options: RunOptions, desk: Desk) -> None:
    """Let a finished run go on, on its own storages; when it ends again, only what is new is delivered."""

    async def change(api: Api) -> None:
        need_end(await own_run(desk.source, api, run_id), "resurrected")
        show_change(desk.out, await _ours(run_id, operations.resurrect(api, run_id, options)), "is")

    desk.ask(change)


@spread(desk=desk_of)
def delete(
    run_ids: Annotated[list[str], typer.Argument(metavar="RUN", callback=not_empty, help="Ids of runs.")],
    *,
    yes: Yes = False,
    desk: Desk,
) -> None:
    """Delete finished runs at the platform, for good. What was delivered of them stays where it is."""

    async def look(api: Api) -> None:
        for run_id in run_ids:
            run = await own_run(desk.source, api, run_id)
            need_end(run, "deleted")
            desk.out.note(f"run {run_id} {run['status']}, finished {run.get('finishedAt')}")

    async def change(api: Api) -> None:
        for run_id in run_ids:
            await _ours(run_id, operations.delete(api, run_id))
            desk.out.fact(run_id=run_id, status="deleted")
            desk.out.tell(f"run {run_id} is deleted")

    desk.ask(look)
    confirm(desk.out, f"Delete {len(run_ids)} {'run' if len(run_ids) == 1 else 'runs'}?", yes=yes)
    desk.ask(change)


async def _ours(run_id: str, change: Coroutine[Any, Any, Any]) -> Any:
    """Raises CommandFailed where the platform says that the run is not ours to change, or not yet."""
    try:
        return await change
    except Forbidden as exc:
        raise foreign(run_id, exc.detail) from exc
    except NotYet as exc:
        raise unfinished(run_id, exc.detail) from exc


async def _first(found: AsyncIterator[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    kept: list[dict[str, Any]] = []
    async for one in found:
        kept.append(one)
        if len(kept) == most:
            break
    return kept


def _line(out: Output, raw: bytes) -> None:
    line = masked(raw.decode("utf-8", "replace"))
    out.fact(line=line)
    if not out.json:
        sys.stdout.write(f"{escaped(line) if sys.stdout.isatty() else line}\n")
        sys.stdout.flush()


async def _show(desk: Desk, api: Api, run: dict[str, Any], wait: int) -> None:
    if wait:
        run = await show_changes(desk.out, followed(api, run, wait))
    show_run(desk.out, run, await left_behind(desk.source, api, run))


def _moment(text: str, hint: str) -> str:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"not a time: {_STARTED}", param_hint=hint) from None
    return when.isoformat() if when.tzinfo else f"{when.isoformat()}Z"
