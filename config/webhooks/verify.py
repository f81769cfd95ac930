"""Is this webhook from who it says it is? Shared by every source; no I/O."""

import hashlib
import hmac
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from config.addresses import MAPPED_BITS, plain
from config.contracts.errors import Refused
from config.contracts.kinds import Kind


class StaticSecrets:
    """Secrets the operator planted in the platform; any active one opens the door.

    Kept and compared as sha256 digests, all of them, without an early exit, so that the time an answer takes says
    nothing about them.

    header: where the platform is to send it; None: as our webhooks are set up.
    """

    def __init__(self, secrets: Sequence[str], *, header: str | None = None) -> None:
        self._place = (
            f"in `{header}`" if header else "as `Authorization: Bearer <secret>`, or as the last part of the path"
        )
        self._digests = [_sha(spelled) for secret in secrets if secret for spelled in _spellings(secret)]

    def check(self, presented: str | None) -> None:
        """Raises Refused: token_missing without a secret, token_invalid with a wrong one."""
        if not presented:
            raise Refused(
                Kind.TOKEN_MISSING,
                f"send the webhook's secret {self._place}",
                {"WWW-Authenticate": "Bearer"},
            )
        digest = _sha(_as_sent(presented))
        matches = [hmac.compare_digest(digest, known) for known in self._digests]
        if not any(matches):
            raise Refused(
                Kind.TOKEN_INVALID,
                "the secret is not one of the active ones under webhook.secrets of this source",
                {"WWW-Authenticate": "Bearer"},
            )


class Addresses:
    """Networks webhooks may come from; none given means that any may.

    An IPv4 address is the same address when it is written as IPv6 (`::ffff:192.0.2.1`), on either side.
    """

    def __init__(self, networks: Sequence[str]) -> None:
        self._networks = [_plain_network(network) for network in networks]

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
            ip = plain(ip_address(address))
        except ValueError:
            return False
        return any(ip in network for network in self._networks)


def _plain_network(written: str) -> IPv4Network | IPv6Network:
    network = ip_network(written)
    first = plain(network.network_address)
    if network.version == first.version:
        return network
    return ip_network((first, network.prefixlen - MAPPED_BITS))


def _spellings(secret: str) -> set[bytes]:
    """As senders write it: in UTF-8, or in a header as HTTP once had it (RFC 2616, 2.2)."""
    return {secret.encode("utf-8", "surrogatepass"), _as_sent(secret)}


def _as_sent(presented: str) -> bytes:
    """The bytes of any text at all: those of a header came as Latin-1, a path has more. Never raises, for strangers
    present it."""
    try:
        return presented.encode("latin-1")
    except UnicodeEncodeError:
        return presented.encode("utf-8", "surrogatepass")


def _sha(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()
