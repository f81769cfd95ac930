"""What a worker counts, in Prometheus' terms."""

from prometheus_client import Counter, Histogram

from config.contracts.delivery import Receipt

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
SLICE_SECONDS = Histogram("runrelay_slice_seconds", "How long deliveries hold their slot.")


def count_receipt(row: Receipt) -> None:
    for kind in ("read", "filtered", "rejected", "delivered"):
        ITEMS.labels(row.route, row.target, kind).inc(getattr(row, kind))
