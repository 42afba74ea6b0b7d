"""`python -m tests.bench`: what the gateway costs beside bare mitmproxy, with the verdict of each
promise; the exit status is 1 when one is missed. `--full` measures all that docs/performance.md
has, over a plain upstream too and beside what else is installed: LiteLLM where `BENCH_LITELLM`
names its environment, and nginx. `--write PAGE` puts the tables there.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.growing import growth
from tests.bench.parts import parts
from tests.bench.relaying import Found, measure_relaying
from tests.bench.tables import Table, placed
from tests.bench.targets import BARE, DIRECT, OURS, PLAIN_PATH, SBIN
from tests.bench.verdicts import carried_table, others_table, verdict_table, verdicts
from tests.harden.table import here_and_today

ROUNDS, MOST_SECONDS = 3, 400
"""Of the short bench. No round is begun later, and one takes a minute on a quiet machine."""

MEGABYTES = 2.0
"""Of the history that is replayed."""

FULL_ROUNDS, FULL_MOST_SECONDS = 5, 3600
"""For each of the two upstreams."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--rounds", type=int, metavar="COUNT")
    parser.add_argument("--write", type=Path, metavar="PAGE")
    asked = parser.parse_args()
    missed = _relaying(asked.write, asked.rounds, full=asked.full)
    if asked.full:
        for name, measure in (("growth", growth), ("parts", parts)):
            _tell(asked.write, name, _in_a_folder(measure))
    if asked.full and asked.write:
        flames = [
            sys.executable,
            "-m",
            "tests.bench.flames",
            str(asked.write.with_name("flames.svg")),
        ]
        subprocess.run(flames, check=True, stdout=subprocess.DEVNULL)
    say(f"\n{_where_and_when()}")
    return int(missed)


def _relaying(page: Path | None, rounds: int | None, *, full: bool) -> bool:
    """Print the tables of relaying; whether a promise is missed."""
    kinds = {"TLS upstream": True, "plain upstream": False} if full else {"TLS upstream": True}
    found = {name: _in_a_folder(_measuring(full, tls, rounds)) for name, tls in kinds.items()}
    promised = [verdict_table(name, figures) for name, figures in found.items()]
    carried = [carried_table(name, figures, MEGABYTES) for name, figures in found.items()]
    _tell(page, "promises", promised)
    if full:
        _tell(page, "others", [others_table(name, figures) for name, figures in found.items()])
    _tell(page, "one core", carried)
    judged = (verdict for figures in found.values() for *_, verdict in verdicts(figures))
    return any(verdict in ("MISSED", "not measured") for verdict in judged)


def _measuring(full: bool, tls: bool, wanted: int | None) -> Callable[[Path], Found]:
    names, rounds, seconds = [BARE, OURS], ROUNDS, MOST_SECONDS
    if full:
        names += [PLAIN_PATH, DIRECT, *_installed()]
        rounds, seconds = FULL_ROUNDS, FULL_MOST_SECONDS
    until = time.monotonic() + seconds
    return lambda folder: measure_relaying(
        folder, names, tls=tls, rounds=wanted or rounds, until=until
    )


def _installed() -> list[str]:
    nginx = ["nginx"] if shutil.which("nginx", path=SBIN) else []
    return nginx + (["LiteLLM"] if os.environ.get("BENCH_LITELLM") else [])


def _in_a_folder[T](measure: Callable[[Path], T]) -> T:
    with tempfile.TemporaryDirectory() as folder:
        return measure(Path(folder))


def _tell(page: Path | None, name: str, tables: list[Table]) -> None:
    for table in tables:
        say(table.text())
    if page:
        shown = [*(table.markdown() for table in tables), f"Measured {_where_and_when()}."]
        page.write_text(placed(page.read_text("utf-8"), name, "\n\n".join(shown)), "utf-8")


def _where_and_when() -> str:
    """The machine, the day and how busy it was, by which figures are to be judged."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        "unknown processor",
    )
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return f"{here_and_today()} ({model}), Python {sys.version.split()[0]}, load average {load}"


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
