"""A TOML file: its values, and the lines they are on."""

import re
import tomllib
from pathlib import Path
from typing import Any, NamedTuple, Self

from shared.config.lines import KeyPath, Lines, key_text
from shared.errors import ConfigError, Problem

__all__ = ("Document",)


class Document(NamedTuple):
    """The values of a file by key, for the reader to change, and their lines."""

    source: str
    tree: dict[str, Any]
    lines: Lines

    @classmethod
    def empty(cls, path: str) -> Self:
        """Return an empty document for a missing or unusable file."""
        return cls(path, {}, Lines(""))

    @classmethod
    def read(cls, path: str) -> Self:
        """Read the file.

        Raises FileNotFoundError, and ConfigError when it can't be read or isn't TOML.
        """
        try:
            # Windows editors put a byte order mark in front.
            text = Path(path).read_bytes().decode("utf-8-sig")
            return cls(path, tomllib.loads(text), Lines(text))
        except FileNotFoundError:
            raise
        except OSError as error:
            problem = Problem("file", f"can't be read: {error.strerror}", source=path)
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            problem = Problem("file", "must be saved as UTF-8 text", line, path)
        except (ValueError, RecursionError) as error:
            problem = Problem("syntax", f"is not TOML: {error}", syntax_line(error, text), path)
        raise ConfigError([problem]) from None

    def problem(self, path: KeyPath, message: str) -> Problem:
        return Problem(key_text(path), message, self.lines.of(path), self.source)


def syntax_line(error: Exception, text: str) -> int | None:
    """Return the line that `tomllib` names in its message."""
    if "(at end of document)" in str(error):
        return text.count("\n") + 1
    match = re.search(r"\(at line (\d+), column \d+\)", str(error))
    if match is None:
        return None
    return int(match[1])
