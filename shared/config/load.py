"""Reads the configuration: the TOML file, and the environment over it, become one checked `Snapshot`."""

from collections.abc import Mapping

import msgspec

from shared.config.document import Document
from shared.config.draft import Draft
from shared.config.schema import Snapshot
from shared.errors import ConfigError, Problem

__all__ = ("config_path", "load")


def load(environ: Mapping[str, str]) -> Snapshot:
    """Read the file at `CONFIG_PATH`, then the environment, where an empty value counts as unset.

    Raises ConfigError with every problem found.
    """
    draft = begin(environ)
    draft.complete()
    if problems := draft.check():
        raise ConfigError(problems)
    return msgspec.convert(draft.tree, Snapshot)


def config_path(environ: Mapping[str, str]) -> str:
    """Where the file is, or would be."""
    return environ.get("CONFIG_PATH") or Snapshot().config_path


def begin(environ: Mapping[str, str]) -> Draft:
    path = config_path(environ)
    try:
        return Draft(Document.read(path), environ)
    except FileNotFoundError:
        missing = Problem("CONFIG_PATH", f"there is no file {path}; make it or unset CONFIG_PATH", source="environment")
        return Draft(Document.empty(path), environ, [missing] if environ.get("CONFIG_PATH") else [])
    except ConfigError as error:
        return Draft(Document.empty(path), environ, error.problems)
