"""Sending what a platform would send, to see what a receiver says."""

import json
import secrets
import string
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import ClientError, ClientTimeout

from console.failures import CommandFailed
from workers.fetch.api import open_session

#: Seconds Apify waits for an answer (its webhook documentation, "Webhook actions").
PATIENCE = 120.0
#: Bytes of an answer that are shown.
SHOWN = 200
_LETTERS = string.ascii_letters + string.digits


@dataclass(frozen=True)
class Said:
    """What the other side answered. start: the first bytes of its body."""

    status: int
    ms: int
    start: bytes

    @property
    def taken(self) -> bool:
        """Whether Apify would not try again."""
        return 200 <= self.status < 300


def test_event(kind: str, run_id: str | None) -> bytes:
    """A body as Apify's default payload template makes it; without a run it is about nothing."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    told = {
        "userId": None,
        "createdAt": now,
        "eventType": kind,
        "eventData": {"actorId": None, "actorRunId": run_id} if run_id else None,
        "resource": {"id": run_id} if run_id else None,
    }
    return json.dumps(told).encode()


async def send(url: str, secret: str, body: bytes) -> Said:
    """Post once, with the headers Apify sets; redirects are not followed, as Apify does not. Raises CommandFailed."""
    headers = {
        "Content-Type": "application/json",
        "X-Apify-Webhook": "1",
        "X-Apify-Webhook-Dispatch-Id": "".join(secrets.choice(_LETTERS) for _ in range(17)),
        "X-Apify-Request-Origin": "WEBHOOK",
        **({"Authorization": f"Bearer {secret}"} if secret else {}),
    }
    began = time.monotonic()
    try:
        async with (
            open_session() as session,
            session.own.post(
                url, data=body, headers=headers, allow_redirects=False, timeout=ClientTimeout(PATIENCE)
            ) as answer,
        ):
            start = await answer.content.read(SHOWN)
            return Said(answer.status, round((time.monotonic() - began) * 1000), start)
    except (ClientError, OSError, TimeoutError, ValueError) as exc:
        message = f"{url} did not answer ({type(exc).__name__}): check the address, and that something listens there"
        raise CommandFailed("no_answer", message) from exc
