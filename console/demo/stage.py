"""Everything a demo needs, up and ready: a queue server, a platform, a far side, a receiver and a worker."""

import base64
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from config import logs
from config.routes import load
from config.sources.apify import ApifySource
from console.demo.far_side import FarSide, far_side
from console.demo.folder import DemoFolder
from console.demo.price_list import write_actors
from console.embedded import embedded_valkey
from console.opening import open_ledger
from console.processes import Crew
from workers.fetch.api import HttpApi, open_session
from workers.ledger.ledger import Ledger

NAMESPACE = "rr"
SOURCE = "apify"
#: Settings of ours that a demo does not take over from whoever starts it.
_OURS = ("RUNRELAY_", "REDIS_URL", "APIFY_", "HOOK_SECRET", "FAR_SIDE_")
PARTS = ("emulator", "worker", "receiver")

Ready = Callable[[str, str], None]


@dataclass(frozen=True)
class Stage:
    """What the play is played on. The secrets are made up for this one demo and are stored nowhere."""

    folder: DemoFolder
    redis_url: str
    crew: Crew
    far: FarSide
    ledger: Ledger
    source: ApifySource
    api: HttpApi
    urls: dict[str, str]
    secrets: dict[str, str] = field(repr=False)

    @property
    def webhooks(self) -> str:
        """Where the platform announces finished runs."""
        return f"{self.urls['receiver']}/webhooks/{SOURCE}"


@asynccontextmanager
async def stage(folder: DemoFolder, ready: Ready, guests: dict[str, str] | None = None) -> AsyncIterator[Stage]:
    """Set up, and take down in the opposite order whatever happens. `ready`: told each part and its address.

    guests: what `${…}` of more sinks stand for.
    """
    told = _made_up()
    logs.add_secret(*told.values())
    async with AsyncExitStack() as stack:
        room = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="runrelay-demo-")))
        write_actors(room / "actors")
        far = await stack.enter_async_context(far_side(folder.far_side, told["FAR_SIDE_SECRET"]))
        redis_url = stack.enter_context(embedded_valkey(room / "queue"))
        ready("queue", redis_url)
        crew = await stack.enter_async_context(Crew(_Logs(stack, folder)))
        env = _environment(told, far, redis_url, room) | (guests or {})
        urls = await _started(crew, env, folder, room, ready)
        source = _source(folder, env)
        session = await stack.enter_async_context(open_session())
        ledger = await stack.enter_async_context(open_ledger(redis_url, NAMESPACE))
        yield Stage(folder, redis_url, crew, far, ledger, source, HttpApi(session, source.manners), urls, told)


def _made_up() -> dict[str, str]:
    return {
        "APIFY_TOKEN": f"demo_{secrets.token_hex(20)}",
        "HOOK_SECRET": secrets.token_hex(20),
        "FAR_SIDE_SECRET": f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}",
    }


def _environment(told: dict[str, str], far: FarSide, redis_url: str, room: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return {
        **inherited,
        **told,
        "RUNRELAY_EMULATOR_TOKEN": told["APIFY_TOKEN"],
        "FAR_SIDE_URL": far.url,
        "REDIS_URL": redis_url,
        "RUNRELAY_NAMESPACE": NAMESPACE,
        "RUNRELAY_SPOOL_DIR": str(room / "spool"),
        "RUNRELAY_LOG_FORMAT": "json",
    }


async def _started(crew: Crew, env: dict[str, str], folder: DemoFolder, room: Path, ready: Ready) -> dict[str, str]:
    """The addresses of the parts. Changes `env`: the platform's address is only known once it is up."""
    commands = {
        "emulator": ["emulator", "--data", str(room / "platform"), "--actors", str(room / "actors")],
        "worker": ["worker", "--config", folder.routes.name],
        "receiver": ["receiver", "--config", folder.routes.name],
    }
    urls: dict[str, str] = {}
    for part in PARTS:
        urls[part] = await crew.start(part, [*commands[part], "--port", "0"], env=env, cwd=folder.path)
        ready(part, urls[part])
        env.setdefault("APIFY_API_URL", urls["emulator"])
    return urls


def _source(folder: DemoFolder, env: dict[str, str]) -> ApifySource:
    source = load(folder.routes, env).sources[SOURCE]
    assert isinstance(source, ApifySource)
    return source


class _Logs:
    """Each part's lines into a file of its own."""

    def __init__(self, stack: AsyncExitStack, folder: DemoFolder) -> None:
        self._files: dict[str, IO[str]] = {
            part: stack.enter_context(folder.log(part).open("w", encoding="utf-8")) for part in PARTS
        }

    def __call__(self, part: str, line: str) -> None:
        self._files[part].write(line + "\n")
        self._files[part].flush()
