"""Where a command that asks the platform stands."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from config.contracts.api import Api
from config.settings import Settings
from config.sources.apify import ApifySource
from console.choosing import api_of, chosen_apify
from console.cli.options import Config, Json, Source
from console.cli.output import Output
from console.opening import open_settings, open_table
from console.signals import run


@dataclass(frozen=True)
class Desk:
    """One source of a file, and a voice."""

    settings: Settings
    source: ApifySource
    out: Output

    def ask(self, question: Callable[[Api], Coroutine[Any, Any, None]], *, token: bool = True) -> None:
        """Ask the platform something, until it is answered or somebody presses Ctrl-C."""

        async def asked() -> None:
            async with api_of(self.source, token=token) as api:
                await question(api)

        run(asked())


def desk_of(source: Source = None, config: Config = None, json: Json = False) -> Desk:
    """Raises ConfigInvalid, CommandFailed."""
    settings = open_settings(config)
    return Desk(settings, chosen_apify(open_table(settings), source), Output(json))
