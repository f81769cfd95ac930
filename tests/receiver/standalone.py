"""A receiver in a process of its own: prints its URL, and keeps webhooks waiting until a line comes in."""

import asyncio
import sys

from config import logs
from config.settings import load_settings
from receiver.app import create_app
from receiver.serve import serve
from tests.receiver.plain import TestQueue, plain_source


def say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


class SlowQueue(TestQueue):
    """Says when a webhook has come this far."""

    def hold_until_a_line(self) -> None:
        hold = self.hold()
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), hold.go.set)
        asyncio.create_task(self.announce(hold.arrived)).add_done_callback(lambda _: None)

    async def announce(self, arrived: asyncio.Semaphore) -> None:
        await arrived.acquire()
        say("inside")


async def main() -> None:
    queue = SlowQueue()
    queue.hold_until_a_line()
    app = create_app({"plain": plain_source("plain", "secret")}, queue, settings=load_settings())
    await serve(app, "127.0.0.1", 0, say)
    say("stopped")


if __name__ == "__main__":
    logs.configure()
    asyncio.run(main())
