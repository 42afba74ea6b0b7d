"""Reads the TOML file and the environment into one checked `Snapshot`."""

from collections.abc import Mapping

from shared.config.document import Document
from shared.config.draft import Draft
from shared.config.layers import Base, combine
from shared.config.overrides import Overrides
from shared.config.schema import Snapshot
from shared.config.tunnel import announced
from shared.errors import ConfigError, Problem

__all__ = ("DEFAULT_CONFIG", "config_path", "load", "read_base")

DEFAULT_CONFIG = "THINKBACK_CONFIG"
"""The environment variable with the path of the file where `CONFIG_PATH` names none."""


def load(environ: Mapping[str, str], overrides: Overrides = Overrides()) -> Snapshot:
    """Combine the environment, the file at `CONFIG_PATH` and the database's overrides.

    An empty variable counts as unset. Raises ConfigError with every problem of file and
    environment; unusable overrides are left out.
    """
    return combine(read_base(environ), overrides).snapshot


def read_base(environ: Mapping[str, str]) -> Base:
    """Read the file and the environment; raises as `load` does.

    The URL of a tunnel that is kept now takes the place of `PUBLIC_URL`.
    """
    if url := announced(environ):
        environ = {**environ, "PUBLIC_URL": url}
    draft = begin(environ)
    draft.complete()
    if problems := draft.check():
        raise ConfigError(problems)
    return Base(draft.tree, draft.overridden)


def config_path(environ: Mapping[str, str]) -> str:
    """Return the path of the file, which may not exist."""
    return environ.get("CONFIG_PATH") or environ.get(DEFAULT_CONFIG) or Snapshot().config_path


def begin(environ: Mapping[str, str]) -> Draft:
    path = config_path(environ)
    told = environ
    if environ.get(DEFAULT_CONFIG):
        told = {**environ, "CONFIG_PATH": path}
    try:
        return Draft(Document.read(path), told)
    except FileNotFoundError:
        if not environ.get("CONFIG_PATH"):
            return Draft(Document.empty(path), told)
        message = f"there is no file {path}: create it or unset CONFIG_PATH"
        missing = Problem("CONFIG_PATH", message, source="environment")
        return Draft(Document.empty(path), environ, [missing])
    except ConfigError as error:
        return Draft(Document.empty(path), told, error.problems)
