"""The one error the API answers with: a status, a kebab-case type and a message (Apify API, "Errors")."""


class ApiError(Exception):
    """An answer `{"error": {"type", "message"}}`.

    Attributes:
        status: HTTP status of the answer.
        type: kebab-case word from the platform's list of error types.
        message: one sentence for people.
        headers: further headers of the answer.
    """

    def __init__(self, status: int, type_: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.type, self.message, self.headers = status, type_, message, headers or {}


def invalid_value(message: str) -> ApiError:
    """A query parameter that cannot be meant."""
    return ApiError(400, "invalid-value", message)


def invalid_input(message: str) -> ApiError:
    """A body that cannot be meant."""
    return ApiError(400, "invalid-input", message)


def not_found(what: str) -> ApiError:
    """Nothing has this id, or it was deleted."""
    return ApiError(404, "record-not-found", f"{what} was not found.")


def token_missing() -> ApiError:
    """The request needs a token and brought none."""
    return ApiError(401, "token-not-provided", "Authentication token was not provided.")


def token_refused() -> ApiError:
    """The request brought a token that is unknown or revoked."""
    return ApiError(401, "token-not-valid", "Authentication token is not valid.")


def permission_denied() -> ApiError:
    """The request's token is good, but not for this."""
    return ApiError(403, "permission-denied", "You do not have permission to perform this action.")
