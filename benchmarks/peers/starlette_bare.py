"""A Starlette route that parses the webhook, stores nothing and answers 200: what Python over HTTP costs at least."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from benchmarks.peers.serving import serve


async def webhook(request: Request) -> JSONResponse:
    run = await request.json()
    return JSONResponse({"status": "accepted", "id": run["resource"]["id"]})


if __name__ == "__main__":
    serve(Starlette(routes=[Route("/webhooks/apify", webhook, methods=["POST"])]))
