"""What an orchestrator asks: are you alive, may I send you webhooks, how are you doing."""

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from config.contracts.errors import Refused
from config.contracts.kinds import Kind
from receiver.answers import QUEUE_RETRY_AFTER
from receiver.endpoint import Queue
from receiver.limits import Gate
from receiver.metrics import Metrics


class Health:
    def __init__(self, queue: Queue, gate: Gate, metrics: Metrics) -> None:
        self.queue = queue
        self.gate = gate
        self.metrics = metrics

    async def alive(self, _request: Request) -> Response:
        """The process answers. Whether Redis does is not its fault, and a restart would not mend it."""
        return JSONResponse({"status": "ok"})

    async def ready(self, _request: Request) -> Response:
        """Webhooks can be taken and a 200 is worth what it promises."""
        self.gate.check_open()
        if findings := await self.queue.ready():
            headers = {"Retry-After": str(QUEUE_RETRY_AFTER)}
            raise Refused(Kind.QUEUE_UNAVAILABLE, "; ".join(findings), headers)
        warnings = list(self.queue.warnings)
        return JSONResponse({"status": "ok", **({"warnings": warnings} if warnings else {})})

    async def exposition(self, _request: Request) -> Response:
        return Response(generate_latest(self.metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
