"""Accounts, their limits and what they used; and schedules, of which there are none (Apify API, "Users")."""

from datetime import UTC, datetime

from starlette.responses import Response

from emulator.access import Account
from emulator.api.call import Call, Endpoint, data, listed
from emulator.api.missing import not_emulated
from emulator.documents import Document, Filter
from emulator.errors import ApiError, not_found
from emulator.stamps import stamp

_FEATURES = (
    *("ACTORS", "STORAGE", "SCHEDULER", "PROXY", "PROXY_EXTERNAL_ACCESS", "PROXY_RESIDENTIAL", "PROXY_SERPS"),
    *("WEBHOOKS", "ACTORS_PUBLIC_ALL", "ACTORS_PUBLIC_DEVELOPER"),
)
_HERE = {"ACTORS", "STORAGE", "WEBHOOKS"}
#: Nothing is limited here; these are the figures of a generous plan.
_LIMITS = {
    "maxMonthlyUsageUsd": 1000,
    "maxMonthlyActorComputeUnits": 100_000,
    "maxMonthlyExternalDataTransferGbytes": 1000,
    "maxMonthlyProxySerps": 0,
    "maxMonthlyResidentialProxyGbytes": 0,
    "maxActorMemoryGbytes": 256,
    "maxActorCount": 1000,
    "maxActorTaskCount": 1000,
    "maxConcurrentActorJobs": 256,
    "maxTeamAccountSeatCount": 1,
    "dataRetentionDays": 31,
    "maxScheduleCount": 0,
}


def endpoints() -> list[Endpoint]:
    """`/v2/users` and `/v2/schedules`."""
    return [
        Endpoint("/v2/users/me", {"GET": show_me}),
        Endpoint("/v2/users/me/limits", {"GET": show_limits, "PUT": not_emulated}),
        Endpoint("/v2/users/me/usage/monthly", {"GET": show_usage}),
        Endpoint("/v2/users/{user}", {"GET": show}, public=True),
        Endpoint("/v2/schedules", {"GET": list_schedules, "POST": not_emulated}),
        Endpoint("/v2/schedules/{schedule}", {"GET": no_schedule, "PUT": not_emulated, "DELETE": not_emulated}),
        Endpoint("/v2/schedules/{schedule}/log", {"GET": no_schedule}),
    ]


async def show_me(call: Call) -> Response:
    """`GET /v2/users/me`."""
    me = call.account
    return data(
        {
            "id": me.id,
            "username": me.username,
            "profile": {"name": me.username},
            "email": f"{me.username}@example.com",
            "proxy": {"password": "emulator", "groups": []},
            "plan": {"id": "EMULATOR", "description": "A platform of one's own", "availableProxyGroups": {}},
            "effectivePlatformFeatures": {name: _feature(name) for name in _FEATURES},
            "createdAt": _month(datetime.now(UTC))[0],
            "isPaying": True,
        }
    )


async def show(call: Call) -> Response:
    """`GET /v2/users/{id}`: what everybody may know, by id or name."""
    account = call.platform.access.known(call.path("user"))
    if account is None:
        raise ApiError(404, "user-not-found", "User was not found.")
    return data({"username": account.username, "profile": {"name": account.username}})


async def show_limits(call: Call) -> Response:
    """`GET /v2/users/me/limits`."""
    start, end = _month(datetime.now(UTC))
    return data({"monthlyUsageCycle": {"startAt": start, "endAt": end}, "limits": _LIMITS, "current": _current(call)})


async def show_usage(call: Call) -> Response:
    """`GET /v2/users/me/usage/monthly`: nothing here is billed."""
    start, end = _month(call.query.moment("date") or datetime.now(UTC))
    return data(
        {
            "usageCycle": {"startAt": start, "endAt": end},
            "monthlyServiceUsage": {},
            "dailyServiceUsages": [],
            "totalUsageCreditsUsdBeforeVolumeDiscount": 0,
            "totalUsageCreditsUsdAfterVolumeDiscount": 0,
        }
    )


async def list_schedules(call: Call) -> Response:
    """`GET /v2/schedules`."""
    return data(listed(call.query, []))


async def no_schedule(call: Call) -> Response:
    """`GET /v2/schedules/{id}`."""
    raise not_found("Schedule")


def _feature(name: str) -> Document:
    reason = None if name in _HERE else "The emulator does not have it."
    return {
        "isEnabled": reason is None,
        "disabledReason": reason,
        "disabledReasonType": reason and "DISABLED",
        "isTrial": False,
        "trialExpirationAt": None,
    }


def _current(call: Call) -> Document:
    platform, own = call.platform, _own(call.account)
    running = platform.runs.unfinished()
    return {
        "monthlyUsageUsd": 0,
        "monthlyActorComputeUnits": 0,
        "monthlyExternalDataTransferGbytes": 0,
        "monthlyProxySerps": 0,
        "monthlyResidentialProxyGbytes": 0,
        "actorMemoryGbytes": sum(run["options"]["memoryMbytes"] for run in running) / 1024,
        "actorCount": len(platform.programs.all()),
        "actorTaskCount": platform.documents.count("task", own),
        "activeActorJobCount": len(running),
        "teamAccountSeatCount": 1,
        "scheduleCount": 0,
    }


def _own(account: Account) -> Filter:
    return Filter().add("owner=?", account.id)


def _month(moment: datetime) -> tuple[str, str]:
    """When the month of this moment begins, and when the next one does."""
    first = moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    return stamp(first), stamp(following)
