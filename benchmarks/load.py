"""Sends webhooks as fast as they are answered: `python -m benchmarks.load URL SECONDS CONNECTIONS`.

Each connection is kept alive and sends its next webhook when the last one was answered. Prints one JSON object.
"""

import asyncio
import json
import re
import sys
import time
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import SplitResult, urlsplit
from uuid import uuid4

import uvloop

SECRET = "a-secret-only-this-benchmark-knows"  # long, like a real one
#: most webhooks of one shot, whatever its seconds
MOST = 500_000
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_RUN = b"RuNiDOfSeventeen0"
#: What Apify sends with its default payload template; 1.2 KB.
_WEBHOOK = {
    "userId": "wRsJZtadYvn4mBZmm",
    "createdAt": "2026-11-20T09:41:07.220Z",
    "eventType": "ACTOR.RUN.SUCCEEDED",
    "eventData": {"actorId": "moJRLRc85AitArpNN", "actorRunId": _RUN.decode()},
    "resource": {
        "id": _RUN.decode(),
        "actId": "moJRLRc85AitArpNN",
        "userId": "wRsJZtadYvn4mBZmm",
        "startedAt": "2026-11-20T09:38:51.904Z",
        "finishedAt": "2026-11-20T09:41:07.003Z",
        "status": "SUCCEEDED",
        "statusMessage": "Finished! Total 412 requests: 409 succeeded, 3 failed.",
        "isStatusMessageTerminal": True,
        "meta": {"origin": "SCHEDULER", "scheduleId": "zJDtOXIvqXcPnTb5X", "scheduledAt": "2026-11-20T09:38:50.000Z"},
        "stats": {
            "inputBodyLen": 486,
            "restartCount": 0,
            "resurrectCount": 0,
            "memAvgBytes": 301875622.4,
            "memMaxBytes": 512188416,
            "cpuAvgUsage": 41.3,
            "netRxBytes": 90311477,
            "netTxBytes": 4188307,
            "durationMillis": 135004,
            "runTimeSecs": 135.004,
            "computeUnits": 0.0375,
        },
        "options": {"build": "latest", "timeoutSecs": 3600, "memoryMbytes": 1024, "diskMbytes": 2048},
        "buildId": "Lg8CvBqyJ5Y6tVwqK",
        "exitCode": 0,
        "defaultKeyValueStoreId": "EK3sCSMxfvGNm7oD2",
        "defaultDatasetId": "yTmKq0cVbNwX5zLp8",
        "defaultRequestQueueId": "Q1hRz7uXo3sPd9JwM",
        "buildNumber": "0.1.27",
    },
}
_BODY = json.dumps(_WEBHOOK, separators=(",", ":")).encode()


def request(url: SplitResult) -> bytes:
    """A whole request; `_RUN` stands where the run id belongs."""
    head = (
        f"POST {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nUser-Agent: Apify/Webhook\r\nAccept: */*\r\n"
        f"Content-Type: application/json; charset=utf-8\r\nAuthorization: Bearer {SECRET}\r\n"
        f"X-Apify-Webhook-Dispatch-Id: {_RUN.decode()}\r\nContent-Length: {len(_BODY)}\r\n\r\n"
    )
    return head.encode() + _BODY


@dataclass
class Shot:
    """All connections together.

    Attributes:
        end: no webhook is begun later (`time.perf_counter`).
        took: seconds each answered webhook waited for its answer.
    """

    template: bytes
    end: float
    prefix: str = field(default_factory=lambda: uuid4().hex[:8])
    sent: int = 0
    took: list[float] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def next(self) -> bytes | None:
        if self.sent >= MOST or self.refused or time.perf_counter() >= self.end:
            return None
        self.sent += 1
        return self.template.replace(_RUN, f"{self.prefix}{self.sent:09d}".encode())

    def answered(self, answer: bytes, seconds: float) -> None:
        if answer[9:10] == b"2":
            self.took.append(seconds)
        else:
            self.refused.append(answer.decode(errors="replace"))


class Connection(asyncio.Protocol):
    """One webhook after the other. `done` is resolved at the end, or with the trouble the connection had."""

    def __init__(self, shot: Shot) -> None:
        self.shot = shot
        self.done = asyncio.get_running_loop().create_future()
        self.answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.send()

    def send(self) -> None:
        if webhook := self.shot.next():
            self.began = time.perf_counter()
            self.transport.write(webhook)
        else:
            self.done.set_result(None)
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        self.answer += data
        head = self.answer.find(b"\r\n\r\n")
        length = _LENGTH.search(self.answer, 0, head) if head >= 0 else None
        if length and len(self.answer) >= head + 4 + int(length[1]):
            self.shot.answered(self.answer, time.perf_counter() - self.began)
            self.answer = b""
            self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the server hung up"))


async def shoot(url: str, seconds: float, connections: int) -> dict[str, object]:
    """Rate, and percentiles of the answers' times in milliseconds."""
    parts = urlsplit(url)
    address = (str(parts.hostname), parts.port or 80)
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    shot = Shot(request(parts), began + seconds)
    made = [await loop.create_connection(lambda: Connection(shot), *address) for _ in range(connections)]
    await asyncio.gather(*(connection.done for _, connection in made))
    lasted = time.perf_counter() - began
    took = sorted(shot.took)
    return {
        "answered": len(took),
        "refused": shot.refused[:1],
        "rate": len(took) / lasted,
        "p50": 1000 * took[len(took) // 2] if took else 0.0,
        "p99": 1000 * took[len(took) * 99 // 100] if took else 0.0,
    }


if __name__ == "__main__":
    print(json.dumps(uvloop.run(shoot(sys.argv[1], float(sys.argv[2]), int(sys.argv[3])))))
