"""`python -m tests.bench`: what the gateway costs, beside bare mitmproxy; prints a table
and asserts nothing.
"""

import asyncio
import tempfile
from pathlib import Path

from addon.formats.neutral.request import WireFormat
from tests.bench.books import measure_books
from tests.bench.formats import COMBINATIONS, Combination, measure_formats
from tests.bench.pages import measure_pages
from tests.bench.relay import measure_relay
from tests.bench.remembered import TURNS, measure_remembered
from tests.bench.restoring import measure_restoring


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        print_relay(asyncio.run(measure_relay(Path(directory))))
    with tempfile.TemporaryDirectory() as directory:
        print_formats(*measure_formats(Path(directory)))
    with tempfile.TemporaryDirectory() as directory:
        print_restoring(measure_restoring(Path(directory)))
    with tempfile.TemporaryDirectory() as directory:
        print_books(measure_books(Path(directory)))
    with tempfile.TemporaryDirectory() as directory:
        print_remembered(measure_remembered(Path(directory)))
    with tempfile.TemporaryDirectory() as directory:
        print_pages(measure_pages(Path(directory)))


def print_relay(found: dict[str, dict[tuple[str, str], float]]) -> None:
    say(f"{'':<40}{'upstream':>10}{'bare':>10}{'gateway':>10}{'gateway : bare':>16}")
    for row, direct in found["direct"].items():
        bare, ours = found["bare"][row], found["gateway"][row]
        label = " ".join(filter(None, row))
        say(f"{label:<40}{direct:>10.1f}{bare:>10.1f}{ours:>10.1f}{ours / bare:>15.2f}x")
    for percentile in ("p50", "p99"):
        row = (f"latency {percentile}, 1 connection", "ms")
        base = found["direct"][row]
        bare, ours = found["bare"][row] - base, found["gateway"][row] - base
        say(
            f"{f'added latency {percentile} ms':<40}{'':>10}{bare:>10.2f}{ours:>10.2f}{ours / bare:>15.2f}x"
        )


def print_formats(relaying: dict[Combination, float], whole: dict[Combination, float]) -> None:
    say(
        "\nCPU per chunk by client and upstream format, µs, and what that is to "
        "the same format on both sides"
    )
    say(f"{'':<40}{'translating':>20}{'gateway':>20}")
    for client, upstream in COMBINATIONS:
        figures = [
            f"{found[client, upstream]:.1f} {_beside(found, client, upstream)}"
            for found in (relaying, whole)
        ]
        say(f"{f'{client} over {upstream}':<40}{figures[0]:>20}{figures[1]:>20}")


def _beside(found: dict[Combination, float], client: WireFormat, upstream: WireFormat) -> str:
    return f"{found[client, upstream] / found[client, client]:>7.2f}x"


def print_restoring(found: dict[str, float]) -> None:
    say(
        f"\nRestoring {found['restored']:.0f} turns of {found['messages']:.0f} "
        f"messages, {found['MB']:.1f} MB: "
        f"{found['restoring']:.1f} ms CPU ({found['with turns']:.1f} ms; "
        f"{found['without']:.1f} ms for as many bytes "
        "without turns)"
    )


def print_books(found: dict[str, float]) -> None:
    say("\nThe database on the way of a request, median")
    for what, microseconds in found.items():
        say(f"{what:<40}{microseconds:>10.1f} µs")


def print_remembered(found: dict[str, tuple[float, float]]) -> None:
    say(f"\n{'Remembered turns':<40}{'none':>10}{TURNS:>10,}")
    for what, (empty, full) in found.items():
        say(f"{what:<40}{empty:>10.2f}{full:>10.2f}")


def print_pages(found: dict[str, float]) -> None:
    say("\nPages over 1,000,000 exchanges and 100,000 audit records, server time, median")
    for page, milliseconds in found.items():
        say(f"{page:<40}{milliseconds:>10.1f} ms")


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


main()
