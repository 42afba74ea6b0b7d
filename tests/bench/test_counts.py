import sys
from pathlib import Path

import pytest

from tests.bench.counts import counted, grown, recorded
from tests.bench.replay import Cost

ROOT = Path(__file__).parents[2]
PYTHON = (ROOT / ".python-version").read_text().strip()
HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
KNOWN = {"a delta": Cost(calls=200, blocks=2, called={"a.py": 150, "b.py": 50})}


@pytest.mark.skipif(HERE != PYTHON, reason=f"the counts are recorded for Python {PYTHON}")
def test_no_delta_request_or_message_of_a_history_costs_more_than_is_recorded() -> None:
    costs = "\n".join(grown(recorded(), counted()))

    assert not costs, (
        f"{costs}\nFind what is new, or record it with the reason in the commit:"
        " python -m tests.bench.counts --record"
    )


def test_a_cost_that_has_grown_is_told_with_the_files_that_are_called_more() -> None:
    now = {"a delta": Cost(calls=230, blocks=9, called={"a.py": 150, "b.py": 60, "c.py": 20})}

    assert list(grown(KNOWN, now)) == [
        "a delta takes 230 Python calls, not 200: c.py 20, not 0; b.py 60, not 50",
        "a delta holds 9 blocks of memory, not 2",
    ]


def test_a_read_that_comes_in_two_is_let_pass() -> None:
    now = {"a delta": Cost(calls=209, blocks=3, called={"a.py": 159, "b.py": 50})}

    assert list(grown(KNOWN, now)) == []
