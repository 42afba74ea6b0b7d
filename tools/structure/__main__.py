"""Print the table, and end with 1 while a row that is a contract misses its goal unexplained.

What nobody can count is left out: whether a newcomer finds a behaviour's file at the first guess.
"""

import argparse
import sys
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.structure import goals, imports, lines, sizes
from tools.structure.source import Module, read_modules
from tools.structure.table import Row, as_json, as_text

ROOT = Path(__file__).parents[2]


def measure(root: Path, modules: Sequence[Module]) -> list[Row]:
    pyproject = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    graph = imports.import_graph(modules)
    return [
        imports.container_row(graph, "addon", goals.ADDON),
        imports.container_row(graph, "addon.formats", goals.FORMATS),
        imports.container_row(graph, "manage_api", goals.MANAGE_API),
        imports.container_row(graph, "shared"),
        imports.cycles_row(graph),
        imports.layers_row(pyproject),
        imports.mitmproxy_row(modules),
        sizes.classes_row(modules),
        sizes.asserts_row(modules),
        sizes.functions_row(modules),
        sizes.files_row(modules),
        sizes.annotations_row(modules),
        lines.conditionals_row(modules),
        lines.nested_row(modules),
        lines.crowded_row(modules),
        lines.line_lengths_row(modules),
        lines.ruff_row(pyproject),
        lines.comments_row(modules),
        lines.constants_row(modules),
    ]


def worst_places(modules: Sequence[Module], count: int) -> str:
    """Return the places to begin with, at most `count` of each kind, under headings."""
    classes = [str(size) for size in sizes.class_sizes(modules)]
    functions = [f"{size.lines:4}  {size.place}" for size in sizes.function_sizes(modules)]
    conditionals = {module.path: len(lines.conditionals(module)) for module in modules}
    constants = {module.path: len(lines.bare_constants(module)) for module in modules}
    long_lines = {module.path: lines.count_long_lines(module) for module in modules}
    lists = {
        "Conditional expressions": ranked(conditionals),
        "Nested ones": [place for module in modules for place in lines.nested_conditionals(module)],
        "Several on a line": [place for module in modules for place in lines.crowded_lines(module)],
        f"Lines over {goals.LINE_P90} characters": ranked(long_lines),
        "Constants without a reason beside": ranked(constants),
        "Methods + fields of a class": classes,
        "Lines of a function's body": functions,
    }
    return "\n\n".join("\n  ".join([title, *lists[title][:count]]) for title in lists)


def ranked(counts: Mapping[str, int]) -> list[str]:
    """Return the files with their counts, the highest first, without those that have none."""
    return [f"{count:4}  {path}" for path, count in Counter(counts).most_common() if count]


def main(arguments: Sequence[str], root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tools.structure", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--worst", type=int, metavar="N", help="name the N worst places too")
    options = parser.parse_args(arguments)
    explained = goals.EXPLAINED
    modules = read_modules(root)
    rows = measure(root, modules)
    if options.json:
        print(as_json(rows, explained))
    elif options.worst:
        print(f"{as_text(rows, explained)}\n\n{worst_places(modules, options.worst)}")
    else:
        print(as_text(rows, explained))
    return int(any(row.breaks(explained) for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
