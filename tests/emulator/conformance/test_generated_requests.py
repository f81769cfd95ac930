"""Requests that nobody wrote: schemathesis makes them up from the platform's document, for every operation.

Whatever comes, the emulator answers with a status below 500 (501 where it says what it lacks) and in the shape the
document gives that answer.
"""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings

from emulator.serve import serve
from emulator.settings import EmulatorSettings
from tests.emulator.conformance.document import DOCUMENT, faults, operation

TOKEN = "t"
#: Nothing listens here, and nothing that is made up may be called.
NOWHERE = "http://127.0.0.1:9/"

Case = schemathesis.Case[Any]
schema = schemathesis.openapi.from_dict(DOCUMENT)
schema.config.phases.coverage.enabled = False


class Platform:
    """An emulator in a thread of its own, with one of everything in it."""

    def __init__(self, folder: Path) -> None:
        actor = folder / "actors" / "quick"
        actor.mkdir(parents=True)
        (actor / "main.py").write_text("")
        (actor / "actor.yaml").write_text(json.dumps({"name": "quick", "command": ["{python}", "-S", "main.py"]}))
        self.settings = EmulatorSettings(data=folder / "data", actors=(actor.parent,), token=TOKEN, clock_factor=0.0002)
        self.loop = asyncio.new_event_loop()
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.url = ""
        self.ids: dict[str, str] = {}

    def start(self) -> None:
        self.thread.start()
        assert self.ready.wait(20)
        self.fill()

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.task.cancel)
        self.thread.join(20)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.task = self.loop.create_task(serve(self.settings, "127.0.0.1", 0, ready=self._listening))
        self.loop.run_until_complete(asyncio.wait([self.task]))
        self.loop.close()

    def _listening(self, url: str) -> None:
        self.url = url
        self.ready.set()

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = requests.request(
            method, f"{self.url}/v2{path}", json=body, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30
        )
        assert answer.status_code < 300, answer.text
        return answer.json().get("data")

    def fill(self) -> None:
        run = self.ask("POST", "/acts/local~quick/runs?waitForFinish=20")
        queue, store = run["defaultRequestQueueId"], run["defaultKeyValueStoreId"]
        self.ask("POST", f"/datasets/{run['defaultDatasetId']}/items", [{"a": 1}, {}])
        self.ask("PUT", f"/key-value-stores/{store}/records/OUTPUT", {"a": 1})
        request = self.ask("POST", f"/request-queues/{queue}/requests", {"url": NOWHERE, "uniqueKey": "u"})
        webhook = self.ask(
            "POST",
            "/webhooks",
            {"eventTypes": ["TEST"], "requestUrl": NOWHERE, "condition": {"actorId": run["actId"]}, "doNotRetry": True},
        )
        dispatch = self.ask("POST", f"/webhooks/{webhook['id']}/test")
        task = self.ask("POST", "/actor-tasks", {"actId": run["actId"], "name": "daily"})
        self.ids = {
            "runId": run["id"],
            "actorId": run["actId"],
            "actorTaskId": task["id"],
            "buildId": run["buildId"],
            "buildOrRunId": run["id"],
            "datasetId": run["defaultDatasetId"],
            "storeId": store,
            "recordKey": "OUTPUT",
            "queueId": queue,
            "requestId": request["requestId"],
            "webhookId": webhook["id"],
            "dispatchId": dispatch["id"],
        }


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    platform = Platform(tmp_path_factory.mktemp("platform"))
    platform.start()
    yield platform
    platform.stop()


@schema.parametrize()
@settings(max_examples=5, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_a_made_up_request_is_answered_in_the_documented_shape(case: Case, platform: Platform) -> None:
    aimed(case, platform)
    answer = case.call(base_url=platform.url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30)
    assert answer.status_code < 500 or answer.status_code == 501, answer.text
    found = operation(case.method, case.operation.path)
    if found is None:  # a method the path does not have
        assert answer.status_code == 405
        return
    if case.method == "HEAD":
        return
    content_type = answer.headers.get("content-type", [""])[0]
    assert faults(found, answer.status_code, content_type, answer.content) == []


def aimed(case: Case, platform: Platform) -> None:
    """The request at something that exists, unless it would delete it; never one that waits or calls out."""
    if case.method != "DELETE":
        known = {name: platform.ids[name] for name in case.path_parameters or {} if name in platform.ids}
        case.path_parameters = {**(case.path_parameters or {}), **known}
    for name in ("waitForFinish", "webhooks", "stream"):
        if case.query and name in case.query:
            del case.query[name]
    if isinstance(case.body, dict) and "requestUrl" in case.body:
        case.body["requestUrl"] = NOWHERE
