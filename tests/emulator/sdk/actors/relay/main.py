"""Has to do with other runs: starts, calls, aborts, becomes another Actor, begins again."""

import asyncio

from apify import Actor


async def begin() -> None:
    ended = await Actor.call("local/ender", {"how": "ok"}, logger=None)
    waiting = await Actor.start("local/ender", {"how": "wait"}, memory_mbytes=128, timeout="inherit")
    aborted = await Actor.abort(waiting.id, status_message="No longer needed")
    task = await Actor.call_task("local/finish")
    seen: dict[str, object] = {"called": ended.status, "task": task.status}
    seen |= {"started": waiting.options.memory_mbytes, "aborted": aborted.id}
    await Actor.set_value("SEEN", seen)
    await Actor.reboot()


async def main() -> None:
    async with Actor:
        if await Actor.get_value("SEEN") is None:
            await begin()
        await Actor.push_data({"rebooted": True})
        await Actor.metamorph("local/ender", {"how": "fail", "says": "I was the relay"})


asyncio.run(main())
