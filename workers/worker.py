"""The worker process: arq for the wake-ups, one HTTP session for the platforms, a sweeper, a small health server.

Composition root: everything a worker is made of is put together here, and taken down in the opposite order.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any

import structlog
from arq.connections import ArqRedis, RedisSettings, create_pool
from arq.worker import Worker, func
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from config.apart import Apart
from config.contracts.api import Api, Manners
from config.keys import Keys
from config.queue import RunQueue, pack_job, unpack_job
from config.reloading import Watch, hearing_hangups
from config.routes import RouteTable
from config.settings import Settings
from workers.after import delete_after
from workers.care.alarms import alarm_forever
from workers.care.janitor import tidy_forever
from workers.care.lookout import look_forever
from workers.care.reconciler import reconcile_forever
from workers.care.sweeper import sweep_forever
from workers.delivering import deliver
from workers.fetch.api import HttpApi, open_session
from workers.health import health_server
from workers.ledger.ledger import Ledger
from workers.names import Names
from workers.planning import plan_event
from workers.rehearsal import prove
from workers.runtime import Runtime

log = structlog.get_logger("runrelay.worker")

Ask = Callable[[Manners], Api]

#: arq's own patience is never to be reached: our attempts are counted in the ledger.
MAX_TRIES = 1_000_000
POLL_DELAY = 0.05
#: Seconds a stopping worker waits for its slices to reach a checkpoint.
DRAIN = 120.0
#: Seconds between two starts of an arq loop that Redis ended.
RESTART = 1.0


async def work(
    settings: Settings, table: RouteTable, *, host: str, port: int, ready: Callable[[str], None] | None = None
) -> None:
    """Work until SIGTERM or SIGINT; SIGHUP reads the file anew. `ready` is called with the URL of the health server.

    Raises ConfigInvalid if a test of the file fails."""
    watch = Watch(table, prove)
    work_on = asyncio.create_task(run_worker(settings, table, host=host, port=port, ready=ready, watch=watch))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, work_on.cancel)
    try:
        with hearing_hangups(watch.ask):
            await work_on
    except asyncio.CancelledError:
        log.info("worker.stopped")
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


async def run_worker(
    settings: Settings,
    table: RouteTable,
    *,
    host: str,
    port: int,
    ready: Callable[[str], None] | None = None,
    watch: Watch | None = None,
) -> None:
    """Work until cancelled; then running slices reach a checkpoint before this returns.

    watch: of the table, for who wants to ask it.

    Raises ConfigInvalid if a test of the file fails.
    """
    await Apart(1).call("prove", prove, table)  # a test that hangs must not keep us from being stopped
    watch = watch or Watch(table, prove)
    async with _runtime(settings, table) as (runtime, pool, ask), health_server(host, port) as url:
        if ready:
            ready(url)
        log.info("worker.started", routes=len(table.routes), sources=list(table.sources), health=url)
        inbox = RunQueue(pool, runtime.ledger.keys, durability=settings.durability)
        async with asyncio.TaskGroup() as group:
            rounds = Rounds(runtime, inbox, group)

            def swap(newer: RouteTable) -> None:
                take_over(runtime, newer, ask)
                rounds.begin()

            rounds.begin()
            group.create_task(watch.forever(swap))
            group.create_task(sweep_forever(runtime.ledger))
            group.create_task(alarm_forever(runtime, watch))
            group.create_task(_supervise(runtime, pool))


class Rounds:
    """What goes through a whole table again and again."""

    def __init__(self, runtime: Runtime, inbox: RunQueue, group: asyncio.TaskGroup) -> None:
        self._runtime, self._inbox, self._group = runtime, inbox, group
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self) -> None:
        """With the table as it is now. Whatever goes through another one ends."""
        for task in self._tasks:
            task.cancel()
        runtime = self._runtime
        loops = [
            reconcile_forever(runtime, self._inbox),
            look_forever(runtime.ledger, runtime.table, places=runtime.settings.places),
            tidy_forever(runtime.ledger, runtime.table),
        ]
        self._tasks = [self._group.create_task(loop) for loop in loops]


def take_over(runtime: Runtime, table: RouteTable, ask: Ask) -> None:
    """Work with this table from now on. A source whose platform is asked as before goes on with the Api it has, so that
    limits and waits are kept. Turns under way end with what they began with."""
    before = runtime.table.sources
    same = {name for name, source in table.sources.items() if name in before and before[name].manners == source.manners}
    runtime.apis = {
        name: runtime.apis[name] if name in same else ask(source.manners) for name, source in table.sources.items()
    }
    if same != before.keys():
        runtime.names = Names()  # another token may be another account's, and see other names
    runtime.table = table


@asynccontextmanager
async def _runtime(settings: Settings, table: RouteTable) -> AsyncIterator[tuple[Runtime, ArqRedis, Ask]]:
    settings.spool_dir.mkdir(parents=True, exist_ok=True)
    keys = Keys(settings.namespace)
    pool = await open_pool(settings.redis_url, keys)
    try:
        async with open_session() as session:
            ask = partial(HttpApi, session)
            apis = {name: ask(source.manners) for name, source in table.sources.items()}
            runtime = Runtime(settings=settings, table=table, ledger=Ledger(pool, keys), apis=apis)
            try:
                yield runtime, pool, ask
            finally:
                await runtime.connections.close()
    finally:
        await pool.aclose()


async def open_pool(redis_url: str, keys: Keys) -> ArqRedis:
    """Connections that outlive a restart of Redis; JSON on the queue, never pickle."""
    wire = RedisSettings.from_dsn(redis_url)
    wire.conn_timeout = 5
    wire.retry = Retry(ExponentialBackoff(cap=1, base=0.05), 5)
    wire.retry_on_error = [RedisConnectionError, RedisTimeoutError, OSError]
    return await create_pool(wire, job_serializer=pack_job, job_deserializer=unpack_job, default_queue_name=keys.queue)


async def _supervise(runtime: Runtime, pool: ArqRedis) -> None:
    """Keep the arq worker running: it ends itself when Redis goes away. What it was working on works on."""
    worker = make_worker(runtime, pool)
    try:
        while True:
            try:
                await worker.async_run()
            except (RedisError, OSError) as exc:
                log.warning("worker.redis_away", error=type(exc).__name__)
            await asyncio.sleep(RESTART)
            await _recount(worker)
    finally:
        runtime.stopping = True
        log.info("worker.stopping")
        await drain(worker)


async def _recount(worker: Worker) -> None:
    """arq takes a slot before it asks Redis for the job, and keeps it if that fails: count what really runs."""
    running = [task for task in worker.tasks.values() if not task.done()]
    worker.job_counter = len(running)
    worker.sem = asyncio.BoundedSemaphore(worker.max_jobs + 1)
    for _ in running:
        await worker.sem.acquire()


def make_worker(runtime: Runtime, pool: ArqRedis) -> Worker:
    """arq's worker as we use it: a bus of wake-ups. It keeps no results and decides nothing."""
    settings = runtime.settings
    return Worker(
        functions=[func(_plan, name="plan"), func(_deliver, name="deliver"), func(_after, name="after")],
        redis_pool=pool,
        queue_name=pool.default_queue_name,
        ctx={"runtime": runtime},
        handle_signals=False,
        max_jobs=settings.max_jobs,
        job_timeout=settings.job_timeout + settings.publish_timeout,
        max_tries=MAX_TRIES,
        keep_result=0,
        poll_delay=POLL_DELAY,
        queue_read_limit=10 * settings.max_jobs,
        health_check_key=f"{pool.default_queue_name}:arq-health",
        job_serializer=pack_job,
        job_deserializer=unpack_job,
        log_results=False,
    )


