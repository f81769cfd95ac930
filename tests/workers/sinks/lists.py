"""Items out of a JSON list, each as it stands there."""

import json


def split(body: bytes) -> list[bytes]:
    decoder = json.JSONDecoder(parse_int=str)
    text, at, found = body.decode(), 1, list[bytes]()
    assert text[0] == "["
    while text[at] != "]":
        _, end = decoder.raw_decode(text, at)
        found.append(text[at:end].encode())
        at = end + (text[end] == ",")
    assert at == len(text) - 1
    return found
