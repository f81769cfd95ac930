"""The options of a start, for all commands that start something."""

import json as jsons
from typing import Annotated

import typer
from msgspec.structs import replace

from config.sources.apify.paths import program_path
from config.sources.apify.starting import Permission, RunOptions
from console.cli.spreading import spread
from console.starting import Wish, body_of

Program = Annotated[
    str, typer.Argument(metavar="ACTOR", help="owner/name, owner~name or id; a task has `task:` in front.")
]
Input = Annotated[str | None, typer.Option("--input", "-i", help="The input: text, @file, or @- for stdin.")]
ContentType = Annotated[str, typer.Option("--input-content-type", help="Of the input.")]
Timeout = Annotated[float | None, typer.Option("--timeout", min=0, help="Seconds the run may take; 0: no limit.")]
Memory = Annotated[int | None, typer.Option("--memory", help="Megabytes, a power of 2 from 128 to 32768.")]
MaxItems = Annotated[int | None, typer.Option("--max-items", min=0, help="Items that are charged for at most.")]
MaxCharge = Annotated[float | None, typer.Option("--max-total-charge-usd", min=0, help="What the run may cost.")]
Restart = Annotated[
    bool | None, typer.Option("--restart-on-error/--no-restart-on-error", help="Start it anew when it fails.")
]
Build = Annotated[str | None, typer.Option("--build", help="Tag or number of a build.")]
Level = Annotated[Permission | None, typer.Option("--force-permission-level", help="Instead of the Actor's own.")]


def run_options(
    timeout: Timeout = None,
    memory: Memory = None,
    max_items: MaxItems = None,
    max_total_charge_usd: MaxCharge = None,
    restart_on_error: Restart = None,
    build: Build = None,
) -> RunOptions:
    """What a start and a resurrection share."""
    return RunOptions(
        timeout=timeout,
        memory=memory,
        max_items=max_items,
        max_total_charge_usd=max_total_charge_usd,
        restart_on_error=restart_on_error,
        build=build,
    )


@spread(options=run_options)
def wish_of(
    program: Program,
    options: RunOptions,
    input: Input = None,
    input_content_type: ContentType = "application/json",
    force_permission_level: Level = None,
) -> Wish:
    """What to start. Raises BadParameter, OSError."""
    known(program)
    body = body_of(input)
    if body is not None and input_content_type.partition(";")[0].strip() == "application/json":
        try:
            jsons.loads(body)
        except ValueError as exc:
            raise typer.BadParameter(f"not JSON: {exc}", param_hint="--input") from None
    return Wish(program, replace(options, force_permission_level=force_permission_level), body, input_content_type)


def known(program: str) -> None:
    """Raises BadParameter if it can be the name of no Actor and of no task."""
    try:
        program_path(program)
    except ValueError as exc:
        raise typer.BadParameter(str(exc), param_hint="ACTOR") from None
