"""URLs that data may never choose: every way we know to write an address that is not out in the world."""

from ipaddress import IPv4Address, IPv6Address

#: Addresses that are nobody's out there, or everybody's underneath.
INNER4 = (
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.254", "127.0.0.1", "127.0.0.2"),
    *("127.1.2.3", "127.255.255.255", "169.254.0.1", "169.254.169.254", "169.254.170.2", "169.254.169.253"),
    *("172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.8", "192.0.0.170", "192.0.0.192", "192.0.2.1"),
    *("192.88.99.1", "192.168.0.1", "192.168.255.255", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1"),
    *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "100.100.100.200", "168.63.129.16"),
)
INNER6 = (
    *("::", "::1", "fc00::1", "fd00::1", "fd00:ec2::254", "fd20:ce::254", "fdff:ffff::1", "fe80::1", "febf::1"),
    *("fec0::1", "ff02::1", "ff0e::1", "100::1", "2001::1", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1"),
    *("3fff::1", "5f00::1", "64:ff9b:1::1", "64:ff9b:1::7f00:1", "4000::1", "::ffff:0:0", "::ffff:0:127.0.0.1"),
)
#: Global ones, too: an address inside another one is dialled by whoever unpacks it.
CARRIED = ("127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.1.1", "8.8.8.8")


def mapped(address: str) -> str:
    return f"::ffff:{address}"


def compatible(address: str) -> str:
    return f"::{address}"


def nat64(address: str) -> str:
    return f"64:ff9b::{address}"


def six_to_four(address: str) -> str:
    high, low = divmod(int(IPv4Address(address)), 1 << 16)
    return f"2002:{high:x}:{low:x}::1"


def teredo(address: str) -> str:
    high, low = divmod(int(IPv4Address(address)) ^ 0xFFFF_FFFF, 1 << 16)
    return f"2001:0:808:808:0:0:{high:x}:{low:x}"


def spellings(address: str) -> list[str]:
    """What `inet_aton` or a careless parser takes for the same IPv4 address."""
    number, parts = int(IPv4Address(address)), [int(part) for part in address.split(".")]
    a, b, c, d = parts
    return [
        *(str(number), hex(number), hex(number).upper(), oct(number).replace("o", ""), f"{a}.{number & 0xFFFFFF}"),
        *(f"{a}.{b}.{(c << 8) + d}", ".".join(map(hex, parts)), ".".join(f"0{part:o}" for part in parts)),
        *(".".join(f"{part:03d}" for part in parts), f"0x{a:x}.{b}.{c}.0{d:o}", f"{address}.", f"{address}%00"),
        "".join(chr(0xFF10 + int(letter)) if letter.isdigit() else "。" for letter in address),
        "".join(chr(0x2460 + int(letter) - 1) if letter in "123456789" else letter for letter in address),
        address.replace(".", "%2e"),
    ]


HOSTS = (
    *INNER4,
    *(f"[{address}]" for address in INNER6),
    *(f"[{form(address)}]" for form in (mapped, compatible, nat64, six_to_four, teredo) for address in CARRIED),
    *(spelling for address in ("127.0.0.1", "169.254.169.254", "8.8.8.8") for spelling in spellings(address)),
    *(f"[{IPv6Address(mapped('127.0.0.1')).exploded}]", "[0:0:0:0:0:0:0:1]", "[::1%25eth0]", "[fe80::1%eth0]"),
    *("[2606:4700:4700::1111%25eth0]", "[::1", "[v1.x]", "[127.0.0.1]", "[]", ""),
    *("localhost", "LOCALHOST", "localhost.", "redis", "metadata", "instance-data", "metadata.google.internal"),
    *("metadata.google.internal.", "METADATA.GOOGLE.INTERNAL", "metadata.goog", "metadata.tencentyun.com"),
    *("instance-data.ec2.internal", "example.com.", "example..com", ".example.com", "-.example.com", "exa mple.com"),
    *("example.com\t", "example.com%2f", "example.0x7f", "example.127", "ex\u00e4mple.com", "exampl\u0435.com"),
    *("user@example.com", "user:secret@example.com", "@example.com", "example.com@127.0.0.1", "example.com:80@[::1]"),
    *("example.com\\@127.0.0.1", "127.0.0.1\\@example.com", "example.com:22", "example.com:6379", "example.com:0"),
    *(
        "example.com:65536",
        "example.com:-1",
        "example.com:8o",
        "8.8.8.8:53",
        "[2606:4700:4700::1111]:25",
        "a" * 64 + ".com",
    ),
    "example.com\r\nHost: 127.0.0.1",
    ".".join(["long"] * 60) + ".com",
)
URLS = (
    *(f"{scheme}://{host}/x" for host in HOSTS for scheme in ("http", "https")),
    *(
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_",
        "javascript:0",
        "data:,x",
        "//example.com/",
    ),
    *("http:example.com", "http:/example.com", "http:///example.com", "http:\\\\example.com", "unix:///run/redis.sock"),
    *(
        "",
        "/",
        "example.com",
        " http://example.com/",
        "http://example.com/ x",
        "http://example.com/\u00e4",
        "ws://example.com/",
    ),
    *("http://example.com/\n", "http://example.com/\x00", "http\x00://example.com/", "hTTp://127.0.0.1/", "http://?x"),
)
