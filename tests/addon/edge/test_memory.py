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
free = FreeMemory(iter(range(1_000)).__next__)  # which always has work
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


AT_REST = """
import psutil
from time import process_time
from addon.edge.memory import FreeMemory
rss = psutil.Process().memory_info
free = FreeMemory()
def mb():
    return rss().rss // 1_000_000
held, before = [bytearray(3_000) for _ in range(20_000)], mb()
free.each_second(is_working=False).join()  # all is in use: it rests for long
pieces = [bytearray(3_000) for _ in range(40_000)]
kept = pieces[::100]
del pieces
while process_time() < 1:
    pass  # more than a second's work, whatever the machine
assert free.each_second(is_working=False) is None  # there was work
free.each_second(is_working=False).join()
print(mb() - before < 15)
"""


def test_a_process_that_comes_to_rest_gives_back_what_it_has_free() -> None:
    done = subprocess.run(
        [sys.executable, "-c", AT_REST], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout.split() == ["True"], done.stderr


SURVIVORS = """
import gc, weakref
from addon.edge.memory import ALL, DUE, Collector
class Cycle:
    pass
def look():
    for _ in range(DUE + 1):
        gc.collect(1)
    collector.each_second(is_working=False)
collector = Collector()
collector.begin()
cycle = Cycle()
cycle.itself, gone = cycle, weakref.ref(cycle)
look()
del cycle
look()
left_out = gone() is not None
for _ in range(ALL):
    look()
print(left_out, gone() is None)
"""


def test_what_has_survived_a_look_is_looked_at_now_and_then() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SURVIVORS], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout.split() == ["True", "True"], done.stderr
