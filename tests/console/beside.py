"""A platform that serves in a thread of its own, while the test's thread runs commands against it."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TypeVar

from emulator.scenarios import Scenario
from tests.config.sources.platforms import TOKEN, Emulated, Scripted, emulated, scripted
from workers.fetch.api import open_session

T = TypeVar("T")
SECRET = "s3cret-of-the-hook"
PUBLIC = "http://127.0.0.1:9"
PROGRAM = """
import json, os, time, urllib.request

def call(method, path, body=None, kind="application/json"):
    headers = {"Authorization": "Bearer " + os.environ["APIFY_TOKEN"], "Content-Type": kind}
    url = os.environ["APIFY_API_BASE_URL"] + "/v2" + path
    return urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method)).read()

store = "/key-value-stores/" + os.environ["ACTOR_DEFAULT_KEY_VALUE_STORE_ID"] + "/records/"
given = json.loads(call("GET", store + "INPUT"))
rows = json.dumps([{"n": n} for n in range(3)]).encode()
call("POST", "/datasets/" + os.environ["ACTOR_DEFAULT_DATASET_ID"] + "/items", rows)
print("begun", flush=True)
time.sleep(given.get("sleep", 0))
print("done", flush=True)
raise SystemExit(given.get("exit", 0))
"""


@contextmanager
def beside(opening: Callable[[], AbstractAsyncContextManager[T]]) -> Iterator[T]:
    """What the context manager yields, in a loop that runs in another thread."""
    loop, stack = asyncio.new_event_loop(), AsyncExitStack()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(stack.enter_async_context(opening()), loop).result(30)
    finally:
        asyncio.run_coroutine_threadsafe(stack.aclose(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def emulator_beside(folder: Path) -> Iterator[Emulated]:
    """The emulator with `local/writer`, an Actor that leaves three items; `folder` has a file that names it."""

    @asynccontextmanager
    async def opening() -> AsyncIterator[Emulated]:
        async with open_session() as session, emulated(session, folder, Scenario(), PROGRAM) as place:
            yield place

    with beside(opening) as place:
        write_file(folder, place.source.manners.base_url.removesuffix("/v2"))
        yield place


@contextmanager
def scripted_beside(folder: Path) -> Iterator[Scripted]:
    """A platform that answers as told; `folder` has a file that names it."""

    @asynccontextmanager
    async def opening() -> AsyncIterator[Scripted]:
        async with open_session() as session, scripted(session) as place:
            yield place

    with beside(opening) as place:
        write_file(folder, place.source.manners.base_url.removesuffix("/v2"))
        yield place


def write_file(folder: Path, api_url: str, token: str = TOKEN) -> None:
    """A runrelay.yaml on one platform."""
    (folder / "runrelay.yaml").write_text(f"""\
version: 1
sources: {{apify: {{token: "{token}", api_url: "{api_url}", webhook: {{secrets: [{SECRET}]}}}}}}
sinks: {{out: {{type: stdout}}}}
routes: [{{name: all, to: [{{sink: out}}]}}]
""")
