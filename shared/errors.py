"""The errors that both programs share.

ThinkbackError
├── ConfigError      the configuration can't be used; holds every problem found
└── StoreError       the database can't be used
    └── Busy         another write is in progress
"""

__all__ = ("Busy", "ConfigError", "Problem", "StoreError", "ThinkbackError")

from dataclasses import dataclass


class ThinkbackError(Exception):
    """Base of the errors a person is meant to read."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A fault in the configuration."""

    key: str
    """Path of the key, like `upstreams[1].base_url`, or an environment variable's name."""

    message: str
    """What is wrong and how to correct it, without the key."""

    line: int | None = None
    """Line in the file, from 1; None for the environment."""

    source: str = "config.toml"
    """The file's path, or `environment`."""

    def __str__(self) -> str:
        where = self.source
        if self.line:
            where += f":{self.line}"
        return f"{where}: {self.key}: {self.message}"


class ConfigError(ThinkbackError):
    """The configuration was refused; `problems` is never empty."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class StoreError(ThinkbackError):
    """The database can't be opened or migrated; the message says why."""


class Busy(StoreError):
    """Another write is in progress, and the caller did not want to wait."""
