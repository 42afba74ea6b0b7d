"""What large bodies took is given back when they are gone, whatever small objects came between;
and no large request is held up by a look at all objects.
"""

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


COLLECTIONS = """
import gc
from addon.edge.memory import DUE, Collector
seen = []
gc.callbacks.append(lambda phase, info: seen.append((phase, info["generation"])))
collector = Collector()
collector.begin()
seen.clear()
held = [[] for _ in range((DUE + 5) * 25_000)]
during = seen.count(("start", 2))
collector.each_second(is_working=True)
working = seen.count(("start", 2))
collector.each_second(is_working=False)
print(len(seen) > 10, during, working, seen.count(("start", 2)))
collector.each_second(is_working=False)
print(seen.count(("start", 2)))
"""


def test_all_objects_are_looked_at_when_nobody_works_on_a_large_request() -> None:
    done = subprocess.run(
        [sys.executable, "-c", COLLECTIONS], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["True", "0", "0", "1", "1"]


BETWEEN = """
import psutil
from addon.edge.memory import REST_SECONDS, FreeMemory
rss = psutil.Process().memory_info
free = FreeMemory()
def grow():
    pieces = [bytearray(3_000) for _ in range(20_000)]
    return pieces[::100]
def mb():
    return rss().rss // 1_000_000
before, kept = mb(), grow()
grown = mb()
assert free.each_second(is_working=True) is None
free.each_second(is_working=False).join()
given_back = mb()
kept += grow()
rests = [free.each_second(is_working=False) for _ in range(REST_SECONDS - 1)]
free.each_second(is_working=False).join()
at_last = mb() - before < 15
held, looks = [bytearray(3_000) for _ in range(20_000)], 0
kept += grow()
for _ in range(4 * REST_SECONDS):
    if giving := free.each_second(is_working=False):
        giving.join()
        looks += 1
print(grown - before > 50, given_back - before < 15, any(rests), at_last, looks)
"""


def test_what_lies_free_between_small_objects_is_given_back_and_not_each_second() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BETWEEN], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout.split() == ["True", "True", "False", "True", "2"], done.stderr
