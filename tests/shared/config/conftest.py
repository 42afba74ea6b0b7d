"""A configuration file to write and load."""

from pathlib import Path

import pytest

from shared.config.load import load
from shared.config.schema import Snapshot
from shared.errors import ConfigError, Problem


class ConfigFile:
    """A configuration file of the test's own; environment variables are given as keyword
    arguments.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self, text: str, **environ: str) -> Snapshot:
        self.path.write_text(text)
        return load({"CONFIG_PATH": str(self.path), **environ})

    def problems(self, text: str, **environ: str) -> list[Problem]:
        with pytest.raises(ConfigError) as refused:
            self.load(text, **environ)
        return refused.value.problems

    def complaints(self, text: str, **environ: str) -> list[str]:
        """The problems as `line key: message`."""
        return [
            f"{problem.line} {problem.key}: {problem.message}"
            for problem in self.problems(text, **environ)
        ]


@pytest.fixture
def config(tmp_path: Path) -> ConfigFile:
    return ConfigFile(tmp_path / "config.toml")
