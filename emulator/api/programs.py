"""The Actor that a path names."""

from emulator.api.call import Call
from emulator.errors import ApiError
from emulator.programs import Program

FAMILIES = ("acts", "actors")  # the older and the newer name of the same endpoints


def find_program(call: Call) -> Program:
    """The Actor of the path. Raises: ApiError 404 `actor-not-found`."""
    if program := call.platform.programs.find(call.path("actor")):
        return program
    raise ApiError(404, "actor-not-found", "Actor was not found.")
