"""A sink that takes alerts and never answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pydantic import BaseModel

TAKES = frozenset({"run"})
WHOLE = False
ALERTS = True


class Config(BaseModel, extra="forbid", frozen=True):
    pass


class Target(BaseModel, extra="forbid", frozen=True):
    pass


@asynccontextmanager
async def connect(config: Config, around: Any) -> AsyncIterator[Any]:
    await asyncio.Event().wait()
    yield
