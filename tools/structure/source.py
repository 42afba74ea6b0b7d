"""The source files as modules: their text, their syntax, their comments."""

import ast
import io
import math
import re
import tokenize
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

PACKAGES = ("addon", "manage_api", "shared")

_PRAGMA = re.compile(r"#\s*(noqa|type:|fmt:|pragma|ruff:|mypy:)")
"""A comment that speaks to a tool explains nothing."""

type Function = ast.FunctionDef | ast.AsyncFunctionDef


class Module:
    """One source file. `path` is relative to the root, `name` is the one that imports use."""

    def __init__(self, root: Path, path: Path) -> None:
        self.path = path.as_posix()
        self.is_package = path.name == "__init__.py"
        self.name = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
        self.text = (root / path).read_text(encoding="utf-8")
        self.lines = self.text.splitlines()
        self.tree = ast.parse(self.text)

    @property
    def full_lines(self) -> list[str]:
        """The lines that are not blank, docstrings and comments included."""
        return [line for line in self.lines if line.strip()]

    def nodes[N: ast.AST](self, kind: type[N]) -> Iterator[N]:
        return (node for node in ast.walk(self.tree) if isinstance(node, kind))

    def functions(self) -> Iterator[Function]:
        yield from self.nodes(ast.FunctionDef)
        yield from self.nodes(ast.AsyncFunctionDef)

    def comments(self) -> dict[int, str]:
        """Return the comments by their lines, without the directives to tools."""
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        comments = ((token.start[0], token.string) for token in tokens if is_comment(token))
        return dict(comments)


def is_comment(token: tokenize.TokenInfo) -> bool:
    return token.type == tokenize.COMMENT and not _PRAGMA.match(token.string)


def read_modules(root: Path) -> list[Module]:
    paths = [path for package in PACKAGES for path in sorted((root / package).rglob("*.py"))]
    return [Module(root, path.relative_to(root)) for path in paths]


def by_package(modules: Sequence[Module]) -> dict[str, list[Module]]:
    """Return the modules of each package, in the order of PACKAGES."""
    groups: dict[str, list[Module]] = {package: [] for package in PACKAGES}
    for module in modules:
        groups[module.name.partition(".")[0]].append(module)
    return groups


def end_line(node: ast.stmt) -> int:
    return node.end_lineno or node.lineno


def percentile_90(values: Collection[int]) -> int:
    """Return the value that nine of ten do not exceed, 0 for none."""
    if not values:
        return 0
    return sorted(values)[math.ceil(0.9 * len(values)) - 1]
