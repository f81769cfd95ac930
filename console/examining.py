"""What `runrelay doctor` looks at. Each examination stands alone: it asks one thing, and says what it found."""

import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec
from redis.asyncio import Redis

from config.contracts.api import Answer, Api, Patience
from config.contracts.source import Source
from config.durability import findings
from config.freshness import Freshness
from config.route import SourceSpec
from config.settings import Settings
from config.sources.apify import ApifySource, lasting
from config.sources.apify.answers import data
from config.sources.apify.webhooks import AdHocWebhook
from config.wire.answers import SMALL
from console.doors import Door, door
from console.failures import CommandFailed
from console.holds import cure, hold_words
from console.opening import open_ledger
from console.registering import adoption
from console.starting import base_of, door_of, is_loopback
from workers.fetch.api import HttpApi, Params, open_session
from workers.ledger.expiring import expiring
from workers.ledger.freshness import stale
from workers.ledger.quarantine import held
from workers.ledger.standing import look

#: Seconds two clocks may differ; `Date` headers have whole seconds, and answers take their time.
SKEW = 5.0
#: Share of its memory from which on Redis is too full.
FULL = 0.7
#: Webhooks of an account that are looked through, those among them looked into, and dispatches of each.
MOST_WEBHOOKS, MOST_OURS, MOST_DISPATCHES = 1000, 20, 20
#: Deliveries looked at from each end of those that are open; somebody waits for the answer.
MOST_DELIVERIES = 5000


@dataclass(frozen=True)
class Finding:
    """What one examination says. Without a cure all is well, or (`tried` is False) nobody can say."""

    check: str
    message: str
    cure: str = ""
    tried: bool = True

    @property
    def well(self) -> bool:
        return not self.cure


class Account(msgspec.Struct):
    """Get private user data (API reference, "Users")."""

    id: str
    username: str = ""


async def redis_durability(settings: Settings) -> list[Finding]:
    """Persistence, eviction, role, and whether there is room."""
    name = "redis"
    async with open_ledger(settings.redis_url, settings.namespace) as ledger:
        found = [_split(name, sentence) for sentence in await findings(ledger.redis, settings.durability)]
        memory = (await look(ledger.redis, ledger.keys, 1)).memory
    if memory and memory.ratio >= FULL:
        message = f"{memory.ratio:.0%} of the memory of Redis is used; at its end every webhook is refused"
        found.append(Finding(name, message, "raise maxmemory, or let more workers deliver what waits"))
    return found or [Finding(name, f"it is as durable as RUNRELAY_DURABILITY={settings.durability} asks for")]


def _split(name: str, sentence: str) -> Finding:
    """`config.durability` says what is wrong, and behind the last semicolon what to do."""
    message, _, cure = sentence.rpartition("; ")
    return Finding(name, message or sentence, cure)


async def redis_answers(settings: Settings) -> list[Finding]:
    """Nothing, if it does. Raises RedisError."""
    async with _redis(settings) as redis:
        await redis.get(f"{settings.namespace}:answers")
    return []


async def workers_alive(settings: Settings) -> list[Finding]:
    async with open_ledger(settings.redis_url, settings.namespace) as ledger:
        workers = (await look(ledger.redis, ledger.keys)).workers
    if not workers:
        return [Finding("workers", "none has signed on lately: nothing is delivered", "start `runrelay worker`")]
    return [Finding("workers", f"at work: {', '.join(workers)}")]


async def source_data(settings: Settings, sources: Mapping[str, Source]) -> list[Finding]:
    """Whether the platform is about to delete what open or dead deliveries need."""
    name = "source_data"
    async with open_ledger(settings.redis_url, settings.namespace) as ledger:
        found = await expiring(ledger.redis, ledger.keys, sources, MOST_DELIVERIES)
    if not found:
        return [Finding(name, "no delivery needs data that the platform deletes within a day")]
    first, when = found[0], datetime.fromtimestamp(found[0].expires, UTC)
    whose = "1 delivery" if len(found) == 1 else f"{len(found):,} deliveries"
    message = (
        f"within a day the platform may delete what {whose} still need{'s' * (len(found) == 1)}, the first at "
        f"{when:%Y-%m-%d %H:%M} UTC: run {first.run_id} for {first.route}/{first.target}"
    )
    return [Finding(name, message, "mend what `runrelay status` names, then `runrelay dlq retry` what has died of it")]


async def holds(settings: Settings) -> list[Finding]:
    """What somebody holds, what refused our credentials, and what fails."""
    async with open_ledger(settings.redis_url, settings.namespace) as ledger:
        found = (await look(ledger.redis, ledger.keys)).paused
    bad = [Finding("holds", hold_words(one), cure(one)) for one in found]
    return bad or [Finding("holds", "nothing is held, refuses us or fails again and again")]


