"""Which network addresses lead out into the world, and which to the machine underneath. Pure: nothing is resolved."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

Address = IPv4Address | IPv6Address

#: IPv4 that is not global: IANA's special-purpose registry (RFC 6890), the relays of 6to4 (RFC 7526), multicast and
#: everything reserved behind it.
_SPECIAL4 = tuple(
    map(
        ip_network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
            *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15"),
            *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3"),
        ),
    )
)
#: The only IPv6 that is given out to the world (RFC 4291, 2.4). Addresses with an IPv4 address inside, loopback,
#: unique local, link-local and multicast ones all lie elsewhere.
_GIVEN_OUT = ip_network("2000::/3")
#: What is special inside of it: protocol assignments with Teredo, documentation, 6to4.
_SPECIAL6 = tuple(map(ip_network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
#: Leading bits that all IPv4 addresses share when written as IPv6 (RFC 4291, 2.5.5.2).
MAPPED_BITS = 96
#: Prefixes whose last 32 bits are an IPv4 address: compatible (RFC 4291, 2.5.5.1) and NAT64 (RFC 6052, 2.1).
_CARRIERS = (ip_network("::/96"), ip_network("64:ff9b::/96"))

#: Where clouds tell a machine its credentials, besides link-local addresses: EC2 and Google over IPv6, Alibaba,
#: Oracle (classic), Azure.
_METADATA = frozenset(
    map(ip_address, ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "192.0.0.192", "168.63.129.16"))
)
_METADATA_NAMES = frozenset(
    {
        *("metadata", "metadata.google.internal", "metadata.goog", "metadata.tencentyun.com"),
        *("instance-data", "instance-data.ec2.internal"),
    }
)


def is_global(address: Address) -> bool:
    """Whether the address belongs to somebody out in the world, and to no cloud's metadata service."""
    if address in _METADATA:
        return False
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _SPECIAL4)
    return address in _GIVEN_OUT and not any(address in network for network in _SPECIAL6)


def is_underneath(host: str) -> bool:
    """Whether a host, a name or an address in any form, is link-local or a cloud's metadata service. Nobody has a
    reason to send anything there: not even who runs us may choose it."""
    address = parsed(host)
    if address is None:
        return host.rstrip(".").lower() in _METADATA_NAMES
    return any(each.is_link_local or each in _METADATA for each in (address, *_inside(address)))


def parsed(host: str) -> Address | None:
    """The address a host is, with or without brackets and a zone; None for a name."""
    try:
        return ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None


def plain(address: Address) -> Address:
    """An IPv4 address that is written as IPv6 (`::ffff:192.0.2.1`) as itself."""
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def mapped(network: str) -> tuple[str, ...]:
    """An IPv4 network, or address, as a socket for IPv6 sees it; nothing for an IPv6 one.

    `10.0.0.0/8` → `::ffff:10.0.0.0/104`. Raises ValueError if it is none.
    """
    parsed = ip_network(network)
    if parsed.version == 6:
        return ()
    return (f"::ffff:{parsed.network_address}/{parsed.prefixlen + MAPPED_BITS}",)


def _inside(address: Address) -> Iterator[IPv4Address]:
    """The IPv4 addresses an IPv6 address may be carried on to."""
    if isinstance(address, IPv6Address):
        yield from filter(None, (address.ipv4_mapped, address.sixtofour, *(address.teredo or ())))
        if any(address in carrier for carrier in _CARRIERS):
            yield IPv4Address(int(address) & 0xFFFF_FFFF)
