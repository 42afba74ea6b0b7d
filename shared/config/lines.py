"""Finds the line of each key in a TOML file, as `tomllib` returns values without lines."""

import re
import tomllib
from collections.abc import Iterator

import msgspec

__all__ = ("KeyPath", "Lines", "key_text")

type KeyPath = tuple[str | int, ...]
"""`("upstreams", 1, "base_url")` is the `base_url` of the second upstream."""

# Strings, comments, brackets and line ends as TOML 1.0 defines them; everything else is
# plain text between them.
PIECE = re.compile(
    r'''
      """(?:[^\\]|\\.)*?"""(?:"{0,2})   # a multi-line string may end in up to two quotes of its own
    | \'\'\'.*?\'\'\'(?:'{0,2})
    | "(?:[^"\\\n]|\\.)*"
    | '[^'\n]*'
    | \#[^\n]*
    | [^"'#\n\[\]{}=]+
    | .
    ''',
    re.VERBOSE | re.DOTALL,
)
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def key_text(path: KeyPath) -> str:
    """Write a path as people do: `upstreams[1].headers."X Y"`."""
    return "".join(map(path_part, path)).removeprefix(".")


def path_part(part: str | int) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    if BARE_KEY.fullmatch(part):
        return f".{part}"
    return f".{msgspec.json.encode(part).decode()}"


class Lines:
    """The lines, from 1, of every table and key in `text`, which must be valid TOML.

    What stands inside an inline table or an array is found at the line of the key that holds it.
    """

    def __init__(self, text: str) -> None:
        self._lines: dict[KeyPath, int] = {}
        self._sizes: dict[KeyPath, int] = {}  # of arrays of tables, as far as read
        table: KeyPath = ()
        for line, head in heads(text):
            if head.startswith("[["):
                table = self._open_element(key_parts(head[2:-2]))
                self._note(table, line)
            elif head.startswith("["):
                table = self._resolve((), key_parts(head[1:-1]))
                self._note(table, line)
            else:
                self._note(self._resolve(table, key_parts(head)), line)

    def of(self, path: KeyPath) -> int | None:
        """Return the line of the key, or else of the nearest key around it."""
        return next(
            (line for end in range(len(path), 0, -1) if (line := self._lines.get(path[:end]))), None
        )

    def _note(self, path: KeyPath, line: int) -> None:
        for end in range(1, len(path) + 1):
            self._lines.setdefault(path[:end], line)

    def _resolve(self, table: KeyPath, parts: list[str]) -> KeyPath:
        """Step into the key; an array of tables on the way means its latest element."""
        for part in parts:
            table = (*table, part)
            if size := self._sizes.get(table):
                table = (*table, size - 1)
        return table

    def _open_element(self, parts: list[str]) -> KeyPath:
        array = (*self._resolve((), parts[:-1]), parts[-1])
        self._sizes[array] = self._sizes.get(array, 0) + 1
        return (*array, self._sizes[array] - 1)


def heads(text: str) -> Iterator[tuple[int, str]]:
    """Yield every table header, and every key up to its `=`, with its line."""
    line, head, depth, in_value = 1, "", 0, False
    for piece in PIECE.findall(text + "\n"):
        if piece == "\n" and not depth:
            if head.strip():
                yield line, head.strip()
            head, in_value = "", False
        elif in_value:
            depth += (piece in ("[", "{")) - (piece in ("]", "}"))
        elif piece == "=":
            yield line, head.strip()
            head, in_value = "", True
        elif not piece.startswith("#"):
            head += piece
        line += piece.count("\n")


def key_parts(text: str) -> list[str]:
    """Split a dotted key into names without quotes."""
    table = tomllib.loads(f"{text} = 0")
    parts = []
    while isinstance(table, dict):
        [(part, table)] = table.items()
        parts.append(part)
    return parts
