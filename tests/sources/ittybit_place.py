"""The stand-in for ittybit, about runs that a test puts there."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from config.contracts.source import Source
from tests.ittybit.standin import Standin, standin
from tests.sources.serving import KEY, Options, connected, standard_webhook
from workers.testing.source_contract import Webhook

_FIRST_FINISH = 1_795_348_800


@dataclass
class IttybitPlace:
    """One project, whose endpoint is said to sign as Standard Webhooks do: how it really signs is not public."""

    standin: Standin

    @property
    def options(self) -> Options:
        return {
            "type": "ittybit",
            "token": self.standin.token,
            "api_url": self.standin.url,
            "file_origins": [self.standin.files_url],
            "webhook": {"verify": "standard_webhooks", "secrets": [KEY]},
        }

    @cached_property
    def source(self) -> Source:
        return connected("videos", self.options)

    def puts(
        self,
        run_id: str,
        status: str,
        items: Sequence[Mapping[str, Any]] = (),
        files: Mapping[str, bytes] | None = None,
        *,
        finishes: int = 1,
    ) -> None:
        """Items are what one task found out, files what another one made."""
        tasks = [
            self.standin.add_task(f"task_{run_id}_{number}", kind, outputs=outputs)
            for number, (kind, outputs) in enumerate(self._outputs(items, files or {}))
        ]
        finished = {"finished_at": _FIRST_FINISH + 3600 * finishes} if status in {"succeeded", "failed"} else {}
        self.standin.add_run(run_id, status, tasks, **finished)

    def _outputs(self, items: Sequence[Mapping[str, Any]], files: Mapping[str, bytes]) -> list[tuple[str, list[Any]]]:
        made: list[Any] = [self.standin.add_file(f"/{name}", body, "video/mp4") for name, body in files.items()]
        return [*([("speech", list(items))] if items else []), *([("video", made)] if made else [])]

    def webhook(
        self, run_id: str, kind: str, *, number: int = 1, age: float = 0.0, secret: str | None = None
    ) -> Webhook:
        body = self.standin.event(run_id, kind, f"evt_{number}")
        return standard_webhook(body, f"msg_{number}", age, secret or KEY)

    def refuses(self, status: int, **headers: str) -> None:
        for path in ["/runs", "/tasks", "/jobs", *self._paths()]:
            self.standin.refuse(path, status, "told_to", "as the test says", times=None, body=None, **headers)

    def answers(self) -> None:
        self.standin.refusals.clear()

    def expires(self) -> None:
        for path in self.standin.files:
            self.standin.expire(path)

    def leaks(self) -> Sequence[str]:
        return self.standin.leaks

    def _paths(self) -> list[str]:
        return [f"/runs/{run}" for run in self.standin.runs] + [f"/tasks/{task}" for task in self.standin.tasks]


@asynccontextmanager
async def ittybit_place() -> AsyncIterator[IttybitPlace]:
    async with standin() as platform:
        yield IttybitPlace(platform)
