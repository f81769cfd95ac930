"""Sending webhooks: one dispatch per event and webhook, tried until a 2xx or the end of the schedule.

Apify, "Webhook actions": POST with a JSON body, 2 minutes per call, any 2xx is success, 11 retries after 1, 2, 4 …
minutes. A dispatch that is still active when the emulator stops goes on when it starts again.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import aiohttp
import msgspec

from emulator.access import Access
from emulator.documents import Document, Documents, Filter
from emulator.scenarios import Delay, Duplicate, Lose, Overtaken, Replace
from emulator.settings import DispatchCall, EmulatorSettings
from emulator.stamps import millis_between, new_id, stamp
from emulator.templates import DEFAULT_PAYLOAD, TemplateError, render
from emulator.webhooks import Webhooks

RETRIES = 11
FIRST_DELAY_SECONDS = 60.0
CALL_TIMEOUT_SECONDS = 120.0
_SHORTEST_TIMEOUT_SECONDS = 2.0  # however fast the clock runs, a listener needs a moment
_KEPT_BODY = 4096
_SHORTEST_SECRET = 4  # shorter values stand in too many answers by chance
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
        access: Access,
        present: Callable[[Document], Document],
    ) -> None:
        self._documents, self._webhooks, self._settings, self._present = documents, webhooks, settings, present
        self._access = access
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None
        self._next_end = asyncio.Event()

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
        if isinstance(fault, Lose):
            self._finish(dispatch, "FAILED")
            return
        if problem := dispatch["_request"].get("error"):
            now = stamp()
            unsent = {"startedAt": now, "finishedAt": now, "responseStatus": None, "responseBody": None}
            self._tell(dispatch, {**unsent, "errorMessage": f"The webhook was not sent: {problem}"}, None)
            self._finish(dispatch, "FAILED")
            return
        if isinstance(fault, Delay):
            await asyncio.sleep(fault.seconds)
        if isinstance(fault, Overtaken):
            await self._next_end.wait()
        if isinstance(fault, Replace):
            request = dispatch["_request"]
            request["body"] = fault.within(request["body"].encode()).decode()
        self._finish(dispatch, "SUCCEEDED" if await self._attempts(dispatch) else "FAILED")
        for _ in range(fault.copies if isinstance(fault, Duplicate) else 0):
            await self._call(dispatch, None)

    async def _attempts(self, dispatch: Document) -> bool:
        retries = 0 if dispatch["_request"]["doNotRetry"] else RETRIES
        for attempt in range(len(dispatch["calls"]), retries + 1):
            pause = self._delay(attempt) if attempt < retries else None
            if await self._call(dispatch, pause):
                return True
            if pause is not None:
                await asyncio.sleep(pause)
        return False

    def _delay(self, attempt: int) -> float:
        return FIRST_DELAY_SECONDS * float(2**attempt) * self._settings.clock_factor

    async def _call(self, dispatch: Document, pause: float | None) -> bool:
        """Whether it was taken; if not, the next try comes after `pause` seconds, None for never."""
        call: Document = {"startedAt": stamp(), "finishedAt": None, "errorMessage": None}
        call |= {"responseStatus": None, "responseBody": None}
        try:
            status, body = await self._post(dispatch["_request"])
            call |= {"responseStatus": status, "responseBody": body}
            if not 200 <= status < 300:
                call["errorMessage"] = f"Webhook request got the status code {status}"
        except TimeoutError:
            call["errorMessage"] = "Webhook request timed out"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            call["errorMessage"] = f"Webhook request failed: {str(error) or type(error).__name__}"
        call["finishedAt"] = stamp()
        dispatch["calls"].append(call)
        self._documents.save("dispatch", dispatch)
        self._tell(dispatch, call, pause)
        return call["errorMessage"] is None

    def _tell(self, dispatch: Document, call: Document, pause: float | None) -> None:
        if on_dispatch := self._settings.on_dispatch:
            failed = call["errorMessage"] is not None
            on_dispatch(
                DispatchCall(
                    event=dispatch["eventType"],
                    url=dispatch["_request"]["url"],
                    status=call["responseStatus"],
                    millis=millis_between(call["startedAt"], call["finishedAt"]),
                    error=call["errorMessage"],
                    answer=_without_secrets(call["responseBody"] or "", dispatch["_request"]),
                    next_try=pause if failed else None,
                )
            )

    async def _post(self, request: Document) -> tuple[int, str]:
        assert self._session, "start() opens it"
        seconds = max(CALL_TIMEOUT_SECONDS * self._settings.clock_factor, _SHORTEST_TIMEOUT_SECONDS)
        with self._authority(request) as authority:
            async with self._session.post(
                request["url"],
                data=request["body"].encode(),
                headers=authority | request["headers"],
                allow_redirects=False,
                ssl=not request["ignoreSslErrors"],
                timeout=aiohttp.ClientTimeout(total=seconds),
            ) as response:
                body = await response.content.read(_KEPT_BODY)
                return response.status, body.decode("utf-8", "replace")

    @contextlib.contextmanager
    def _authority(self, request: Document) -> Iterator[dict[str, str]]:
        """A token for the one call, if it goes to the emulator's own API; Apify adds one to calls of its API too."""
        if not request["url"].startswith(f"{self._settings.base_url}/v2/"):
            yield {}
            return
        token = self._access.issue(self._access.account_of(request["userId"]))
        try:
            yield {"Authorization": f"Bearer {token}"}
        finally:
            self._access.revoke(token)

    def _finish(self, dispatch: Document, status: str) -> None:
        self._next_end.set()
        self._next_end = asyncio.Event()
        dispatch["status"] = status
        self._documents.save("dispatch", dispatch)
        self._webhooks.note_dispatch(dispatch["webhookId"], status, stamp())


def _rendered(webhook: Document, dispatch_id: str, values: Document) -> Document:
    """The request to send; `error` instead of headers and body when a template fails on these values."""
    request = {name: webhook[name] for name in ("userId", "ignoreSslErrors", "doNotRetry")}
    request["url"] = webhook["requestUrl"]
    interpolate = bool(webhook["shouldInterpolateStrings"])
    try:
        body = render(webhook["payloadTemplate"] or DEFAULT_PAYLOAD, values, interpolate=interpolate)
        headers = render(webhook["headersTemplate"] or "{}", values, interpolate=interpolate)
        return request | {"body": msgspec.json.encode(body).decode(), "headers": _headers(headers, dispatch_id)}
    except TemplateError as error:
        return request | {"error": str(error)}


def _without_secrets(answer: str, request: Document) -> str:
    """Some servers answer with what they were sent: what a headers template gave stays between the two."""
    for name, value in request.get("headers", {}).items():
        for secret in (value, value.rpartition(" ")[2]) if name.lower() not in _RESERVED_HEADERS else ():
            answer = answer.replace(secret, "***") if len(secret) >= _SHORTEST_SECRET else answer
    return answer


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
