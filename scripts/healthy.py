"""Exit 0 if a process on one of the given loopback ports answers GET /healthz: `healthy.py 8080 8082`.

A container runs one process of ours, so the ports of the others refuse at once. No import but the standard library:
this starts every few seconds.
"""

import sys
from http.client import HTTPConnection, HTTPException


def healthy(port: int) -> bool:
    """True for an answer within 2 s that is not a 5xx: the emulator has no such page, and its 404 is life too."""
    connection = HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status < 500
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(not any(healthy(int(port)) for port in sys.argv[1:]))
