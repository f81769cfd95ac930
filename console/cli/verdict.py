"""From an exception to one clear line. What is not listed here is a bug of ours and keeps its traceback."""

import errno
import os
from typing import Protocol

from redis.exceptions import RedisError

from config.contracts.errors import Forbidden, NotFound, Transient, Unauthorized, WorkError
from config.contracts.reasons import Reason
from config.queue import QueueUnavailable
from console.failures import CommandFailed, status_of

_ADDRESS = frozenset({errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES})
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})

FAILED = 1
INTERRUPTED = 130

_REDIS = "Redis does not answer as it should ({}): start `runrelay up` here, or see that REDIS_URL names one that runs"


class Judged(Protocol):
    """What was looked at: it is well, it is not, or nobody can say."""

    @property
    def well(self) -> bool: ...
    @property
    def tried(self) -> bool: ...


def mark(one: Judged) -> str:
    """What its line begins with."""
    if not one.tried:
        return "-- "
    return "ok " if one.well else "BAD"


def explain(error: BaseException) -> CommandFailed | None:
    """What to tell the user; None for a bug."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    match error:
        case CommandFailed():
            return error
        case WorkError():
            return _work(error)
        case QueueUnavailable() | RedisError():
            return CommandFailed("queue_unavailable", _REDIS.format(_named(error)))
        case OSError():
            return _system(error)
    return None


def _system(error: OSError) -> CommandFailed | None:
    """A port or a file that cannot be had."""
    if error.filename:
        return CommandFailed("file_unusable", f"{error.filename}: {error.strerror}")
    if error.errno in _ADDRESS:
        said = os.strerror(error.errno)
        return CommandFailed("address_unusable", f"{said}: choose another --host or --port (0: any free one)")
    if error.errno in _FULL:
        return CommandFailed("output_unusable", f"what is said cannot be written: {os.strerror(error.errno)}")
    return None


def _work(error: WorkError) -> CommandFailed:
    """What the platform's refusal means to somebody who asked by hand."""
    kind, said = error.reason.value, error.detail
    match error:
        case Forbidden():
            kind = "forbidden"
            message = f"the platform does not let our token do this ({said}): is it ours, is the token scoped?"
        case Unauthorized() if error.reason is Reason.SOURCE_UNPAID:
            message = f"the platform wants to be paid ({said}): see to the account there"
        case Unauthorized():
            message = f"the platform refused our token ({said}): check `token` of the source"
        case NotFound():
            kind, message = "not_found", f"the platform does not know it ({said}): check the name or id"
        case Transient() if status_of(error) == 429:
            kind = "rate_limited"
            message = f"the platform's rate limit is used up ({said}): try again in a minute"
        case Transient() if 0 < status_of(error) < 500:
            message = f"the platform cannot do it now ({said}): try again later"
        case Transient():
            message = f"the platform cannot be reached ({said}): check the network, and `api_url` of the source"
        case _:
            message = f"the platform refused it ({said})"
    return CommandFailed(kind, message)


def _named(error: Exception) -> str:
    return str(error) if isinstance(error, QueueUnavailable) else type(error).__name__
