"""The same route as in `starlette_bare`, queueing a job with arq as its documentation shows."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from arq import create_pool
from arq.connections import RedisSettings
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from benchmarks.peers.serving import serve


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    app.state.arq = await create_pool(RedisSettings.from_dsn(os.environ["REDIS_URL"]))
    yield
    await app.state.arq.aclose()


async def webhook(request: Request) -> JSONResponse:
    run = await request.json()
    await request.app.state.arq.enqueue_job("deliver", run)
    return JSONResponse({"status": "accepted", "id": run["resource"]["id"]})


if __name__ == "__main__":
    serve(Starlette(routes=[Route("/webhooks/apify", webhook, methods=["POST"])], lifespan=lifespan))
