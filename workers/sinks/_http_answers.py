"""What follows from an answer of a receiver that is not 2xx, and from none at all."""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from socket import gaierror
from urllib.parse import urlsplit

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientError,
    ClientOSError,
    ClientResponse,
    ServerDisconnectedError,
)

from config.contracts.errors import Permanent, Transient, Unauthorized, WorkError
from config.contracts.reasons import Reason

_LONGEST_WAIT = 3600.0
#: 409: a receiver that still works on the same Idempotency-Key says so.
_AGAIN = frozenset({408, 409, 425, 429})
_OF_ITEM = frozenset({400, 413, 422})
_CURES = {
    401: ", mend `headers` or `sign`",
    403: ", mend `headers` or `sign`",
    404: ", mend `url`",
    405: ", mend `method`",
    415: ", mend `content_type` or `compress`",
}
_GONE = "the receiver answered 410 Gone: it wants no more; mend `url` or remove the target, then `runrelay resume`"
#: What OpenSSL calls the alerts of a receiver that wants a certificate of ours, or another one.
_WANTS_OURS = ("ALERT_CERTIFICATE", "ALERT_BAD_CERTIFICATE", "ALERT_UNKNOWN_CA", "ALERT_HANDSHAKE_FAILURE")
#: Codes of OpenSSL's X509_verify_cert_error_string(3): not yet valid, expired; another host name, another address.
_OUT_OF_DATE, _ANOTHER_HOST = frozenset({9, 10}), frozenset({62, 64})


def verdict(answer: ClientResponse, said: str) -> WorkError:
    """What happens next. `said`: how the answer begins, fit to be logged."""
    status = answer.status
    detail = ": ".join(filter(None, [f"HTTP {status}{_CURES.get(status, '')}", said]))
    if status in {401, 403}:
        return Unauthorized(Reason.TOKEN_REFUSED, detail)
    if status == 410:
        # Standard Webhooks: the receiver asks not to be called any more. Dead letters would obey it as well, but each
        # run would ask anew and its data would be given up; a target that is paused does neither.
        return Unauthorized(Reason.TARGET_REFUSED, _GONE)
    if status in _AGAIN or status >= 500:
        return Transient(Reason.TARGET_UNAVAILABLE, detail, retry_after=_retry_after(answer.headers))
    if status in _OF_ITEM:
        return Permanent(Reason.ITEM_REFUSED, detail)
    if 300 <= status < 400:
        where = _host(answer.headers.get("Location", ""))
        return Permanent(Reason.TARGET_REFUSED, f"HTTP {status} to {where}: redirects are not followed, mend `url`")
    return Permanent(Reason.TARGET_REFUSED, detail)


@contextmanager
def trouble() -> Iterator[None]:
    """Turns having no answer into what happens next."""
    try:
        yield
    except (ClientError, TimeoutError, OSError) as exc:
        raise no_answer(exc) from exc


def no_answer(exc: Exception) -> WorkError:
    """Most of it is worth another try; certificates a person has to mend. Names no URL: a URL may be a secret."""
    cause = _cause(exc)
    if isinstance(cause, ssl.SSLCertVerificationError):
        said = f"no answer: its certificate is not trusted ({cause.verify_message.rstrip('.')})"
        return Unauthorized(Reason.TARGET_REFUSED, f"{said}: {_cure_of(cause.verify_code)}")
    if isinstance(cause, ssl.SSLError):
        return _tls(cause)
    return Transient(Reason.TARGET_UNAVAILABLE, f"no answer: {_why(cause)}")


def _cause(exc: BaseException) -> BaseException:
    """The error of the socket or of TLS, which the client wraps."""
    if isinstance(exc, ClientConnectorCertificateError):
        return exc.certificate_error
    if isinstance(exc, ClientConnectorError):
        return exc.os_error
    inner = exc.__cause__ or exc.__context__
    return inner if isinstance(exc, ClientError) and isinstance(inner, ssl.SSLError) else exc


def _cure_of(code: int) -> str:
    if code in _ANOTHER_HOST:
        return "write `url` with the name it is made out to"
    return "have it renewed there" if code in _OUT_OF_DATE else "name the CA that signed it with `ca`"


def _tls(cause: ssl.SSLError) -> WorkError:
    why = cause.reason or "TLS"
    if any(word in why for word in _WANTS_OURS):
        return wants_ours()
    said = f"no answer: TLS fails ({why}): does `url` begin with the right scheme and port?"
    return Transient(Reason.TARGET_UNAVAILABLE, said)


def hung_up(error: Transient) -> bool:
    """Whether somebody took the connection and ended it without an answer. TLS 1.3 lets a receiver do so over our
    certificate when the request is already on its way, and the reason is lost: look again without one."""
    cause = error.__cause__
    return isinstance(cause, ClientOSError | ServerDisconnectedError) and not isinstance(cause, ClientConnectorError)


def wants_ours() -> Unauthorized:
    """What a receiver means that hangs up after the handshake."""
    said = "no answer: it wants a certificate of ours that it trusts: mend `cert` and `key`"
    return Unauthorized(Reason.TOKEN_REFUSED, said)


def _why(cause: BaseException) -> str:
    said = cause.strerror if isinstance(cause, OSError) and cause.strerror else type(cause).__name__
    match cause:
        case gaierror():
            return f"the host in `url` is not known ({said}): mend `url`, or the name service here"
        case ConnectionRefusedError():
            return "nobody listens there: start it, or mend host and port in `url`"
        case TimeoutError():
            return "none within `timeout`: mend it there, or wait longer"
    return said


def _host(location: str) -> str:
    """Where a redirect leads; not its path, which may be somebody's secret."""
    try:
        return ascii(urlsplit(location).hostname) if "//" in location else "another path of the same host"
    except ValueError:
        return "nowhere"


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, at most an hour, from the number or the date the far side wrote; None if it wrote neither."""
    written = headers.get("Retry-After", "").strip()
    try:
        wait = float(written) if written.isdecimal() else _until(parsedate_to_datetime(written))
    except (ValueError, OverflowError):
        return None
    return min(max(wait, 0.0), _LONGEST_WAIT)


def _until(moment: datetime) -> float:
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
