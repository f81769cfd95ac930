"""What the platform has and the emulator has not: an answer that says so, instead of one that looks like a mistake."""

from starlette.responses import Response

from emulator.api.call import Call, Endpoint
from emulator.errors import ApiError

_ACTORS = {
    "/builds/{build}/openapi.json": ("GET",),
    "/versions/{version}/env-vars": ("GET", "POST"),
    "/versions/{version}/env-vars/{variable}": ("GET", "PUT", "POST", "DELETE"),
}
_OTHERS = {
    "/v2/actor-builds/{build}/openapi.json": ("GET",),
    "/v2/store": ("GET",),
    "/v2/browser-info": ("GET", "POST", "PUT", "DELETE"),
    "/v2/tools/encode-and-sign": ("POST",),
    "/v2/tools/decode-and-verify": ("POST",),
}


async def not_emulated(call: Call) -> Response:
    """Raises: ApiError 501."""
    message = f"{call.request.method} {call.request.url.path} exists on the platform, but the emulator does not do it."
    raise ApiError(501, "not-implemented", message)


def endpoints() -> list[Endpoint]:
    """The documented paths of which the emulator has nothing; single methods stand with their paths."""
    actors = {
        f"/v2/{family}/{{actor}}{path}": methods for family in ("acts", "actors") for path, methods in _ACTORS.items()
    }
    return [
        Endpoint(path, dict.fromkeys(methods, not_emulated), public=True)
        for path, methods in {**actors, **_OTHERS}.items()
    ]
