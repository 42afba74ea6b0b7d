"""Secrets of the environment, which the programs get in an open file instead.

Every process of the same account can read a program's environment (proc_pid_environ(5)), and
reports of crashes quote it.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import msgspec

__all__ = ("SECRETS", "Passed", "passing", "received")

SECRETS = ("JWT_SECRET", "UPSTREAM_API_KEY", "AZURE_OPENAI_API_KEY", "SECRET_KEY")
VARIABLE = "THINKBACK_SECRETS_FD"


class Passed(msgspec.Struct, frozen=True):
    """An environment without secrets, and the open file that holds them."""

    environ: dict[str, str]
    file: int
    """Its descriptor, for programs to inherit."""


@contextmanager
def passing(environ: Mapping[str, str]) -> Iterator[Passed]:
    """Take the secrets out of an environment; programs can have them inside the block.

    The file has no name, so that it is nobody else's.
    """
    secrets = {name: environ[name] for name in SECRETS if name in environ}
    rest = {name: text for name, text in environ.items() if name not in SECRETS}
    with tempfile.TemporaryFile() as file:
        file.write(msgspec.json.encode(secrets))
        file.flush()
        yield Passed({**rest, VARIABLE: str(file.fileno())}, file.fileno())


def received(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment with the secrets that were passed; as it is when none were."""
    if not (number := environ.get(VARIABLE)):
        return dict(environ)
    content = os.pread(int(number), os.fstat(int(number)).st_size, 0)
    return {**environ, **msgspec.json.decode(content, type=dict[str, str])}
