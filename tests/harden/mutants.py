"""Mutants: a module with one small fault in it, which its tests should notice.

Words that programs read (codes, keys, headers, statuses) are changed like any constant;
sentences, types and docstrings are not.
"""

import ast
from collections.abc import Iterator
from typing import Any

import msgspec

__all__ = ("Mutant", "mutants_of")

_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
"""Each operator's opposite, and where there is one its neighbour."""

_OPERATORS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
_FUNCTIONS = {"min": "max", "max": "min", "any": "all", "all": "any"}

_UNTOUCHED = {"annotation", "returns", "type_params", "decorator_list", "format_spec"}
"""Fields of nodes that say nothing of what is done."""

_DECLARATIONS = (ast.Import, ast.ImportFrom, ast.TypeAlias, ast.Global, ast.Nonlocal)


class Mutant(msgspec.Struct, frozen=True):
    """One fault."""

    line: int
    change: str
    """The function, and the statement as it is now: `grant: if left <= needed:`."""

    text: str
    """The whole module with the fault."""


class _Place(msgspec.Struct, frozen=True):
    """Where in the tree a node stands: in a field of its parent, or in a list that is one."""

    parent: Any
    field: str
    at: int | None
    function: str
    statement: ast.stmt

    @property
    def node(self) -> ast.AST:
        found = getattr(self.parent, self.field)
        return found if self.at is None else found[self.at]

    def put(self, node: ast.AST) -> None:
        if self.at is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.at] = node


def mutants_of(source: str) -> Iterator[Mutant]:
    """Each mutant of a module once, in the order of its lines."""
    tree = ast.parse(source)
    for place in _places(tree, "", None):
        node = place.node
        for other in _others(node):
            place.put(other)
            line = getattr(node, "lineno", place.statement.lineno)
            change = _told(place, node, other)
            yield Mutant(line, f"{place.function}: {change}", ast.unparse(tree))
        place.put(node)


def _told(place: _Place, node: ast.AST, other: ast.AST) -> str:
    """The change in a line, after it was made."""
    if node is not place.statement:
        return _first_line(place.statement)
    if isinstance(other, ast.Pass):
        return f"without {_first_line(node)}"
    if isinstance(node, ast.Return) and node.value is not None:
        return f"return None, not {_first_line(node.value)}"
    return _first_line(other)


def _places(node: ast.AST, function: str, statement: ast.stmt | None) -> Iterator[_Place]:
    """Every node that may be another, parents first."""
    for field, found in ast.iter_fields(node):
        children = found if isinstance(found, list) else [found]
        for at, child in enumerate(children):
            if not isinstance(child, ast.AST) or field in _UNTOUCHED or _is_inert(node, child):
                continue
            inside = child if isinstance(child, ast.stmt) else statement
            if inside is None:
                continue
            index = at if isinstance(found, list) else None
            yield _Place(node, field, index, function, inside)
            named = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            within = f"{function}.{child.name}".lstrip(".") if named else function
            yield from _places(child, within, inside)


def _is_inert(parent: ast.AST, node: ast.AST) -> bool:
    """Whether nothing is done in the node: a declaration, a docstring, part of a sentence."""
    if isinstance(node, ast.Assign):
        return any(isinstance(one, ast.Name) and one.id == "__all__" for one in node.targets)
    text = isinstance(node, ast.Constant) and isinstance(parent, ast.JoinedStr | ast.Expr)
    kind = isinstance(node, ast.keyword) and isinstance(parent, ast.ClassDef)
    return text or kind or isinstance(node, _DECLARATIONS)


def _others(node: ast.AST) -> Iterator[ast.AST]:
    """What stands instead of a node in its mutants."""
    match node:
        case ast.cmpop():
            yield from (other() for other in _COMPARISONS[type(node)])
        case ast.operator() | ast.boolop():
            yield from (other() for kind, other in _OPERATORS.items() if type(node) is kind)
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield node.operand
        case ast.Constant():
            yield from (ast.Constant(other) for other in _other_values(node.value))
        case ast.Name(id=name, ctx=ast.Load()) if name in _FUNCTIONS:
            yield ast.Name(_FUNCTIONS[name], ast.Load())
        case ast.stmt():
            yield from _other_statements(node)
    yield from _negated(node)


def _other_values(value: object) -> Iterator[Any]:
    match value:
        case bool():
            yield not value
        case int() | float():
            yield value + 1
        case str() if not any(map(str.isspace, value)):
            yield f"XX{value}"
        case bytes() if not value.split()[1:]:
            yield b"XX" + value


def _other_statements(node: ast.stmt) -> Iterator[ast.stmt]:
    match node:
        case ast.Return(value=ast.expr() as value) if not _is_none(value):
            yield ast.Return(ast.Constant(None))
        case ast.Expr(value=ast.Call() | ast.Await() | ast.Yield() | ast.YieldFrom()):
            yield ast.Pass()
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield ast.Pass()
        case ast.AugAssign() | ast.Delete() | ast.Raise() | ast.Continue() | ast.Break():
            yield ast.Pass()


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _negated(node: ast.AST) -> Iterator[ast.AST]:
    """The condition of a branch turned round, unless its own operator is turned round too."""
    match node:
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
            if not isinstance(test, ast.UnaryOp) and not _is_simple(test):
                yield _with_test(node, ast.UnaryOp(ast.Not(), test))


def _is_simple(test: ast.expr) -> bool:
    return isinstance(test, ast.Compare) and len(test.ops) == 1


def _with_test(node: ast.AST, test: ast.expr) -> ast.AST:
    fields = dict(ast.iter_fields(node)) | {"test": test}
    return type(node)(**fields)


def _first_line(node: ast.AST) -> str:
    return ast.unparse(node).partition("\n")[0]
