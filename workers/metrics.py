"""What a worker counts, in Prometheus' terms."""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

from prometheus_client import Counter, Gauge, Histogram

from config.contracts.delivery import Delivery, Receipt
from workers.ledger.expiring import Expiring, by_route
from workers.ledger.freshness import Stale
from workers.ledger.quarantine import Held
from workers.ledger.standing import Place, Standing

PLANS = Counter("runrelay_plans_total", "Planning attempts by how they ended.", ["source", "outcome"])
DELIVERIES = Counter(
    "runrelay_deliveries_total", "Delivery attempts by how they ended.", ["route", "target", "outcome"]
)
AFTERS = Counter(
    "runrelay_afters_total", "Attempts to delete after a delivery, by how they ended.", ["source", "outcome"]
)
ITEMS = Counter(
    "runrelay_items_total", "Source rows of finished deliveries, by what became of them.", ["route", "target", "kind"]
)
CLASHES = Counter(
    "runrelay_expression_clashes_total",
    "Items of finished deliveries whose types did not fit an expression.",
    ["route", "target"],
)
TRANSFORMING = Counter(
    "runrelay_transform_seconds_total",
    "Time that finished deliveries spent on `where`, `fields` and the like.",
    ["route", "target"],
)
RECONCILE_FOUND = Counter(
    "runrelay_reconcile_found_total", "Finished runs that routes want and whose webhook never came.", ["source"]
)
ALERTS = Counter("runrelay_alerts_total", "Tries to send an alert, by how they ended.", ["kind", "outcome"])
SLICE_SECONDS = Histogram("runrelay_slice_seconds", "How long deliveries hold their slot.")

#: How the whole ledger stands, the same in every worker: `max` of them, never their sum.
INBOX_OLDEST = Gauge("runrelay_inbox_oldest_seconds", "Age of the oldest event that is not planned yet.")
DUE_OLDEST = Gauge("runrelay_due_oldest_seconds", "Age of the oldest delivery that is not final.", ["target"])
DEAD_LETTERS = Gauge(
    "runrelay_dead_letters", "Dead letters by reason; `older` are those beyond the newest 250.", ["reason"]
)
PAUSED = Gauge(
    "runrelay_paused", "Whether a person holds it, or it refused our credentials: data waits.", ["kind", "name"]
)
FAILING = Gauge(
    "runrelay_failing", "Whether a target had trouble several times in a row; it is tried now and then.", ["target"]
)
LAST_DELIVERY = Gauge(
    "runrelay_last_delivery_timestamp_seconds", "When a delivery of the route last came to its end.", ["route"]
)
ROUTE_STALE = Gauge("runrelay_route_stale", "Whether a route with `freshness` should have delivered.", ["route"])
QUARANTINED = Gauge("runrelay_quarantined", "Deliveries that wait for a person's word.", ["route"])
SOURCE_DATA_EXPIRING = Gauge(
    "runrelay_source_data_expiring", "Deliveries, open or dead, whose data may be deleted within a day.", ["route"]
)
REDIS_USED = Gauge("runrelay_redis_used_ratio", "Memory Redis uses, of what it may use.")
SLOTS_WANTED = Gauge(
    "runrelay_slots_wanted", "What waits for a worker's slot or for a place in its lane, or holds one."
)
LOOKED = Gauge("runrelay_ledger_looked_timestamp_seconds", "When the ledger was last looked at for these figures.")

#: Target and route of deliveries that were planned with another file: names of it would pile up in Prometheus.
OTHER = "other"


def count_receipt(row: Receipt) -> None:
    for kind in ("read", "filtered", "rejected", "delivered"):
        ITEMS.labels(row.route, row.target, kind).inc(getattr(row, kind))


def count_tally(delivery: Delivery, tally: Mapping[str, int]) -> None:
    """tally: see `Checkpoint`."""
    for name, counter, each in (("clash", CLASHES, 1.0), ("micros", TRANSFORMING, 1e-6)):
        if number := sum(number for what, number in tally.items() if what.endswith(f"|{name}")):
            counter.labels(delivery.route, delivery.target).inc(number * each)


def show(standing: Standing, places: AbstractSet[Place]) -> None:
    """Set every figure of the ledger. `places`: where the routes of the file lead; the only names that are shown."""
    _show_ages(standing, places)
    DEAD_LETTERS.clear()
    for letters in standing.letters:
        DEAD_LETTERS.labels(letters.reason).set(letters.number)
    DEAD_LETTERS.labels("older").set(standing.dead - sum(letters.number for letters in standing.letters))
    PAUSED.clear()
    FAILING.clear()
    for hold in standing.paused:
        gauge = FAILING.labels(hold.name) if hold.why == "failing" else PAUSED.labels(hold.kind, hold.name)
        gauge.set(1)
    _show_ends(standing, {place.route for place in places})
    if standing.memory:
        REDIS_USED.set(standing.memory.ratio)
    SLOTS_WANTED.set(standing.wanted)
    LOOKED.set(standing.at / 1000)


def show_expiring(found: Iterable[Expiring], places: AbstractSet[Place]) -> None:
    SOURCE_DATA_EXPIRING.clear()
    for route, number in by_route(found, {place.route for place in places}, OTHER).items():
        SOURCE_DATA_EXPIRING.labels(route).set(number)


def show_held(found: Iterable[Held], places: AbstractSet[Place]) -> None:
    numbers = {place.route: 0 for place in places}
    for one in found:
        name = one.route if one.route in numbers else OTHER
        numbers[name] = numbers.get(name, 0) + one.count
    QUARANTINED.clear()
    for route, number in numbers.items():
        QUARANTINED.labels(route).set(number)


def show_stale(found: Iterable[Stale], routes: Iterable[str]) -> None:
    """`routes`: those that say how fresh they must be."""
    late = {one.route for one in found}
    ROUTE_STALE.clear()
    for route in routes:
        ROUTE_STALE.labels(route).set(route in late)


def _show_ages(standing: Standing, places: AbstractSet[Place]) -> None:
    born = standing.at if standing.oldest_event is None else standing.oldest_event
    INBOX_OLDEST.set((standing.at - born) / 1000)
    ages = {"/".join(place): 0.0 for place in places}
    for place, birth in standing.oldest.items():
        name = "/".join(place) if place in places else OTHER
        ages[name] = max(ages.get(name, 0.0), (standing.at - birth) / 1000)
    DUE_OLDEST.clear()
    for name, age in ages.items():
        DUE_OLDEST.labels(name).set(age)


def _show_ends(standing: Standing, routes: AbstractSet[str]) -> None:
    """A route whose last delivery is no longer among the newest keeps what was seen before."""
    ends: dict[str, int] = {}
    for route, ended in standing.delivered.items():
        name = route if route in routes else OTHER
        ends[name] = max(ends.get(name, 0), ended)
    for name, ended in ends.items():
        LAST_DELIVERY.labels(name).set(ended / 1000)
