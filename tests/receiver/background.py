"""A receiver in a thread of its own, with its real neighbours: for tests that are not coroutines."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from config.queue import RunQueue
from config.settings import load_settings
from config.sources.apify import Config, connect
from receiver.app import create_app
from receiver.serve import serve

SECRET = "8f1d6f0f4c5b4b4b9d0e2a7c6b5a4f3e"


@contextmanager
def in_background(redis_url: str) -> Iterator[str]:
    """Yields its URL. The source is `apify`, its secret SECRET."""
    loop = asyncio.new_event_loop()
    stop, ready = asyncio.Event(), threading.Event()
    urls: list[str] = []

    def told(url: str) -> None:
        urls.append(url)
        ready.set()

    async def run() -> None:
        source = connect("apify", Config.model_validate({"token": "apify_api_x", "webhook": {"secrets": [SECRET]}}))
        settings = load_settings(redis_url=redis_url, receive_timeout=1.0)
        async with RunQueue.connect(settings) as queue:
            await serve(create_app({"apify": source}, queue, settings=settings), "127.0.0.1", 0, told, stop=stop)

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), daemon=True)
    thread.start()
    assert ready.wait(20)
    try:
        yield urls[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.close()
