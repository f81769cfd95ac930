"""What is answered when a request comes to nothing: an error of the API, a wrong address, a full disk, a bug."""

import errno
import sqlite3

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ExceptionHandler

from emulator.api.call import error_answer
from emulator.errors import ApiError

_DISK_TROUBLES = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO}
_DATABASE_TROUBLES = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR}


async def _api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error_answer(error)


async def _no_such_page(request: Request, error: Exception) -> Response:
    """No route fits, or one does but not for a method that is none of HTTP's usual ones."""
    if isinstance(error, HTTPException) and error.status_code == 405:
        message = "This API end-point cannot be accessed using this HTTP method."
        return error_answer(ApiError(405, "method-not-allowed", message, {"Allow": "OPTIONS"}))
    message = "There is no API endpoint at this URL."
    return error_answer(ApiError(404, "page-not-found", message))


async def _unwritable(request: Request, error: Exception) -> Response:
    """A full or broken disk is not the emulator's fault; any other such error is, and is raised again."""
    if why := _disk_trouble(error):
        return error_answer(ApiError(500, "internal-server-error", f"The emulator cannot keep its data: {why}."))
    raise error


def _disk_trouble(error: Exception) -> str | None:
    if isinstance(error, sqlite3.OperationalError):
        return str(error) if error.sqlite_errorcode & 0xFF in _DATABASE_TROUBLES else None
    return error.strerror if isinstance(error, OSError) and error.errno in _DISK_TROUBLES else None


async def _bug(request: Request, error: Exception) -> Response:
    return error_answer(ApiError(500, "internal-server-error", "The emulator failed; its log says more."))


HANDLERS: dict[type[Exception], ExceptionHandler] = {
    ApiError: _api_error,
    HTTPException: _no_such_page,
    OSError: _unwritable,
    sqlite3.OperationalError: _unwritable,
    Exception: _bug,
}
"""What Starlette asks by the class of an exception."""
