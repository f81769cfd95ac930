"""Sending webhooks: one dispatch per event and webhook, tried until a 2xx or the end of the schedule.

Apify, "Webhook actions": POST with a JSON body, 2 minutes per call, any 2xx is success, 11 retries after 1, 2, 4 …
minutes. A dispatch that is still active when the emulator stops goes on when it starts again.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import aiohttp
import msgspec

from emulator.documents import Document, Documents, Filter
from emulator.scenarios import Delay, Duplicate, Lose
from emulator.settings import EmulatorSettings
from emulator.stamps import new_id, stamp
from emulator.templates import DEFAULT_PAYLOAD, TemplateError, render
from emulator.webhooks import Webhooks

RETRIES = 11
FIRST_DELAY_SECONDS = 60.0
CALL_TIMEOUT_SECONDS = 120.0
_SHORTEST_TIMEOUT_SECONDS = 2.0  # however fast the clock runs, a listener needs a moment
_KEPT_BODY = 4096
_RESERVED_HEADERS = {
    "host",
    "content-type",
    "content-length",
    "transfer-encoding",
    "connection",
    "x-apify-webhook",
    "x-apify-webhook-dispatch-id",
    "x-apify-request-origin",
}


class Dispatches:
    """Makes and sends dispatches. `present` turns a run into what the API would show of it."""

    def __init__(
        self,
        documents: Documents,
        webhooks: Webhooks,
        settings: EmulatorSettings,
        present: Callable[[Document], Document],
    ) -> None:
        self._documents, self._webhooks, self._settings, self._present = documents, webhooks, settings, present
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the client and take up what an earlier process left active."""
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        for dispatch in self._documents.all("dispatch", Filter().add("json_extract(body, '$.status')='ACTIVE'")):
            self._spawn(self._resume(dispatch))

    async def close(self) -> None:
        """Stop sending; active dispatches stay active on disk."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session:
            await self._session.close()

    def fire(self, event: str, run: Document) -> None:
        """Something happened to a run: send it to every webhook that wants it."""
        data = {"actorId": run["actId"], "actorRunId": run["id"], "actorTaskId": run["actorTaskId"]}
        for webhook in self._webhooks.matching(event, run):
            self.send(webhook, event, data, self._present(run))

    def test(self, webhook: Document) -> Document:
        """Send a TEST event with a made-up resource."""
        return self.send(webhook, "TEST", None, {"message": "This is a test of the webhook."})

    def send(self, webhook: Document, event: str, data: Document | None, resource: Document) -> Document:
        """Make one dispatch and begin to send it."""
        now = stamp()
        dispatch: Document = {
            "id": new_id(),
            "userId": webhook["userId"],
            "webhookId": webhook["id"],
            "createdAt": now,
            "status": "ACTIVE",
            "eventType": event,
            "eventData": data,
            "webhook": {name: webhook[name] for name in ("actionType", "condition", "requestUrl", "isAdHoc")},
            "calls": [],
        }
        values = {"userId": webhook["userId"], "createdAt": now, "eventType": event, "eventData": data}
        values |= {"resource": resource, "globals": {"dateISO": now, "dateUnix": int(time.time())}}
        dispatch["_request"] = _rendered(webhook, dispatch["id"], values)
        self._documents.put("dispatch", dispatch, created=now, owner=webhook["id"], name=None)
        self._webhooks.note_dispatch(webhook["id"], "ACTIVE", None)
        self._spawn(self._deliver(dispatch))
        return dispatch

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _resume(self, dispatch: Document) -> None:
        if made := len(dispatch["calls"]):
            await asyncio.sleep(self._delay(made - 1))
        await self._deliver(dispatch)

    async def _deliver(self, dispatch: Document) -> None:
        fault = self._settings.scenario.take(f"WEBHOOK {dispatch['eventType']}")
        if isinstance(fault, Lose) or "error" in dispatch["_request"]:
            self._finish(dispatch, "FAILED")
            return
        if isinstance(fault, Delay):
            await asyncio.sleep(fault.seconds)
        self._finish(dispatch, "SUCCEEDED" if await self._attempts(dispatch) else "FAILED")
        for _ in range(fault.copies if isinstance(fault, Duplicate) else 0):
            await self._call(dispatch)

    async def _attempts(self, dispatch: Document) -> bool:
        retries = 0 if dispatch["_request"]["doNotRetry"] else RETRIES
        for attempt in range(len(dispatch["calls"]), retries + 1):
            if await self._call(dispatch):
                return True
            if attempt < retries:
                await asyncio.sleep(self._delay(attempt))
        return False

    def _delay(self, attempt: int) -> float:
        return FIRST_DELAY_SECONDS * float(2**attempt) * self._settings.clock_factor

    async def _call(self, dispatch: Document) -> bool:
        call: Document = {"startedAt": stamp(), "finishedAt": None, "errorMessage": None}
        call |= {"responseStatus": None, "responseBody": None}
        try:
            status, body = await self._post(dispatch["_request"])
            call |= {"responseStatus": status, "responseBody": body}
            if not 200 <= status < 300:
                call["errorMessage"] = f"Webhook request got the status code {status}"
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            call["errorMessage"] = f"Webhook request failed: {str(error) or type(error).__name__}"
        call["finishedAt"] = stamp()
        dispatch["calls"].append(call)
        self._documents.save("dispatch", dispatch)
        return call["errorMessage"] is None

    async def _post(self, request: Document) -> tuple[int, str]:
        assert self._session, "start() opens it"
        seconds = max(CALL_TIMEOUT_SECONDS * self._settings.clock_factor, _SHORTEST_TIMEOUT_SECONDS)
        async with self._session.post(
            request["url"],
            data=request["body"].encode(),
            headers=request["headers"],
            allow_redirects=False,
            ssl=not request["ignoreSslErrors"],
            timeout=aiohttp.ClientTimeout(total=seconds),
        ) as response:
            body = await response.content.read(_KEPT_BODY)
            return response.status, body.decode("utf-8", "replace")

    def _finish(self, dispatch: Document, status: str) -> None:
        dispatch["status"] = status
        self._documents.save("dispatch", dispatch)
        self._webhooks.note_dispatch(dispatch["webhookId"], status, stamp())


def _rendered(webhook: Document, dispatch_id: str, values: Document) -> Document:
    """The request to send; `error` instead of headers and body when a template fails on these values."""
    request = {"url": webhook["requestUrl"]} | {name: webhook[name] for name in ("ignoreSslErrors", "doNotRetry")}
    interpolate = bool(webhook["shouldInterpolateStrings"])
    try:
        body = render(webhook["payloadTemplate"] or DEFAULT_PAYLOAD, values, interpolate=interpolate)
        headers = render(webhook["headersTemplate"] or "{}", values, interpolate=interpolate)
        return request | {"body": msgspec.json.encode(body).decode(), "headers": _headers(headers, dispatch_id)}
    except TemplateError as error:
        return request | {"error": str(error)}


def _headers(wanted: Any, dispatch_id: str) -> dict[str, str]:
    if not isinstance(wanted, dict) or not all(isinstance(value, str) for value in wanted.values()):
        raise TemplateError("The headers template must give an object of strings.")
    own = {name: value for name, value in wanted.items() if name.lower() not in _RESERVED_HEADERS}
    return own | {
        "Content-Type": "application/json",
        "X-Apify-Webhook": "1",
        "X-Apify-Webhook-Dispatch-Id": dispatch_id,
        "X-Apify-Request-Origin": "WEBHOOK",
    }
