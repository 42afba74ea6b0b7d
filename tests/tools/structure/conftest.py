"""Small packages to measure, written into a directory of the test."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tools.structure.source import Module, read_modules

type Tree = Callable[..., list[Module]]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Write `(path, source)` pairs below a root, and read them as modules."""

    def write(*files: tuple[str, str]) -> list[Module]:
        for path, source in files:
            target = tmp_path / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(source)
        return read_modules(tmp_path)

    return write
