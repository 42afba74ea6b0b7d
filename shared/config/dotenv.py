"""The file `.env` beside the configuration: environment variables for who has no shell."""

import re
from collections.abc import Mapping
from pathlib import Path

from shared.config.azure import AZURE_ENVIRONMENT
from shared.config.draft import ENVIRONMENT, UPSTREAM_ENVIRONMENT
from shared.config.passed import SECRETS
from shared.errors import ConfigError, Problem

__all__ = ("read_env_file", "read_secrets")

_NAMES = {*ENVIRONMENT, *UPSTREAM_ENVIRONMENT, *AZURE_ENVIRONMENT, "DATA_DIR"}
"""The file may be another program's too: what that is told is not for us."""

_SECRETS = (*SECRETS, "ADMIN_PASSWORD", "ANTHROPIC_AUTH_TOKEN")
_LINE = re.compile(r"\s*(?:export\s+)?(\w+)\s*=\s*(.*?)\s*")
_QUOTED = re.compile(r"""(["'])(.*?)\1\s*(?:#.*)?""")
_COMMENT = re.compile(r"(?:^|\s+)#.*")


def read_env_file(file: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that Thinkback knows and that are unset, or empty, in the
    environment; none when there is no file. Raises ConfigError for an unreadable one.
    """
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise _unreadable(file, f"can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise _unreadable(file, "must be saved as UTF-8 text") from None
    found = dict(filter(None, map(_assignment, text.splitlines())))
    return {name: value for name, value in found.items() if value and not environ.get(name)}


def read_secrets(file: Path) -> dict[str, str]:
    """Return those of the file's variables that nobody else should read; raises as
    `read_env_file` does.
    """
    found = read_env_file(file, {})
    return {name: found[name] for name in _SECRETS if name in found}


def _assignment(line: str) -> tuple[str, str] | None:
    """Read a line as Docker Compose does: quoted or not, with a comment after it."""
    match = _LINE.fullmatch(line)
    if match is None or match[1] not in _NAMES:
        return None
    if quoted := _QUOTED.fullmatch(match[2]):
        return match[1], quoted[2]
    return match[1], _COMMENT.sub("", match[2])


def _unreadable(file: Path, message: str) -> ConfigError:
    return ConfigError([Problem("file", message, source=str(file))])
