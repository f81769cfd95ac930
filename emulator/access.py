"""Who may ask: tokens of people and of running Actors."""

import hmac
import secrets
from dataclasses import dataclass, field

from starlette.requests import Request

from emulator.errors import token_refused

_RUN_PREFIX = "apify_run_"


@dataclass
class Access:
    """Checks tokens.

    Attributes:
        token: the only token of people that is accepted; None accepts any.
    """

    token: str | None
    _run_tokens: set[str] = field(default_factory=set)

    def issue(self) -> str:
        """A token for one life of a run."""
        token = _RUN_PREFIX + secrets.token_urlsafe(24)
        self._run_tokens.add(token)
        return token

    def revoke(self, token: str) -> None:
        """End a run's token."""
        self._run_tokens.discard(token)

    def is_run(self, token: str | None) -> bool:
        """Whether the token is that of a live run, not of a person."""
        return token in self._run_tokens

    def check(self, request: Request) -> str | None:
        """The request's token, from the Authorization header or `?token=`; None when it brought none.

        Raises: ApiError 401 if the token is not accepted.
        """
        scheme, _, header = request.headers.get("authorization", "").partition(" ")
        token = header.strip() if scheme.lower() == "bearer" else ""
        token = token or request.query_params.get("token", "")
        if token and not self._accepts(token):
            raise token_refused()
        return token or None

    def _accepts(self, token: str) -> bool:
        if token.startswith(_RUN_PREFIX):
            return token in self._run_tokens
        return self.token is None or hmac.compare_digest(token.encode(), self.token.encode())
