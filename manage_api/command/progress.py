"""A bar for work that takes long, on a terminal only."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

import click

__all__ = ("growing",)

_LOOK_SECONDS = 0.2


@contextmanager
def growing(file: Path, size: int, label: str, stream: TextIO | None = None) -> Iterator[None]:
    """Show inside the block how far a file has grown towards a size in bytes.

    The stream is standard error unless given; one that is no terminal is shown nothing.
    """
    stream = stream or sys.stderr
    if not stream.isatty():
        yield
        return
    done = threading.Event()
    with click.progressbar(length=max(1, size), label=label, file=stream) as bar:

        def watch() -> None:
            while not done.wait(_LOOK_SECONDS):
                with suppress(OSError):
                    bar.update(min(file.stat().st_size, bar.length or 0) - bar.pos)

        watching = threading.Thread(target=watch, daemon=True)
        watching.start()
        try:
            yield
            done.set()
            watching.join()
            bar.update((bar.length or 0) - bar.pos)
        finally:
            done.set()
