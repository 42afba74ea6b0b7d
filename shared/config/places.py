"""Where an installation keeps its state when nobody says where."""

from collections.abc import Mapping
from pathlib import Path

from platformdirs import user_data_path

from shared.config.load import DEFAULT_CONFIG

__all__ = ("env_file", "places")

_CHECKOUT = Path(__file__).parents[2] / "pyproject.toml"
"""A wheel doesn't have it."""


def places(
    environ: Mapping[str, str], here: Path, *, is_checkout: bool = _CHECKOUT.is_file()
) -> dict[str, str]:
    """The environment variables to add, so that the database, the secrets and the configuration
    are found wherever the program is started.

    `DATA_DIR` names the directory. Without it, a checkout and a directory that has a
    `config.toml` or a database keep their own; an installed program takes the user's data
    directory (specifications.freedesktop.org/basedir-spec on Linux).
    """
    directory = _directory(environ, here, is_checkout=is_checkout)
    if directory is None:
        return {}
    return {name: text for name, text in _within(directory, here).items() if not environ.get(name)}


def env_file(
    environ: Mapping[str, str], here: Path, *, is_checkout: bool = _CHECKOUT.is_file()
) -> Path:
    """The path of the file `.env` beside the configuration, which may be missing."""
    if config := environ.get("CONFIG_PATH"):
        return here / Path(config).with_name(".env")
    directory = _directory(environ, here, is_checkout=is_checkout)
    if directory is None or (here / "config.toml").exists():
        directory = here
    return directory / ".env"


def _directory(environ: Mapping[str, str], here: Path, *, is_checkout: bool) -> Path | None:
    """Where the state is; None: in the current directory."""
    if environ.get("DATA_DIR"):
        return Path(environ["DATA_DIR"])
    if is_checkout or (here / "config.toml").exists() or (here / "data/adapter.db").exists():
        return None
    return user_data_path("thinkback", appauthor=False)


def _within(directory: Path, here: Path) -> dict[str, str]:
    within = {"DATABASE_URL": f"sqlite:{directory / 'adapter.db'}"}
    if not (here / "config.toml").exists():
        within[DEFAULT_CONFIG] = str(directory / "config.toml")
    return within
