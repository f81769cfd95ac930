"""What happens next after an object store said no. Its messages carry URLs and XML: only the code is taken from them.

The codes: docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html,
learn.microsoft.com/rest/api/storageservices/blob-service-error-codes,
cloud.google.com/storage/docs/xml-api/reference-status.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from obstore.exceptions import BaseError, NotSupportedError, PermissionDeniedError, UnauthenticatedError

from config.contracts.errors import Permanent, Transient, Unauthorized, WorkError
from config.contracts.reasons import Reason
from workers.sinks._object_stores import Cloud, Place

_CODE = re.compile(r"<Code>\s*([A-Za-z0-9]{1,60})\s*</Code>")
_STATUS = re.compile(r"non-2xx status code: (\d{3})")
_KIND = re.compile(r"kind: (Connect|Timeout|Interrupted|Decode|Unknown)\b")
_KINDS = {"Connect": "no connection", "Timeout": "timed out", "Interrupted": "broke off"}
#: Where machines in a cloud ask for the credentials of their role.
_ROLE = re.compile(
    r"/latest/(?:api/token|meta-data)|169\.254\.\d+\.\d+|token request|metadata\.google|sts\.[a-z0-9.-]*amazonaws"
)

#: Codes of credentials that are not good (any more), and the cure.
_CREDENTIALS = {
    "InvalidAccessKeyId": "nobody has that `access_key`: mend it",
    "SignatureDoesNotMatch": "the `secret_key` does not fit the `access_key`: mend it",
    "AuthenticationFailed": "the `account_key` or `sas_token` is wrong or has expired: renew it",
    "AuthorizationFailure": "the `account_key` or `sas_token` is wrong, or a firewall rule of the account keeps us out",
    "NoAuthenticationInformation": "no credentials were sent: set `account_key` or `sas_token`",
    "ExpiredToken": "the `session_token` has expired: renew the three keys",
    "InvalidToken": "the `session_token` does not belong to the `access_key`: renew all three",
    "TokenRefreshRequired": "the `session_token` has expired: renew the three keys",
    "RequestTimeTooSkewed": "the clock of this machine is wrong: set it",
}
_NO_BUCKET = frozenset({"NoSuchBucket", "ContainerNotFound"})
_ELSEWHERE = frozenset(
    {"PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
)
_UNFIT = frozenset({"KeyTooLongError", "InvalidUri", "InvalidResourceName", "EntityTooLarge", "RequestBodyTooLarge"})
_LATER = frozenset(
    {
        *("OperationAborted", "ConditionalRequestConflict", "RequestTimeout", "SlowDown", "ServerBusy"),
        *("NoSuchKey", "BlobNotFound", "NoSuchUpload"),
    }
)
#: What to grant, to whom may not write.
_GRANT: dict[Cloud, str] = {
    "s3": "allow s3:PutObject, s3:GetObject, s3:ListBucket on it",
    "gs": "grant roles/storage.objectUser on it",
    "az": "grant `Storage Blob Data Contributor` on it",
}
_KEYS: dict[Cloud, str] = {
    "s3": "`access_key` and `secret_key`",
    "gs": "`service_account_key`",
    "az": "`account` and `account_key`",
}


@contextmanager
def trouble(place: Place) -> Iterator[None]:
    """Errors of obstore become their verdicts."""
    try:
        yield
    except (BaseError, FileNotFoundError) as exc:
        raise verdict(exc, place) from exc


def code_of(exc: BaseException) -> str:
    """`NoSuchBucket`; empty if the store gave none."""
    found = _CODE.search(str(exc))
    return found[1] if found else ""


def is_absent(exc: BaseException) -> bool:
    """Whether there is no such object, in a bucket that is there."""
    return isinstance(exc, FileNotFoundError) and code_of(exc) not in _NO_BUCKET


def unsupported(exc: BaseException) -> bool:
    """Whether the store has no conditional writes."""
    return isinstance(exc, NotSupportedError) or code_of(exc) == "NotImplemented" or status_of(exc) == 501


def status_of(exc: BaseException) -> int:
    """The HTTP status; 0 if there was no answer."""
    found = _STATUS.search(str(exc))
    return int(found[1]) if found else 0


def verdict(exc: BaseException, place: Place) -> WorkError:
    """What happens next after writing to a store, or looking there, has failed."""
    code, status = code_of(exc), status_of(exc)
    if code in _NO_BUCKET or (isinstance(exc, FileNotFoundError) and status and code not in _LATER):
        return Unauthorized(Reason.TARGET_REFUSED, f"there is no {place.called}: create it, or mend `url`")
    if why := _credentials(exc, code, place):
        return Unauthorized(Reason.TOKEN_REFUSED, why)
    if code in _ELSEWHERE or status in {301, 307}:
        return Unauthorized(Reason.TARGET_REFUSED, f"the {place.called} is in another region: mend `region`")
    if isinstance(exc, PermissionDeniedError):
        why = f"the credentials may not write to the {place.called}{_said(code)}: {_GRANT[place.cloud]}"
        return Unauthorized(Reason.TARGET_REFUSED, why)
    return _of_answer(code, status) if status else _unanswered(exc)


def _credentials(exc: BaseException, code: str, place: Place) -> str:
    """What is wrong with them; empty if nothing is."""
    if code in _CREDENTIALS:
        return _CREDENTIALS[code]
    if _ROLE.search(str(exc).partition("\n")[0]):
        return (
            f"no credentials were found for the {place.called}: set {_KEYS[place.cloud]}, or give this machine a role"
        )
    if isinstance(exc, UnauthenticatedError):
        return f"the credentials were refused{_said(code)}: renew them"
    return ""


def _unanswered(exc: BaseException) -> WorkError:
    kind = _KIND.search(str(exc))
    why = _KINDS.get(kind[1], "no answer") if kind else "no answer"
    return Transient(
        Reason.TARGET_UNAVAILABLE, f"the store could not be reached ({why}): see `endpoint` if it stays so"
    )


def _of_answer(code: str, status: int) -> WorkError:
    if code in _LATER or status in {408, 409, 412, 425, 429} or status >= 500:
        return Transient(Reason.TARGET_UNAVAILABLE, f"the store has trouble: HTTP {status}{_said(code)}")
    if code in _UNFIT:
        return Permanent(Reason.TARGET_REFUSED, f"the store takes no such object ({code}): choose another `path`")
    return Permanent(Reason.TARGET_REFUSED, f"the store refused it: HTTP {status}{_said(code)}")


def _said(code: str) -> str:
    return f" ({code})" if code else ""
