"""Is this webhook from who it says it is? Shared by every source; no I/O."""

import hashlib
import hmac
from collections.abc import Sequence
from ipaddress import ip_address, ip_network

from config.contracts.errors import Refused
from config.contracts.kinds import Kind


class StaticSecrets:
    """Secrets the operator planted in the platform; any active one opens the door.

    Kept and compared as sha256 digests, all of them, without an early exit, so that the time an answer takes says
    nothing about them.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        self._digests = [_sha(secret) for secret in secrets if secret]

    def check(self, presented: str | None) -> None:
        """Raises Refused: token_missing without a secret, token_invalid with a wrong one."""
        if not presented:
            raise Refused(
                Kind.TOKEN_MISSING,
                "send the webhook's secret as `Authorization: Bearer <secret>`, or as the last part of the path",
                {"WWW-Authenticate": "Bearer"},
            )
        digest = _sha(presented)
        matches = [hmac.compare_digest(digest, known) for known in self._digests]
        if not any(matches):
            raise Refused(
                Kind.TOKEN_INVALID,
                "the secret is not one of the active ones under webhook.secrets of this source",
                {"WWW-Authenticate": "Bearer"},
            )


class Addresses:
    """Networks webhooks may come from; none given means that any may."""

    def __init__(self, networks: Sequence[str]) -> None:
        self._networks = [ip_network(network) for network in networks]

    def check(self, address: str | None) -> None:
        """Raises Refused (address_forbidden) unless the address lies in one of the networks."""
        if self._networks and not (address and self._holds(address)):
            raise Refused(
                Kind.ADDRESS_FORBIDDEN,
                "this source takes webhooks only from the addresses under webhook.allow_ips; "
                "behind a proxy, let it pass the sender's address on",
            )

    def _holds(self, address: str) -> bool:
        try:
            ip = ip_address(address)
        except ValueError:
            return False
        plain = getattr(ip, "ipv4_mapped", None) or ip
        return any(plain in network for network in self._networks)


def _sha(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
