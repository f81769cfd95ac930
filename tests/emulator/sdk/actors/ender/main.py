"""Ends as its input says."""

import asyncio
import sys
from typing import Any

from apify import Actor, Event

told = asyncio.Event()


async def on_aborting(data: object) -> None:
    await Actor.set_value("STATE", "saved")
    told.set()


async def main() -> None:
    async with Actor:
        given = await Actor.get_input() or {}
        how = given.get("how")
        if how == "fail":
            await Actor.fail(exit_code=7, status_message=given["says"])
        if how == "raise":
            raise RuntimeError("broken")
        if how == "exit":
            sys.exit(3)
        if how == "wait":
            Actor.on(Event.ABORTING, on_aborting)
            print("waiting")
            await told.wait()
        if how == "proxy":
            proxy = await Actor.create_proxy_configuration()
            await Actor.set_value("PROXY", await proxy.new_url() if proxy else None)
        if how == "events":
            heard: asyncio.Queue[Any] = asyncio.Queue()
            Actor.on(Event.SYSTEM_INFO, heard.put)
            info = await heard.get()
            await Actor.set_value("HEARD", info.model_dump(mode="json"))


asyncio.run(main())
