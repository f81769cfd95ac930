"""A worker's own small door: `/healthz` and `/metrics`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

#: A loop that lags longer than this many seconds is sick: leases would run out before they are renewed.
MOST_LAG = 10.0
TICK = 1.0


class Pulse:
    """How late the event loop runs what is due."""

    def __init__(self) -> None:
        self._clock = asyncio.get_running_loop().time
        self._last = self._clock()
        self._worst = 0.0

    async def beat(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(TICK)
            now = self._clock()
            self._worst = max(now - self._last - TICK, 0.0)
            self._last = now

    @property
    def lag(self) -> float:
        """Seconds by which the loop was late at its last tick, or is late now."""
        return max(self._worst, self._clock() - self._last - TICK, 0.0)


def health_app(pulse: Pulse) -> web.Application:
    async def healthz(_: web.Request) -> web.Response:
        if pulse.lag > MOST_LAG:
            message = f"the event loop lags {pulse.lag:.1f} s; the process should be restarted"
            return web.json_response({"kind": "internal_error", "message": message}, status=503)
        return web.json_response({"status": "ok"})

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/metrics", metrics)
    return app


@asynccontextmanager
async def health_server(host: str, port: int) -> AsyncIterator[str]:
    """Serve while the worker works; yields the base URL. Port 0 picks a free one."""
    pulse = Pulse()
    beating = asyncio.create_task(pulse.beat())
    runner = web.AppRunner(health_app(pulse), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        bound = runner.addresses[0][1]
        yield f"http://{host}:{bound}"
    finally:
        beating.cancel()
        await runner.cleanup()
