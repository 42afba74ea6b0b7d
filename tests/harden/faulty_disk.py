"""A disk on which some writes fail, for the database of one gateway; it takes a C compiler."""

import errno
import mmap
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

__all__ = ("FaultyDisk", "has_compiler")

SOURCE = Path(__file__).with_name("faulty_disk.c")
_HEAD = struct.Struct("=BBxxI")


def has_compiler() -> bool:
    return shutil.which("cc") is not None


class FaultyDisk:
    """Switched on for a while, it lets writes fail; `environment` is what the gateway gets."""

    def __init__(self, folder: Path) -> None:
        library, self._path = folder / "faulty_disk.so", folder / "faults"
        command = ["cc", "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"]
        subprocess.run(command, check=True, timeout=60)
        self._path.write_bytes(bytes(_HEAD.size))
        self._file = self._path.open("r+b")
        self._faults = mmap.mmap(self._file.fileno(), _HEAD.size)
        self.environment = {"LD_PRELOAD": str(library), "FAULTY_DISK": str(self._path)}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._faults.close()
        self._file.close()

    @property
    def count(self) -> int:
        """Writes that have failed."""
        return int(_HEAD.unpack(self._faults[:])[2])

    @contextmanager
    def failing(self, percentage: int, error: int = errno.EIO) -> Iterator[None]:
        self._faults[:2] = bytes((percentage, error))
        yield
        self._faults[:2] = bytes(2)
