"""`make bench`: Runrelay beside its peers, measured in turns in one run. What counts are the ratios."""

import argparse
import asyncio
import json
import signal
import sys

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks import accept, dataset, growth, neighbours, runs, sinks
from benchmarks.comparison import Comparison
from benchmarks.measure import Failed

BENCHES = ("accept", "runs", "dataset", "slow", "growth", "neighbours", "postgres", "parquet", "s3", "sinks")


def main() -> int:
    asked = parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that every process of ours is stopped
    try:
        comparisons = asyncio.run(measure(asked))
    except KeyboardInterrupt:
        return 130
    except Failed as failed:
        print(failed, file=sys.stderr)
        return 1
    if asked.json:
        print(json.dumps([comparison.as_json() for comparison in comparisons], ensure_ascii=False, indent=2))
    return 0


def parser() -> argparse.ArgumentParser:
    wanted = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    wanted.add_argument("bench", nargs="?", choices=[*BENCHES, "all"], default="all", help="which one")
    wanted.add_argument("--repetitions", type=positive, default=3, metavar="N", help="turns of each contender")
    wanted.add_argument("--quick", action="store_true", help="less load and fewer rows: shows that it works")
    wanted.add_argument("--connections", type=positive, default=64, metavar="N", help="that webhooks come over")
    wanted.add_argument("--json", action="store_true", help="print results as JSON, with every sample")
    return wanted


def positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


async def measure(asked: argparse.Namespace) -> list[Comparison]:
    """Each comparison is shown as soon as it is there."""
    benches = {
        "accept": lambda: accept.compare(asked.repetitions, 1.0 if asked.quick else 4.0, asked.connections),
        "runs": lambda: runs.compare(asked.repetitions, 50 if asked.quick else 500),
        "neighbours": lambda: neighbours.compare(asked.repetitions, 20 if asked.quick else 100),
        "dataset": lambda: dataset.compare(asked.repetitions, 20_000 if asked.quick else 200_000),
        "slow": lambda: dataset.compare_slow(asked.repetitions, 20_000 if asked.quick else 100_000),
        "postgres": lambda: sinks.compare_postgres(asked.repetitions, 5_000 if asked.quick else 50_000),
        "parquet": lambda: sinks.compare_parquet(asked.repetitions, 5_000 if asked.quick else 50_000),
        "s3": lambda: sinks.compare_s3(asked.repetitions, 20_000 if asked.quick else 200_000),
        "sinks": lambda: sinks.compare_memory((20_000, 100_000) if asked.quick else (20_000, 200_000, 1_000_000)),
        "growth": lambda: growth.compare((20_000, 200_000) if asked.quick else (20_000, 200_000, 1_000_000)),
    }
    console = Console(stderr=asked.json)
    done = []
    for name in BENCHES if asked.bench == "all" else [asked.bench]:
        with console.status(f"{name}: {asked.repetitions} repetitions"):
            done.append(await benches[name]())
        console.print(table(done[-1]))
    return done


def table(comparison: Comparison) -> Table:
    """Medians, and under each contender of ours its ratio to every peer."""
    shown = Table(title=comparison.title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    shown.add_column("")
    for heading in comparison.quantities.values():
        shown.add_column(heading, justify="right")
    for name in comparison.samples:
        shown.add_row(name, *(figure(comparison.middle(name, quantity)) for quantity in comparison.quantities))
        for peer, ratios in comparison.ratios(name).items():
            shown.add_row(f"  ÷ {peer}", *(f"{ratio:.2f}" for ratio in ratios.values()), style="cyan")
    return shown


def figure(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


if __name__ == "__main__":
    sys.exit(main())