async def quarantine(settings: Settings) -> list[Finding]:
    """What waits for a person's word."""
    name = "quarantine"
    async with open_ledger(settings.redis_url, settings.namespace) as ledger:
        found = await held(ledger.redis, ledger.keys, MOST_DELIVERIES)
    bad = [
        Finding(
            name,
            f"{one.route}: {one.count:,} of {one.source} {'is' if one.count == 1 else 'are'} held ({one.reason})",
            f"`runrelay quarantine show {one.example[:12]}` says why; then release or discard",
        )
        for one in found
    ]
    return bad or [Finding(name, "nothing is in quarantine")]


async def freshness(settings: Settings, routes: Mapping[str, Freshness]) -> list[Finding]:
    """Routes that have not delivered for longer than they may."""
    if not routes:
        return []
    name = "freshness"
    async with open_ledger(settings.redis_url, settings.namespace) as ledger:
        found = await stale(ledger.redis, ledger.keys, routes, await ledger.now())
    bad = [Finding(name, f"{one.route} should have delivered: {one.wanted} is wanted", _LATE) for one in found]
    return bad or [Finding(name, "every route that says how often it must deliver does")]


_LATE = "`runrelay runs` lists what came and `status` what waits; if no run came, look at its schedule"


async def redis_clock(settings: Settings) -> list[Finding]:
    async with _redis(settings) as redis:
        before = time.time()
        seconds, micros = await redis.time()
        return [_skew("redis_clock", "Redis", int(seconds) + int(micros) / 1e6, before, time.time())]


async def spool(settings: Settings) -> list[Finding]:
    """Files under way lie there; a worker makes the folder if it can."""
    folder = settings.spool_dir.absolute()
    there = next(each for each in (folder, *folder.parents) if each.exists())
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        return [Finding("spool", f"{folder} can be written to")]
    cure = f"give this user the right to write to {there}, or set RUNRELAY_SPOOL_DIR to a folder on a lasting disk"
    return [Finding("spool", f"{folder} cannot be written to", cure)]


async def address(settings: Settings, spec: SourceSpec, source: Source) -> list[Finding]:
    """Whether the platform could reach our door, and would be let in."""
    name, ours = f"{source.name}.address", door(settings, spec, source)
    if not isinstance(source, ApifySource):
        return [Finding(name, *_way_in(ours, source))]
    try:
        return [Finding(name, f"webhooks go to {door_of(settings, source).request_url}")]
    except CommandFailed as failed:
        return [Finding(name, *_cured(failed, source))]


def _way_in(ours: Door, source: Source) -> tuple[str, str]:
    """Where its webhooks go, and what to do if they cannot get there."""
    if not ours.verified:
        cure = "" if ours.reconcile else f"give the source {source.name} `webhook.secrets`, or `reconcile`"
        return "it has no `webhook`, so none is let in", cure
    if not ours.url:
        return _UNSET, _SET
    if is_loopback(ours.url) and ours.api and not is_loopback(source.manners.base_url):
        return f"the platform cannot reach {ours.url}", _SET
    return f"webhooks go to {ours.url}", ""


_UNSET = "RUNRELAY_PUBLIC_URL is not set, so nobody can be told where webhooks go"
_SET = "set RUNRELAY_PUBLIC_URL to the address the platform reaches the receiver at"


def _cured(failed: CommandFailed, source: ApifySource) -> tuple[str, str]:
    """What is wrong with the door, and what to do."""
    if failed.kind == "secret_missing":
        return failed.message, f"set webhook.secrets of the source {source.name}, to the value of a variable"
    return (_UNSET if failed.kind == "public_url_missing" else failed.message.partition(": ")[0]), _SET


async def token(source: Source) -> list[Finding]:
    """Whether the platform takes our token, and whose it is."""
    name = f"{source.name}.token"
    if isinstance(source, ApifySource):
        return await _apify_token(name, source)
    if not source.manners.base_url:
        return [Finding(name, "none is needed: the platform is asked nothing, its webhooks say all there is")]
    async with _platform(source) as api:
        account = await source.account(api)
        if not api.asked:
            return [Finding(name, _UNTRIED, tried=False)]
    if account and source.accounts and account not in source.accounts:
        return [_of_others(name, account, source)]
    return [Finding(name, f"it belongs to {account}" if account else "the platform takes it")]


_UNTRIED = "not tried: nothing can be asked without a run, so the first one tells whether it is right"


def _of_others(name: str, account: str, source: Source) -> Finding:
    message = f"it belongs to {account}, whose runs are not among `accounts`: {', '.join(source.accounts)}"
    return Finding(name, message, "add the account to `accounts` of the source, or use a token of one of them")


