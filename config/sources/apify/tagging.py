"""Starts that can be told apart. A tag travels as the user agent of the request, and the platform keeps that with the
run: `meta.userAgent` of the run object, which lists of runs show as well (API reference, schema `RunMeta`)."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from config.contracts.api import Api
from config.contracts.errors import Permanent
from config.contracts.reasons import Reason
from config.sources.apify.paths import TASK
from config.sources.apify.runs import Fields, listed
from config.sources.apify.webhooks import AdHocWebhook

#: Runs that are looked through for one tag, at most.
MOST = 20_000
#: How far before the given moment runs are still looked at, for clocks of the platform that do not agree.
_MARGIN = timedelta(minutes=1)
_AGENT = re.compile(r"Runrelay/(?P<tag>\S+) chain/(?P<chain>\d{1,6})", re.ASCII)
#: The platform's default payload, and how many starts of ours led to the run.
_PAYLOAD = (
    '{"userId":{{userId}},"createdAt":{{createdAt}},"eventType":{{eventType}},"eventData":{{eventData}},'
    '"resource":{{resource}},"runrelay":{"chain":%d}}'
)


def agent(tag: str, chain: int) -> str:
    """The user agent of a start: its tag, and how many starts of ours led to the run, this one included."""
    return f"Runrelay/{tag} chain/{chain}"


def telling(webhook: AdHocWebhook, chain: int) -> AdHocWebhook:
    """A webhook whose payload says the same of its run."""
    return replace(webhook, payload_template=_PAYLOAD % chain)


def tag_of(run: Mapping[str, Any]) -> str:
    """The tag of the start that made a run; empty if it was none of ours, or if the tag got lost."""
    found = _AGENT.fullmatch(_agent_of(run))
    return found["tag"] if found else ""


def chain_of(run: Mapping[str, Any], payload: Any) -> int:
    """How many starts of ours led to a run, by the platform's account of it and by its webhook's, should one of them
    have lost it; 0 if somebody else started it."""
    return max(_by_agent(run), _by_payload(payload))


def _by_agent(run: Mapping[str, Any]) -> int:
    found = _AGENT.fullmatch(_agent_of(run))
    return int(found["chain"]) if found else 0


def _by_payload(payload: Any) -> int:
    told = payload.get("runrelay") if isinstance(payload, dict) else None
    chain = told.get("chain") if isinstance(told, dict) else None
    return chain if type(chain) is int else 0


async def started(api: Api, program: str, tag: str, since: str) -> Fields | None:
    """The run that a start with this tag made, if the platform lists one.

    program: as `program_path` takes it. since: a moment the start cannot have come before, by the platform's clock, ISO
    8601. Raises Permanent (target_refused) if so many runs were started since that it cannot be told.
    """
    first = _moment(since) - _MARGIN
    after = None if program.startswith(TASK) else first.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    seen = 0
    async for run in listed(api, program, started_after=after):
        if tag_of(run) == tag:
            return run
        if _moment(run["startedAt"]) < first:
            return None
        seen += 1
        if seen >= MOST:
            raise Permanent(
                Reason.TARGET_REFUSED,
                f"{program} was started {MOST} times since {since}: whether one of them was this start cannot be told",
            )
    return None


def _moment(written: str) -> datetime:
    """One without a zone is UTC."""
    moment = datetime.fromisoformat(written)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _agent_of(run: Mapping[str, Any]) -> str:
    meta = run.get("meta")
    said = meta.get("userAgent") if isinstance(meta, dict) else None
    return said if isinstance(said, str) else ""
