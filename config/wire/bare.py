"""What a platform has that has none of it: neither programs with names, nor request queues, logs or accounts."""

from collections.abc import Mapping
from typing import Any

from config.contracts.api import Api
from config.contracts.errors import Permanent
from config.contracts.reasons import Reason
from config.contracts.run import Run
from config.contracts.source import Count, Leftover, Requests


class Bare:
    """The parts of `config.contracts.source.Source` that not every platform has. A source says which it does have."""

    accounts: tuple[str, ...] = ()
    grows = False

    async def account(self, api: Api, /) -> str:
        return ""

    async def actor_name(self, api: Api, actor_id: str, /) -> str:
        return ""

    async def task_name(self, api: Api, task_id: str, /) -> str:
        return ""

    async def schedule_name(self, api: Api, schedule_id: str, /) -> str:
        return ""

    async def build_tags(self, api: Api, run: Run, /) -> tuple[str, ...]:
        return ()

    async def requests(self, api: Api, queue: str, /, *, after: str | None) -> Requests:
        return Requests(lines=b"", count=0, after=None, at=0.0)

    async def request_count(self, api: Api, queue: str, /) -> Count:
        return Count(rows=0, at=0.0)

    async def delete(self, api: Api, run: Run, what: Leftover, /) -> None:
        raise Permanent(Reason.SOURCE_REFUSED, "nothing can be deleted at this platform: leave `after.delete` out")

    async def log_tail(self, api: Api, run_id: str, lines: int, /) -> bytes:
        return b""

    def ordinary(self, key: str, /) -> bool:
        return True

    def describe(self, run: Run, /) -> Mapping[str, Any]:
        """`run.id` and `run.status` are there whatever the platform calls them, as `when` knows them."""
        return {
            "run": {**run.fields, "id": run.id, "status": run.status},
            "actor": {"id": run.actor_id, "name": run.actor},
            "task": {"id": run.task_id, "name": run.task},
            "build": {"number": run.build, "tags": list(run.tags)},
            "schedule": {"id": run.schedule_id, "name": run.schedule},
        }
