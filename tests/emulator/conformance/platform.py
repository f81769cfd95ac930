"""An emulator in a thread of its own, with one of everything in it: for tests that are not coroutines."""

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import requests

from emulator.serve import serve
from emulator.settings import EmulatorSettings

TOKEN = "t"
#: Nothing listens here, and nothing that is made up may be called.
NOWHERE = "http://127.0.0.1:9/"


class Platform:
    """`ids`: path parameter → what it names."""

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
        actor = self.ask("GET", "/acts/local~quick")
        task = self.ask("POST", "/actor-tasks", {"actId": actor["id"], "name": "daily"})
        run = self.ask("POST", f"/actor-tasks/{task['id']}/runs?waitForFinish=20")
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
        self.ids = {
            "userId": run["userId"],
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
