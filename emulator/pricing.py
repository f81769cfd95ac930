"""What a run costs: compute units at a made-up price, or the events that a pay-per-event Actor charges for."""

from emulator.documents import Document
from emulator.errors import ApiError, invalid_input
from emulator.programs import Program

PRICE_PER_COMPUTE_UNIT = 0.2  # US dollars; any price will do, it only has to be a number
DATASET_ITEM = "apify-default-dataset-item"  # the platform charges it by itself, for each item pushed

#: Everything that `usage` and `usageUsd` name; only compute units are metered here.
_METERS = (
    *("ACTOR_COMPUTE_UNITS", "DATASET_READS", "DATASET_WRITES", "KEY_VALUE_STORE_READS", "KEY_VALUE_STORE_WRITES"),
    *("KEY_VALUE_STORE_LISTS", "REQUEST_QUEUE_READS", "REQUEST_QUEUE_WRITES", "DATA_TRANSFER_INTERNAL_GBYTES"),
    *("DATA_TRANSFER_EXTERNAL_GBYTES", "PROXY_RESIDENTIAL_TRANSFER_GBYTES", "PROXY_SERPS"),
)


def pricing_info(program: Program) -> Document | None:
    """The pricing of an Actor that charges for events, whole: SDKs refuse to start on less."""
    if not (prices := program.manifest.charged_events):
        return None
    events = {
        name: {"eventTitle": name, "eventDescription": f"Charged for each {name}.", "eventPriceUsd": price}
        for name, price in prices.items()
    }
    return {
        "pricingModel": "PAY_PER_EVENT",
        "apifyMarginPercentage": 0.2,
        "createdAt": program.created,
        "startedAt": program.created,
        "notifiedAboutFutureChangeAt": None,
        "notifiedAboutChangeAt": None,
        "reasonForChange": None,
        "pricingPerEvent": {"actorChargeEvents": events},
        "minimalMaxTotalChargeUsd": None,
    }


def of_program(program: Program) -> Document:
    """The fields of a new run that are about charging; none for an Actor that charges nothing."""
    if not (info := pricing_info(program)):
        return {}
    return {"pricingInfo": info, "chargedEventCounts": dict.fromkeys(program.manifest.charged_events, 0)}


def check_event(run: Document, event: str) -> None:
    """Raises: ApiError 400 if the run cannot charge for this event."""
    if "pricingInfo" not in run:
        message = "Charging is only possible in runs of Actors that are paid per event."
        raise ApiError(400, "cannot-charge-non-pay-per-event-actor", message)
    if event == DATASET_ITEM:
        raise ApiError(400, "cannot-charge-apify-event", f"The platform charges for {event} by itself.")
    if event not in run["chargedEventCounts"]:
        raise invalid_input(f'The Actor does not charge for an event "{event[:100]}".')


def costs(run: Document, units: float) -> Document:
    """`usageTotalUsd`, and `usageUsd` where the platform's usage is paid for.

    Whoever runs a pay-per-event Actor pays for its events alone, and never more than `maxTotalChargeUsd`.
    """
    if "pricingInfo" not in run:
        price = round(units * PRICE_PER_COMPUTE_UNIT, 6)
        return {"usageTotalUsd": price, "usageUsd": metered(price)}
    prices = run["pricingInfo"]["pricingPerEvent"]["actorChargeEvents"]
    total = sum(count * prices[event]["eventPriceUsd"] for event, count in run["chargedEventCounts"].items())
    limit = run["options"].get("maxTotalChargeUsd")
    return {"usageTotalUsd": round(total if limit is None else min(total, limit), 6)}


def metered(units: float) -> Document:
    """Compute units, and nothing of everything else."""
    return {**dict.fromkeys(_METERS, 0), "ACTOR_COMPUTE_UNITS": units}
