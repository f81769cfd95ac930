"""The words of our HTTP errors: every error body is `{"kind": <one of these>, "message": <what to do>}`."""

from enum import StrEnum


class Kind(StrEnum):
    """One word, one HTTP status. Platforms and scripts match on the word: add, never rename."""

    status: int

    def __new__(cls, word: str, status: int) -> "Kind":
        kind = str.__new__(cls, word)
        kind._value_ = word
        kind.status = status
        return kind

    REQUEST_INVALID = "request_invalid", 400
    TOKEN_MISSING = "token_missing", 401
    TOKEN_INVALID = "token_invalid", 401
    SIGNATURE_MISSING = "signature_missing", 401
    SIGNATURE_INVALID = "signature_invalid", 401
    ADDRESS_FORBIDDEN = "address_forbidden", 403
    SOURCE_NOT_FOUND = "source_not_found", 404
    PATH_NOT_FOUND = "path_not_found", 404
    METHOD_NOT_ALLOWED = "method_not_allowed", 405
    REQUEST_TIMEOUT = "request_timeout", 408
    PAYLOAD_TOO_LARGE = "payload_too_large", 413
    CONTENT_TYPE_UNSUPPORTED = "content_type_unsupported", 415
    EVENT_INVALID = "event_invalid", 422
    RATE_LIMITED = "rate_limited", 429
    HEADERS_TOO_LARGE = "headers_too_large", 431
    INTERNAL_ERROR = "internal_error", 500
    QUEUE_UNAVAILABLE = "queue_unavailable", 503
    DRAINING = "draining", 503
