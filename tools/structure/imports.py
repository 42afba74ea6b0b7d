"""Who imports whom: modules, the rooms of a container, cycles, layers, mitmproxy.

A room is a module or a folder right inside a container. An arrow is one room's import of another,
wherever it stands in the code; an import for types only counts too, for a reader has to follow it.
Floors are the rooms on the longest way along the arrows, without those that run back up: the fewest
whose removal leaves no cycle.
"""

import ast
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from tools.structure import goals
from tools.structure.source import Module
from tools.structure.table import Row, shortened

EDGE = "addon.edge"

MOST_CUTS = 5_000
"""Sets of as many arrows that are tried to break a container's cycles, a few seconds' worth."""

type Graph = Mapping[str, Collection[str]]
type Arrow = tuple[str, str]


def imported_names(module: Module) -> Iterator[tuple[str, str]]:
    """Yield each import as a module's name and the name taken from it, "" for `import x`."""
    for plain in module.nodes(ast.Import):
        yield from ((alias.name, "") for alias in plain.names)
    for node in module.nodes(ast.ImportFrom):
        source = absolute_source(module, node)
        yield from ((source, alias.name) for alias in node.names)


def absolute_source(module: Module, node: ast.ImportFrom) -> str:
    parts = [node.module] if node.module else []
    if node.level:
        parents = module.name.split(".")
        # One dot is the package itself in its __init__, and the package around it in a module.
        depth = len(parents) - node.level + module.is_package
        parts = [*parents[:depth], *parts]
    return ".".join(parts)


def import_graph(modules: Sequence[Module]) -> dict[str, set[str]]:
    """Return which of the modules each imports. `from package import module` imports the module."""
    names = {module.name for module in modules}
    graph: dict[str, set[str]] = {}
    for module in modules:
        imports: set[str] = set()
        for source, name in imported_names(module):
            submodule = f"{source}.{name}"
            imports.add(submodule if submodule in names else source)
        graph[module.name] = (imports & names) - {module.name}
    return graph


def room_graph(graph: Graph, container: str) -> dict[str, set[str]]:
    """Return the rooms of a container, each with the others that it imports."""
    rooms: dict[str, set[str]] = {}
    for name, imports in graph.items():
        room = room_of(name, container)
        if room:
            arrows = rooms.setdefault(room, set())
            arrows.update(room_of(imported, container) for imported in imports)
    return {room: arrows - {room, ""} for room, arrows in rooms.items()}


def room_of(module: str, container: str) -> str:
    """Return the room that a module is in, "" outside the container."""
    if not module.startswith(f"{container}."):
        return ""
    return module.removeprefix(f"{container}.").partition(".")[0]


def cycles(graph: Graph) -> list[list[str]]:
    """Return the groups of nodes that reach each other, sorted. A node alone is none."""
    reach = {node: reachable(graph, node) for node in graph}
    groups = {frozenset(other for other in reach[node] if node in reach[other]) for node in graph}
    return sorted(sorted(group) for group in groups if group)


def reachable(graph: Graph, start: str) -> set[str]:
    """Return what is reached over at least one arrow."""
    reached: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        node = waiting.pop()
        if node not in reached:
            reached.add(node)
            waiting.extend(graph[node])
    return reached


def upward_arrows(graph: Graph) -> Collection[Arrow]:
    """Return the fewest arrows whose removal leaves no cycle.

    Of several such sets it is the one with most floors, the first of those by name.
    Where there are too many sets to try, it is every arrow within a cycle.
    """
    inner = {room: set(graph[room]) & set(group) for group in cycles(graph) for room in group}
    arrows = sorted((room, other) for room in inner for other in inner[room])
    for size in range(len(arrows)):
        if math.comb(len(arrows), size) > MOST_CUTS:
            break
        cuts = [cut for cut in combinations(arrows, size) if not cycles(without(inner, cut))]
        if cuts:
            return max(cuts, key=lambda cut: height(without(graph, cut)))
    return arrows


def without(graph: Graph, cut: Collection[Arrow]) -> Graph:
    return {node: {other for other in graph[node] if (node, other) not in cut} for node in graph}


def height(graph: Graph) -> int:
    """Return the nodes on the longest way through a graph without cycles."""
    heights: dict[str, int] = {}

    def height_of(node: str) -> int:
        if node not in heights:
            heights[node] = 1 + max(map(height_of, graph[node]), default=0)
        return heights[node]

    return max(map(height_of, graph), default=0)


def container_row(graph: Graph, container: str, bounds: tuple[int, ...] = ()) -> Row:
    """Count rooms, floors, arrows and upward arrows. A room without arrows is only named."""
    rooms = room_graph(graph, container)
    connected = {room for room, arrows in rooms.items() if arrows}.union(*rooms.values())
    upward = upward_arrows(rooms)
    floors = height(without(rooms, upward))
    notes = [shortened([f"{room} -> {other}" for room, other in upward], most=6)]
    if rooms.keys() - connected:
        notes.append(f"without arrows: {', '.join(sorted(rooms.keys() - connected))}")
    name = f"{container.replace('.', '/')}/ rooms / floors / arrows / up"
    values = (len(connected), floors, sum(map(len, rooms.values())), len(upward))
    return Row(name, values, bounds, contract=bool(bounds), note="; ".join(filter(None, notes)))


def cycles_row(graph: Graph) -> Row:
    groups = cycles(graph)
    note = "; ".join(map(" ".join, groups))
    return Row("import cycles", (len(groups),), (goals.CYCLES,), contract=True, note=note)


def mitmproxy_row(modules: Sequence[Module]) -> Row:
    users = [module for module in modules if imports_mitmproxy(module)]
    outside = [module for module in users if not f"{module.name}.".startswith(f"{EDGE}.")]
    note = f"{len(users)} modules import it"
    if outside:
        note += f"; outside: {', '.join(module.path for module in outside)}"
    bounds = (goals.OUTSIDE_EDGE,)
    return Row("mitmproxy outside addon/edge/", (len(outside),), bounds, contract=True, note=note)


def imports_mitmproxy(module: Module) -> bool:
    return any(source.partition(".")[0] == "mitmproxy" for source, _ in imported_names(module))


def layers_row(pyproject: Mapping[str, Any]) -> Row:
    layers = [re.findall(r"\w+", layer) for layer in addon_layers(pyproject)]
    values = (len(layers), sum(map(len, layers)))
    return Row("layers in the contract: lines / names", values, goals.LAYERS)


def addon_layers(pyproject: Mapping[str, Any]) -> list[str]:
    """Return the lines of the layers contract over addon/, none where it has none."""
    for contract in pyproject["tool"]["importlinter"]["contracts"]:
        if contract["type"] == "layers" and "addon" in contract.get("containers", ()):
            return list(contract["layers"])
    return []
