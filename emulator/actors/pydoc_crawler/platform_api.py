"""The five calls of the Apify API this Actor needs, with plain HTTP.

Paths and bodies: Apify's API reference, "Get record", "Store record", "Store items" and "Update run".
No call is repeated: after a lost answer nobody knows whether the items of a push were taken.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp

from .failures import InputRefused, PlatformFailed

CALL_TIMEOUT = aiohttp.ClientTimeout(total=30)  # seconds
JSON = "application/json; charset=utf-8"


@dataclass(frozen=True)
class RunPlace:
    """Where this run lives: what the platform says in environment variables."""

    api_url: str
    token: str
    run_id: str
    dataset_id: str
    store_id: str
    input_key: str


def run_place(environment: Mapping[str, str]) -> RunPlace:
    """Raises: InputRefused naming the first variable that is missing."""

    def needed(name: str) -> str:
        if not (value := environment.get(name)):
            raise InputRefused(f"{name} is not set; an Actor is started by the platform")
        return value

    return RunPlace(
        api_url=needed("APIFY_API_BASE_URL").rstrip("/").removesuffix("/v2"),
        token=needed("APIFY_TOKEN"),
        run_id=needed("ACTOR_RUN_ID"),
        dataset_id=needed("ACTOR_DEFAULT_DATASET_ID"),
        store_id=needed("ACTOR_DEFAULT_KEY_VALUE_STORE_ID"),
        input_key=environment.get("ACTOR_INPUT_KEY") or "INPUT",
    )


class PlatformApi:
    """Calls about one run. Every method raises PlatformFailed for no answer, or one that is not 2xx."""

    def __init__(self, session: aiohttp.ClientSession, place: RunPlace) -> None:
        self._session = session
        self._place = place

    async def read_input(self) -> object:
        """The input record's JSON; `{}` if the run has none."""
        status, body = await self._call("GET", self._record_path(self._place.input_key), allowed=(404,))
        if status == 404 or not body.strip():
            return {}
        try:
            return json.loads(body)
        except ValueError:
            raise InputRefused("the input record is not JSON") from None

    async def push_items(self, items: Sequence[Mapping[str, Any]]) -> None:
        """Appends the items to the run's dataset, in one call."""
        await self._call("POST", f"datasets/{quote(self._place.dataset_id)}/items", json.dumps(items).encode())

    async def store_record(self, key: str, body: bytes, content_type: str) -> None:
        """Creates or replaces one record of the run's key-value store."""
        await self._call("PUT", self._record_path(key), body, content_type)

    async def say(self, message: str, *, is_last: bool = False) -> None:
        """Sets the run's status message; the platform keeps the one that `is_last`."""
        status = {"statusMessage": message, "isStatusMessageTerminal": is_last}
        await self._call("PUT", f"actor-runs/{quote(self._place.run_id)}", json.dumps(status).encode())

    def _record_path(self, key: str) -> str:
        return f"key-value-stores/{quote(self._place.store_id)}/records/{quote(key, safe='')}"

    async def _call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        content_type: str = JSON,
        *,
        allowed: tuple[int, ...] = (),
    ) -> tuple[int, bytes]:
        url = f"{self._place.api_url}/v2/{path}"
        headers = {"Content-Type": content_type} if body is not None else {}
        try:
            async with self._session.request(method, url, data=body, headers=headers) as response:
                answer = await response.read()
        except (aiohttp.ClientError, TimeoutError) as failed:
            reason = str(failed) or type(failed).__name__
            raise PlatformFailed(f"the platform at {self._place.api_url} gave no answer: {reason}") from None
        if response.ok or response.status in allowed:
            return response.status, answer
        raise PlatformFailed(f"the platform answered {response.status} to {method} /v2/{path}")


@asynccontextmanager
async def platform_api(place: RunPlace) -> AsyncIterator[PlatformApi]:
    """Calls with the run's own token, and no proxy."""
    headers = {"Authorization": f"Bearer {place.token}"}
    async with aiohttp.ClientSession(headers=headers, timeout=CALL_TIMEOUT) as session:
        yield PlatformApi(session, place)
