"""Serves a peer's application with uvicorn at its defaults, without its access log, and prints where."""

import json
import socket

import uvicorn
from starlette.applications import Starlette


def serve(app: Starlette) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(json.dumps({"url": f"http://127.0.0.1:{listener.getsockname()[1]}"}), flush=True)
    uvicorn.Server(uvicorn.Config(app, access_log=False, log_level="warning")).run(sockets=[listener])
