"""How large classes, functions and files are, and what the types leave open."""

import ast
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tools.structure import goals
from tools.structure.source import Function, Module, end_line, percentile_90
from tools.structure.table import Row

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class ClassSize(NamedTuple):
    total: int
    methods: int
    fields: int
    place: str

    @property
    def is_over(self) -> bool:
        return self.methods > goals.CLASS[0] or self.fields > goals.CLASS[1]

    def __str__(self) -> str:
        return f"{self.place} {self.methods} + {self.fields}"


class FunctionSize(NamedTuple):
    lines: int
    place: str


def class_sizes(modules: Sequence[Module]) -> list[ClassSize]:
    """Return the classes, the largest first."""
    sizes = []
    for module in modules:
        for node in module.nodes(ast.ClassDef):
            methods = sum(isinstance(member, _FUNCTIONS) for member in node.body)
            fields = len(field_names(node))
            place = f"{module.path} {node.name}"
            sizes.append(ClassSize(methods + fields, methods, fields, place))
    return sorted(sizes, reverse=True)


def field_names(node: ast.ClassDef) -> set[str]:
    """Return what methods assign to `self`, and what such a class declares.

    A record, which only declares, has none: its columns are data, not state to keep in mind.
    """
    assigned = set(assigned_names(node))
    if not assigned:
        return set()
    return assigned | set(declared_names(node))


def declared_names(node: ast.ClassDef) -> Iterator[str]:
    for member in node.body:
        match member:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
                if "ClassVar" not in ast.unparse(annotation):
                    yield name


def assigned_names(node: ast.ClassDef) -> Iterator[str]:
    for inner in ast.walk(node):
        match inner:
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                yield name


def classes_row(modules: Sequence[Module]) -> Row:
    sizes = class_sizes(modules)
    methods = max((size.methods for size in sizes), default=0)
    fields = max((size.fields for size in sizes), default=0)
    over = [size for size in sizes if size.is_over]
    note = "; ".join(map(str, over or sizes[:1]))
    name = "largest class: methods / fields"
    return Row(name, (methods, fields), goals.CLASS, contract=True, note=note)


def function_sizes(modules: Sequence[Module]) -> list[FunctionSize]:
    """Return the functions by the lines of their bodies, docstrings included, the longest first."""
    sizes = []
    for module in modules:
        for node in module.functions():
            lines = end_line(node) - node.body[0].lineno + 1
            sizes.append(FunctionSize(lines, f"{module.path}:{node.lineno} {node.name}"))
    return sorted(sizes, reverse=True)


def functions_row(modules: Sequence[Module]) -> Row:
    sizes = function_sizes(modules)
    lengths = [size.lines for size in sizes] or [0]
    values = (statistics.median(lengths), percentile_90(lengths), max(lengths))
    note = "".join(size.place for size in sizes[:1])
    return Row("function body: median / p90 / longest", values, (goals.FUNCTION_MEDIAN,), note=note)


def annotations_row(modules: Sequence[Module]) -> Row:
    functions = [(module, node) for module in modules for node in module.functions()]
    bare = [f"{module.path}:{node.lineno}" for module, node in functions if not is_annotated(node)]
    note = ", ".join([f"of {len(functions)}", *bare[:5]])
    return Row("functions not fully annotated", (len(bare),), (goals.UNANNOTATED,), note=note)


def is_annotated(node: Function) -> bool:
    """Whether the result and every argument but `self` and `cls` has a type."""
    arguments = node.args
    positional = [*arguments.posonlyargs, *arguments.args]
    if positional and positional[0].arg in ("self", "cls"):
        del positional[0]
    variadic = filter(None, (arguments.vararg, arguments.kwarg))
    rest = [*arguments.kwonlyargs, *variadic]
    return node.returns is not None and all(argument.annotation for argument in positional + rest)


def asserts_row(modules: Sequence[Module]) -> Row:
    files: Counter[str] = Counter()
    for module in modules:
        if module.path.startswith("addon/"):
            files[module.path] = sum(asserts_not_none(node) for node in module.nodes(ast.Assert))
    note = ", ".join(f"{path} {count}" for path, count in files.most_common(5) if count)
    name = "`assert ... is not None` in addon/"
    return Row(name, (files.total(),), (goals.NOT_NONE_ASSERTS,), contract=True, note=note)


def asserts_not_none(node: ast.Assert) -> bool:
    for inner in ast.walk(node.test):
        match inner:
            case ast.Compare(ops=[ast.IsNot()], comparators=[ast.Constant(value=None)]):
                return True
    return False


def files_row(modules: Sequence[Module]) -> Row:
    lengths = sorted(((len(module.lines), module.path) for module in modules), reverse=True)
    long = [pair for pair in lengths if pair[0] > goals.FILE_LINES]
    note = "; ".join(f"{path} {length}" for length, path in long or lengths[:1])
    name = f"files over {goals.FILE_LINES} lines"
    return Row(name, (len(long),), (goals.LONG_FILES,), contract=True, note=note)
