"""Who may ask, and for what: tokens of people and of running Actors, and how open a resource is.

Apify API, "Authentication", and Apify, "General resource access". Beside the owner of the emulator there can be
further accounts, each known by one token, so that a caller can be a stranger to a resource.
"""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request

from emulator.documents import Document
from emulator.errors import permission_denied, token_missing, token_refused
from emulator.stamps import stable_id

GENERAL_ACCESS = (
    *("FOLLOW_USER_SETTING", "RESTRICTED"),
    *("ANYONE_WITH_ID_CAN_READ", "ANYONE_WITH_NAME_CAN_READ"),
)

_RUN_PREFIX = "apify_run_"


@dataclass(frozen=True)
class Account:
    """One user of the platform."""

    id: str
    username: str

    @classmethod
    def named(cls, username: str) -> "Account":
        """The account of this name; it has the same id in every emulator."""
        return cls(stable_id(f"user {username}"), username)


class Access:
    """Checks tokens, and what they open.

    Attributes:
        owner: the account of every accepted token that is not another's.
    """

    def __init__(self, owner: Account, token: str | None, strangers: Mapping[str, str], *, restricted: bool) -> None:
        """`token` None accepts any; `strangers` maps tokens to user names; `restricted` is the owner's setting."""
        self.owner = owner
        self._token, self._restricted = token, restricted
        self._strangers = {other: Account.named(name) for other, name in strangers.items()}
        self._run_tokens: dict[str, Account] = {}
        self._withdrawn: set[str] = set()

    def issue(self, account: Account | None = None) -> str:
        """A token for one life of a run."""
        token = _RUN_PREFIX + secrets.token_urlsafe(24)
        self._run_tokens[token] = account or self.owner
        return token

    def revoke(self, token: str) -> None:
        """End a run's token."""
        self._run_tokens.pop(token, None)

    def withdraw(self, token: str) -> None:
        """Refuse this token from now on, whoever's it is."""
        self._withdrawn.add(token)

    def is_run(self, token: str | None) -> bool:
        """Whether the token is that of a live run, not of a person."""
        return token in self._run_tokens

    def account(self, token: str | None) -> Account:
        """Whose token it is; without one, the owner."""
        return self._run_tokens.get(token or "") or self._strangers.get(token or "") or self.owner

    def account_of(self, user_id: str) -> Account:
        """The account with this id."""
        return next((account for account in self._strangers.values() if account.id == user_id), self.owner)

    def known(self, key: str) -> Account | None:
        """The account with this id or user name."""
        accounts = (self.owner, *self._strangers.values())
        return next((account for account in accounts if key in {account.id, account.username}), None)

    def check(self, request: Request) -> str | None:
        """The request's token, from the Authorization header or `?token=`; None when it brought none.

        Raises: ApiError 401 if the token is not accepted.
        """
        token = sent_token(request)
        if token and not self._accepts(token):
            raise token_refused()
        return token

    def admit(self, token: str | None, document: Document, *, is_read: bool) -> None:
        """Let the owner of a run, storage or webhook in, and readers as far as its general access goes.

        Raises: ApiError 401 without a token, 403 with that of another account.
        """
        is_own = token is not None and self.account(token).id == document["userId"]
        if not is_own and not (is_read and self.is_open(document)):
            raise permission_denied() if token else token_missing()

    def is_open(self, document: Document) -> bool:
        """Whether everybody who knows its id may read it."""
        level = self.general_access(document)
        return not self._restricted if level == "FOLLOW_USER_SETTING" else level != "RESTRICTED"

    def general_access(self, document: Document) -> str:
        """What the API shows; a resource that never was given a level has its account's."""
        return str(document.get("generalAccess") or ("RESTRICTED" if self._restricted else "ANYONE_WITH_ID_CAN_READ"))

    def _accepts(self, token: str) -> bool:
        if token in self._withdrawn:
            return False
        if token.startswith(_RUN_PREFIX):
            return token in self._run_tokens
        is_stranger = token in self._strangers
        return is_stranger or self._token is None or hmac.compare_digest(token.encode(), self._token.encode())


def sent_token(request: Request) -> str | None:
    """The token a request brought, good or bad."""
    scheme, _, header = request.headers.get("authorization", "").partition(" ")
    token = header.strip() if scheme.lower() == "bearer" else ""
    return token or request.query_params.get("token") or None
