"""`runrelay changes list|forget`: what the targets were last delivered that are told of changes only."""

from typing import Annotated, Any

import typer

from console.changes import Forgot, Memory, asking_targets, forget, memories, remembered
from console.cli.asking import Yes, confirm
from console.cli.ledger import ask_ledger, table_of
from console.cli.options import Config, Json, example, not_empty
from console.cli.output import Output, plain
from console.failures import CommandFailed
from console.moments import iso, when_of
from console.opening import open_settings
from workers.ledger.ledger import Ledger

Target = Annotated[str, typer.Argument(metavar="ROUTE/TARGET", callback=not_empty, help="As `changes list` names it.")]

app = typer.Typer(
    help="What was last delivered to targets with `only: {change: …}`, and starting afresh.", no_args_is_help=True
)


def add_to(main: typer.Typer) -> None:
    app.command("list", epilog=example("runrelay changes list"))(list_memories)
    app.command("forget", epilog=example("runrelay changes forget prices/crm"))(forget_memory)
    main.add_typer(app, name="changes")


def list_memories(config: Config = None, json: Json = False) -> None:
    """List what is remembered: how many keys, how much of Redis' memory, and of which run."""
    out, asking = Output(json), asking_targets(open_settings(config))

    async def gather(ledger: Ledger) -> list[Memory]:
        return [one async for one in memories(ledger, asking)]

    found = ask_ledger(config, gather)
    table = table_of("target", "keys", "bytes", "last run", "finished", "waiting", "")
    for one in found:
        out.fact(**_facts(one))
        table.add_row(
            plain(one.target),
            f"{one.keys:,}",
            f"{one.bytes:,}",
            plain(one.run),
            when_of(one.finished) if one.finished else "",
            str(one.waiting or ""),
            "not in the file" if one.orphan else "",
        )
    if found:
        out.show(table)
    else:
        out.tell("nothing is remembered: no target with `only` has had a delivery")
    if any(one.orphan for one in found):
        out.note("what is not in the file stays until `runrelay changes forget ROUTE/TARGET`")


def forget_memory(target: Target, yes: Yes = False, config: Config = None, json: Json = False) -> None:
    """Forget what a target was last delivered: of its next run every item is new. Asks first."""
    out, asking = Output(json), asking_targets(open_settings(config))

    async def look(ledger: Ledger) -> Memory:
        return await remembered(ledger, target, asking)

    async def act(ledger: Ledger) -> Forgot:
        return await forget(ledger, target)

    known = ask_ledger(config, look)
    name, keys = plain(known.target).plain, f"{known.keys:,} key{'s' * (known.keys != 1)}"
    sends = "" if known.orphan else "; its next run is sent whole, as new, and nothing of it counts as removed"
    confirm(out, f"forget {keys} of {name}{sends}?", yes=yes)
    if ask_ledger(config, act) is Forgot.UNDER_WAY:
        cure = "try again once it is through: `runrelay deliveries` shows it"
        raise CommandFailed("under_way", f"a delivery to {name} compares with it just now: {cure}")
    out.fact(target=known.target, keys=known.keys)
    out.tell(f"forgot {keys} of {name}")


def _facts(one: Memory) -> dict[str, Any]:
    return {
        "target": one.target,
        "keys": one.keys,
        "bytes": one.bytes,
        "source": one.source,
        "run": one.run,
        "finished": iso(one.finished),
        "waiting": one.waiting,
        "orphan": one.orphan,
    }
