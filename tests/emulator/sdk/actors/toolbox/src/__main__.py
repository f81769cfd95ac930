"""Uses every storage and every call of the SDK that needs no second run, and tells what it saw in OUTPUT."""

import asyncio
import os
from pathlib import Path
from typing import Any

from apify import Actor, Request, Webhook


async def storages(count: int) -> dict[str, Any]:
    await Actor.push_data({"n": 0})
    await Actor.push_data([{"n": n, "text": "x" * 2000} for n in range(1, count)])
    for alias, name in (("reviews", None), ("undeclared", None), (None, "prices")):
        dataset = await Actor.open_dataset(alias=alias, name=name)
        await dataset.push_data({"in": alias or name})
    default = await Actor.open_dataset()
    page = await default.get_data(limit=2)
    return {
        "items": [item["n"] async for item in default.iterate_items()],
        "page": [page.total, page.count, page.offset],
        "reviews": (await Actor.open_dataset(alias="reviews")).id,
        "default": default.id,
        "prices": [item async for item in (await Actor.open_dataset(name="prices")).iterate_items()],
    }


async def records() -> dict[str, Any]:
    values = {"object": {"a": [1, 2]}, "text": "žluť", "none": None, "big": "y" * 5000}
    for key, value in values.items():
        await Actor.set_value(key, value)
    await Actor.set_value("bytes", b"\x00\xff", content_type="image/png")
    await Actor.set_value("gone", 1)
    store = await Actor.open_key_value_store()
    await store.delete_value("gone")
    named = await Actor.open_key_value_store(name="shared")
    await named.set_value("seen", 1)
    return {
        "read": {key: await Actor.get_value(key) == value for key, value in values.items()},
        "bytes": list(await Actor.get_value("bytes") or b""),
        "absent": [await Actor.get_value("gone"), await Actor.get_value("never", default_value="default")],
        "keys": [key.key async for key in store.iterate_keys()],
        "exists": [await store.record_exists("text"), await store.record_exists("gone")],
    }


async def queue() -> dict[str, Any]:
    queue = await Actor.open_request_queue()
    urls = [f"http://127.0.0.1/{n}" for n in range(40)]
    await queue.add_requests([Request.from_url(url) for url in urls])
    await queue.add_request(urls[0])
    first = await queue.fetch_next_request()
    assert first
    await queue.mark_request_as_handled(first)
    second = await queue.fetch_next_request()
    assert second
    await queue.reclaim_request(second, forefront=True)
    again = await queue.fetch_next_request()
    assert again
    metadata = await queue.get_metadata()
    return {
        "first": first.url,
        "again": again.url == second.url,
        "counts": [metadata.total_request_count, metadata.handled_request_count],
        "finished": await queue.is_finished(),
    }


async def main() -> None:
    async with Actor:
        given = await Actor.get_input()
        await Actor.set_status_message("working")
        await Actor.add_webhook(Webhook(event_types=["ACTOR.RUN.SUCCEEDED"], request_url=given["hook"]))
        charged = await Actor.charge("page", count=3)
        state = await Actor.use_state({"seen": 0})
        state["seen"] = 7
        env = Actor.get_env()
        output = {
            "count": given["count"],
            "storages": await storages(given["count"]),
            "records": await records(),
            "queue": await queue(),
            "charged": [charged.charged_count, charged.event_charge_limit_reached],
            "env": {name: env[name] for name in ("id", "run_id", "memory_mbytes", "build_number")},
            "configured": [Actor.configuration.actor_full_name, Actor.configuration.actor_build_tags],
            "own": [os.environ["COLOUR"], os.environ["APIFY_TOKEN"].startswith("apify_run_")],
            "at_home": Actor.is_at_home(),
            "wrote_locally": Path("storage").exists(),
            "proxied": [name for name in os.environ if name.lower() in {"http_proxy", "https_proxy", "all_proxy"}],
        }
        await Actor.set_value("OUTPUT", output)
        await Actor.exit(status_message="All done")


asyncio.run(main())
