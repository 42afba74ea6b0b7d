"""F21: the tests of what admits and counts notice nearly every fault that is put into it.

A mutant lives in a process of its own, which is forked with all imports done but those of what
is mutated; no file is changed. mutmut 3 runs mutants in the same way, but leaves what stands
outside of functions as it is, and that is where limits, patterns and tables are.
"""

import importlib
import multiprocessing
import os
import resource
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from multiprocessing.context import ForkServerContext
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest

from tests.harden.equivalent import EQUIVALENT
from tests.harden.figure import Figure
from tests.harden.mutants import Mutant, mutants_of

__all__ = ("figures",)

ROOT = Path(__file__).parents[2]
ROOMS = ("admission", "ledger")
LEAST_PERCENT = 80
MOST_CPU_SECONDS, MOST_SECONDS = 30, 300
"""A mutant that works for longer loops, one that lasts longer waits for what does not come: its
tests take a few seconds.
"""

BELOW = ("formats", "mirror", "recall", "routing", "translation")
"""Rooms that import nothing that is mutated."""

LIBRARIES = ("hypothesis", "mitmproxy.http", "pytest_asyncio.plugin", "tests.support.provider")

OPTIONS = (
    "--exitfirst",
    "-p",
    "no:cacheprovider",
    "-W",
    "ignore::pytest.PytestAssertRewriteWarning",  # of what was imported before pytest began
    "--disable-plugin-autoload",  # which would import more than all that is tested
    *("-p", "pytest_asyncio.plugin"),
    *("-p", "_hypothesis_pytestplugin"),
    "--hypothesis-profile=ci",
)

_SURVIVED, _KILLED = 0, 1


class Case(msgspec.Struct, frozen=True):
    """A mutant, and where it is."""

    path: str
    mutant: Mutant

    def __str__(self) -> str:
        return f"{self.path}:{self.mutant.line} {self.mutant.change}"

    @property
    def name(self) -> str:
        """What it is called in the list of those that change nothing."""
        return f"{Path(self.path).stem}.{self.mutant.change}"

    @property
    def tests(self) -> Iterator[str]:
        """Its module's own tests, which notice most, then all of its room."""
        room = Path("tests", self.path).parent
        twin = room / f"test_{Path(self.path).name}"
        yield from (str(each) for each in (twin, room) if (ROOT / each).exists())


def figures() -> Iterable[Figure]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_imported()))
    for room in ROOMS:
        yield _figure(room, context)


def _imported() -> Iterator[str]:
    """What the tests need, which is imported once for all mutants."""
    yield from LIBRARIES
    for folder in (*(f"addon/{room}" for room in BELOW), "shared"):
        for path in (ROOT / folder).rglob("[a-z]*.py"):
            yield _name(str(path.relative_to(ROOT)))


def _name(path: str) -> str:
    """`addon/log.py` is `addon.log`."""
    return path.removesuffix(".py").replace("/", ".")


def _figure(room: str, context: ForkServerContext) -> Figure:
    cases = list(_cases(room))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for sound in pool.map(lambda path: _survives(_sound(path), context), _modules(room)):
            if not sound:
                raise RuntimeError(f"tests of addon/{room} fail without any fault")
        survived = list(pool.map(lambda case: _survives(case, context), cases))
    alive = [case for case, lives in zip(cases, survived, strict=True) if lives]
    for case in alive:
        sys.stderr.write(f"survived: {case}\n")
    percent = 100 * (1 - len(alive) / len(cases))
    scale = f"{len(cases):,} faults in addon/{room}, judged by its unit tests"
    measured = f"{percent:.1f} % noticed, {len(alive)} not"
    return Figure("F21", scale, measured, f"≥ {LEAST_PERCENT} %", percent >= LEAST_PERCENT)


def _modules(room: str) -> list[str]:
    folder = ROOT / "addon" / room
    return sorted(str(path.relative_to(ROOT)) for path in folder.glob("[a-z]*.py"))


def _cases(room: str) -> Iterator[Case]:
    """All mutants of the room that change what it does."""
    for path in _modules(room):
        for mutant in mutants_of((ROOT / path).read_text("utf-8")):
            case = Case(path, mutant)
            if case.name not in EQUIVALENT:
                yield case


def _sound(path: str) -> Case:
    """The module as it is."""
    return Case(path, Mutant(0, "as it is", (ROOT / path).read_text("utf-8")))


def _survives(case: Case, context: ForkServerContext) -> bool:
    """Whether no test notices the fault."""
    return all(_passes(case, tests, context) for tests in case.tests)


def _passes(case: Case, tests: str, context: ForkServerContext) -> bool:
    with TemporaryDirectory() as folder:
        process = context.Process(target=_test, args=(case, tests, folder))
        process.start()
        process.join(MOST_SECONDS)
        if process.is_alive():
            process.kill()
            process.join()
    return process.exitcode == _SURVIVED


def _test(case: Case, tests: str, folder: str) -> None:
    """Run the tests in this process, with the mutant in place of its module."""
    silence = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(silence, stream)
    os.chdir(ROOT)
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_CPU_SECONDS, MOST_CPU_SECONDS))
    status: int = _KILLED
    try:
        _put_in_place(case)
        status = pytest.main([*OPTIONS, f"--basetemp={folder}", tests])
    finally:
        os._exit(int(status))


def _put_in_place(case: Case) -> None:
    name = _name(case.path)
    if name in sys.modules:
        raise RuntimeError(f"{name} is imported already")
    package, _, stem = name.rpartition(".")
    module = module_from_spec(ModuleSpec(name, None, origin=case.path))
    module.__file__ = str(ROOT / case.path)
    sys.modules[name] = module
    exec(compile(case.mutant.text, module.__file__, "exec"), module.__dict__)
    setattr(importlib.import_module(package), stem, module)
