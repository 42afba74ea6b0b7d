"""What large bodies took is given back when they are gone, whatever small objects came between."""

import subprocess
import sys

PROGRAM = """
import sys, psutil
from addon.edge.memory import give_back_soon
assert give_back_soon()
rss = psutil.Process().memory_info
before, small = rss().rss, []
for _ in range(8):
    large = [bytearray(20_000_000) for _ in range(4)]
    small.append([bytearray(5_000) for _ in range(50)])
    del large
print((rss().rss - before) // 1_000_000)
"""


def test_large_allocations_leave_nothing_behind() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60
    )
    assert int(done.stdout) < 10