async def _apify_token(name: str, source: ApifySource) -> list[Finding]:
    """Also: what time it is there."""
    async with _platform(source) as api:
        before = time.time()
        answer = await api.get("/users/me", most=SMALL)
        account, after = data(answer, Account), time.time()
    found = [Finding(name, f"it belongs to {account.username or account.id} ({account.id})")]
    if source.accounts and account.id not in source.accounts:
        found = [_of_others(name, account.id, source)]
    if date := answer.headers.get("date"):
        there = parsedate_to_datetime(date).timestamp()
        found.append(_skew(f"{source.name}.clock", "the platform", there, before, after))
    return found


async def webhooks(settings: Settings, source: ApifySource) -> list[Finding]:
    """Persistent webhooks of the account that lead here: are they as they should be, and do they get through?"""
    try:
        name, ours, door = f"{source.name}.webhooks", f"{base_of(settings)}/", door_of(settings, source)
    except CommandFailed:
        return []  # what keeps them from us, `address` tells
    found: list[Finding] = []
    async with _platform(source) as api:
        leading = [each async for each in _first(lasting.webhooks(api), MOST_WEBHOOKS) if _leads_to(each, ours)]
        for each in leading[:MOST_OURS]:
            found += [Finding(name, *said) async for said in _troubles(api, each["id"], door)]
    count = len(leading)
    said = "1 persistent webhook that leads" if count == 1 else f"{count} persistent webhooks that lead"
    return found or [Finding(name, f"{said} here, and nothing against {'it' if count == 1 else 'them'}")]


async def _troubles(api: Api, webhook_id: str, door: AdHocWebhook) -> AsyncIterator[tuple[str, str]]:
    """What is wrong with a webhook, and what to do."""
    adopt = f"runrelay webhooks adopt {webhook_id}"
    webhook = await lasting.get(api, webhook_id)
    if webhook.get("isEnabled") is False:
        yield f"webhook {webhook_id} is switched off", "switch it on in the Console"
    try:
        if changes := adoption(webhook, door):
            yield f"webhook {webhook_id} differs from what it should be in {', '.join(changes)}", adopt
    except CommandFailed as failed:
        yield failed.message, f"{adopt} --redirect"
    newest = [each async for each in _first(lasting.dispatches(api, webhook_id), MOST_DISPATCHES)]
    ended = [each["status"] for each in newest if each.get("status") in {"SUCCEEDED", "FAILED"}]
    if ended[:1] == ["FAILED"]:
        failures = [each for each in newest if each.get("status") == "FAILED"]
        said = f"{len(failures)} of the last {len(newest)} dispatches of webhook {webhook_id} failed"
        status = _last_status(await lasting.dispatch(api, failures[0]["id"]))
        yield f"{said}, the newest with {status}", _cure_of(status, adopt)


def _last_status(dispatch: Mapping[str, Any]) -> str:
    calls = dispatch.get("calls") or [{}]
    status = calls[-1].get("responseStatus")
    return f"HTTP {status}" if status else "no answer"


def _cure_of(status: str, adopt: str) -> str:
    if status == "HTTP 401":
        return f"make it bring our secret: {adopt}"
    return "try the way with `runrelay webhooks send`, and see what the receiver logs"


def _leads_to(webhook: Mapping[str, Any], ours: str) -> bool:
    """Whether it is a lasting one of ours; those of a single run end with it."""
    return str(webhook.get("requestUrl", "")).startswith(ours) and not webhook.get("isAdHoc")


def _skew(name: str, whose: str, there: float, before: float, after: float) -> Finding:
    """Their time, asked for between two moments of ours (all in seconds)."""
    off = max(before - there, there - after, 0.0)
    if off <= SKEW:
        return Finding(name, f"the clocks of this machine and of {whose} agree")
    message = f"the clocks of this machine and of {whose} are {off:.0f} s apart"
    return Finding(name, message, "let both follow a time server (NTP)")


async def _first(things: AsyncIterator[dict[str, Any]], most: int) -> AsyncIterator[dict[str, Any]]:
    async for each in things:
        if most <= 0:
            return
        most -= 1
        yield each


@asynccontextmanager
async def _redis(settings: Settings) -> AsyncIterator[Redis]:
    async with open_ledger(settings.redis_url, settings.namespace) as ledger:
        yield ledger.redis


@asynccontextmanager
async def _platform(source: Source) -> AsyncIterator["_Noticing"]:
    """Asked once: an examination has little time, and what is refused now is a finding."""
    async with open_session() as session:
        yield _Noticing(session, replace(source.manners, patience=Patience(tries=1)))


class _Noticing(HttpApi):
    """`asked`: whether anything was."""

    asked = False

    async def get(self, path: str, params: Params | None = None, *, most: int | None = None) -> Answer:
        self.asked = True
        return await super().get(path, params, most=most)