async def drain(worker: Worker) -> None:
    """Let running slices reach their next checkpoint, then cancel what has not. Leases do the rest."""
    running: Sequence[asyncio.Task[Any]] = list(worker.tasks.values())
    if running:
        _, late = await asyncio.wait(running, timeout=DRAIN)
        await _cancelled(list(late))


async def _plan(ctx: dict[str, Any], event_id: str, seq: int) -> None:
    await _turn(ctx["runtime"], plan_event, event_id, seq)


async def _deliver(ctx: dict[str, Any], delivery_id: str, seq: int) -> None:
    await _turn(ctx["runtime"], deliver, delivery_id, seq)


async def _after(ctx: dict[str, Any], after_id: str, seq: int) -> None:
    await _turn(ctx["runtime"], delete_after, after_id, seq)


async def _turn(runtime: Runtime, work: Callable[..., Awaitable[None]], record_id: str, seq: int) -> None:
    with _redis_may_go():
        await runtime.company.turn(lambda alone: work(runtime, record_id, seq, alone))


@contextmanager
def _redis_may_go() -> Iterator[None]:
    """A job whose Redis went away ends: the lease runs out, and the sweeper wakes somebody."""
    try:
        yield
    except (RedisError, OSError) as exc:
        log.warning("job.redis_away", error=type(exc).__name__, detail=str(exc))


async def _cancelled(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
