"""Which event loop the data plane runs on: uvloop's where it is installed, else asyncio's."""

import asyncio
import logging
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module

from shared.config.schema import Logging
from shared.log import configure

__all__ = ("VARIABLE", "choose")

VARIABLE = "EVENT_LOOP"
"""The environment variable that says `asyncio` where uvloop is not to be used."""

type NewLoop = Callable[[], asyncio.AbstractEventLoop]


def choose(wanted: str) -> None:
    """Have `asyncio.run` use uvloop's loop if that is installed and works, unless `asyncio` is
    wanted.

    mitmproxy has no option for it. One that is installed and does not work is said in the log.
    """
    if wanted == "asyncio":
        return
    try:
        uvloop = import_module("uvloop")
    except ImportError:
        return
    if fault := _fault(uvloop.new_event_loop):
        configure(Logging(), sys.stdout)
        logging.getLogger("thinkback").warning(
            "uvloop %s does not work here (%s): asyncio's event loop is used",
            uvloop.__version__,
            fault,
        )
        return
    asyncio.run = partial(asyncio.run, loop_factory=uvloop.new_event_loop)


def _fault(new_loop: NewLoop) -> str:
    """What is wrong with a loop; empty when it can do what mitmproxy asks of it."""
    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            # uvloop 0.23.0 can't on CPython 3.13.0.
            runner.get_loop().set_task_factory(asyncio.eager_task_factory)
            runner.run(asyncio.sleep(0))
    except Exception as error:  # whatever it is, the other loop works
        return str(error) or type(error).__name__
    return ""
