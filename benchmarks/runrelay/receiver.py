"""Runrelay's receiver with everything on: secret check, limits, log line, metrics. Prints where it listens."""

import uvloop

from config import logs, routes
from config.queue import RunQueue
from config.settings import load_settings
from receiver.app import create_app
from receiver.serve import serve


async def main() -> None:
    settings = load_settings()
    table = routes.load(settings.config)
    logs.configure(settings.log_level, "json", table.secrets)
    async with RunQueue.connect(settings) as queue:
        app = create_app(table.sources, queue, settings=settings)
        await serve(app, "127.0.0.1", 0, lambda url: print(url, flush=True))


if __name__ == "__main__":
    uvloop.run(main())
