"""How dense the lines are: conditional expressions, lengths, comments, constants without a reason.

A line is one that is not blank, as in the figures of other projects that the goals were taken from.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from tools.structure import goals
from tools.structure.source import PACKAGES, Module, by_package, end_line, percentile_90
from tools.structure.table import Row, shortened

_CONSTANT = re.compile(r"_?[A-Z][A-Z0-9_]*")


def conditionals(module: Module) -> list[ast.IfExp]:
    return list(module.nodes(ast.IfExp))


def conditionals_row(modules: Sequence[Module]) -> Row:
    rates = tuple(conditional_rate(group) for group in by_package(modules).values())
    bounds = (goals.CONDITIONALS,) * len(PACKAGES)
    name = f"conditionals per 1,000 lines: {' / '.join(PACKAGES)}"
    note = f"{sum(len(conditionals(module)) for module in modules)} in all"
    return Row(name, rates, bounds, contract=True, note=note)


def conditional_rate(modules: Sequence[Module]) -> float:
    """Return the conditional expressions in 1,000 lines, with one decimal."""
    lines = sum(len(module.full_lines) for module in modules)
    count = sum(len(conditionals(module)) for module in modules)
    return round(1000 * count / max(lines, 1), 1)


def nested_conditionals(module: Module) -> list[str]:
    """Return the places of conditional expressions within others, however deep."""
    nested = {inner for outer in conditionals(module) for inner in conditionals_within(outer)}
    return [f"{module.path}:{line}" for line in sorted(node.test.lineno for node in nested)]


def conditionals_within(outer: ast.IfExp) -> Iterator[ast.IfExp]:
    nodes = (node for node in ast.walk(outer) if node is not outer)
    return (node for node in nodes if isinstance(node, ast.IfExp))


def crowded_lines(module: Module) -> list[str]:
    """Return the places where the conditions of several conditional expressions share a line."""
    counts = Counter(node.test.lineno for node in conditionals(module))
    return [f"{module.path}:{line}" for line in sorted(counts) if counts[line] > 1]


def nested_row(modules: Sequence[Module]) -> Row:
    places = [place for module in modules for place in nested_conditionals(module)]
    bounds = (goals.NESTED_CONDITIONALS,)
    note = shortened(places)
    return Row("nested conditionals", (len(places),), bounds, contract=True, note=note)


def crowded_row(modules: Sequence[Module]) -> Row:
    places = [place for module in modules for place in crowded_lines(module)]
    bounds = (goals.CROWDED_LINES,)
    note = shortened(places)
    return Row("lines with several conditionals", (len(places),), bounds, contract=True, note=note)


def line_lengths_row(modules: Sequence[Module]) -> Row:
    values = tuple(line_length_p90(group) for group in by_package(modules).values())
    bounds = (goals.LINE_P90,) * len(PACKAGES)
    longest = max((longest_line(module) for module in modules), default=(0, ""))
    note = f"longest {longest[0]}, {longest[1]}"
    name = f"line length p90: {' / '.join(PACKAGES)}"
    return Row(name, values, bounds, contract=True, note=note)


def line_length_p90(modules: Sequence[Module]) -> int:
    return percentile_90([len(line) for module in modules for line in module.full_lines])


def count_long_lines(module: Module) -> int:
    """Return the lines above the goal of the 90th percentile."""
    return sum(len(line) > goals.LINE_P90 for line in module.lines)


def longest_line(module: Module) -> tuple[int, str]:
    lengths = ((len(line), number) for number, line in enumerate(module.lines, start=1))
    length, number = max(lengths, default=(0, 1))
    return length, f"{module.path}:{number}"


def ruff_row(pyproject: Mapping[str, Any]) -> Row:
    length = pyproject["tool"]["ruff"]["line-length"]
    return Row("ruff's line-length", (length,), (goals.LINE_LENGTH,))


def comments_row(modules: Sequence[Module]) -> Row:
    lines = sum(len(module.full_lines) for module in modules)
    comments = sum(len(comment_lines(module)) for module in modules)
    return Row("comment lines, %", (round(100 * comments / max(lines, 1), 1),))


def comment_lines(module: Module) -> set[int]:
    """Return the lines that hold nothing but a comment."""
    lines = module.comments()
    return {line for line in lines if module.lines[line - 1].lstrip().startswith("#")}


def constants_row(modules: Sequence[Module]) -> Row:
    """Count them without a goal: not every constant encodes a decision."""
    bare = sum(len(bare_constants(module)) for module in modules)
    total = sum(len(list(constants(module))) for module in modules)
    return Row("constants without a reason beside", (bare,), note=f"of {total}")


def constants(module: Module) -> Iterator[tuple[str, ast.stmt]]:
    """Yield the module's constants that hold a number, a text or a regular expression."""
    for node in module.tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.expr() as value):
                pass
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                pass
            case _:
                continue
        if _CONSTANT.fullmatch(name) and is_plain(value):
            yield name, node


def is_plain(value: ast.expr) -> bool:
    match value:
        case ast.Constant(value=bool()):
            return False
        case ast.Constant(value=int() | float() | str() | bytes()) | ast.JoinedStr():
            return True
        case ast.UnaryOp(operand=operand):
            return is_plain(operand)
        case ast.BinOp(left=left, right=right):
            return is_plain(left) or is_plain(right)
        case ast.Call(func=ast.Attribute(value=ast.Name(id="re"), attr="compile")):
            return True
        case _:
            return False


def bare_constants(module: Module) -> list[str]:
    """Return the constants with neither a comment above or behind nor a string right below."""
    body = module.tree.body
    explained = {node for node, below in pairwise(body) if is_text(below)}
    commented = set(module.comments())
    above = {line + 1 for line in comment_lines(module)}
    bare = []
    for name, node in constants(module):
        behind = commented & set(range(node.lineno, end_line(node) + 1))
        if node.lineno not in above and not behind and node not in explained:
            bare.append(f"{module.path}:{node.lineno} {name}")
    return bare


def is_text(node: ast.stmt) -> bool:
    match node:
        case ast.Expr(value=ast.Constant(value=str())):
            return True
    return False
