"""Reads the configuration: the TOML file, and the environment over it, become one checked
`Snapshot`.
"""

from collections.abc import Mapping

from shared.config.document import Document
from shared.config.draft import Draft
from shared.config.layers import Base, combine
from shared.config.overrides import Stored
from shared.config.schema import Snapshot
from shared.errors import ConfigError, Problem

__all__ = ("config_path", "load", "read_base")


def load(environ: Mapping[str, str], stored: Stored = Stored()) -> Snapshot:
    """Read the file at `CONFIG_PATH` and the environment over it, what is stored below; an
    empty variable is unset.

    Raises ConfigError with every problem of file and environment; what is unfit of the
    stored is left out.
    """
    return combine(read_base(environ), stored).snapshot


def read_base(environ: Mapping[str, str]) -> Base:
    """File and environment as `load` reads them; raises as it does."""
    draft = begin(environ)
    draft.complete()
    if problems := draft.check():
        raise ConfigError(problems)
    return Base(draft.tree, draft.overridden)


def config_path(environ: Mapping[str, str]) -> str:
    """Where the file is, or would be."""
    return environ.get("CONFIG_PATH") or Snapshot().config_path


def begin(environ: Mapping[str, str]) -> Draft:
    path = config_path(environ)
    try:
        return Draft(Document.read(path), environ)
    except FileNotFoundError:
        missing = Problem(
            "CONFIG_PATH",
            f"there is no file {path}; make it or unset CONFIG_PATH",
            source="environment",
        )
        return Draft(Document.empty(path), environ, [missing] if environ.get("CONFIG_PATH") else [])
    except ConfigError as error:
        return Draft(Document.empty(path), environ, error.problems)
