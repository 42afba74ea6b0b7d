"""Rooms, floors, arrows and cycles of small packages."""

from typing import Any

import pytest

from tests.tools.structure.conftest import Tree
from tools.structure.imports import (
    container_row,
    cycles,
    cycles_row,
    import_graph,
    layers_row,
    mitmproxy_row,
    room_graph,
    upward_arrows,
)


@pytest.mark.parametrize(
    ("statement", "module"),
    [
        ("import addon.formats.splice", "addon.formats.splice"),
        ("import addon.formats.splice as other", "addon.formats.splice"),
        ("from addon.formats import splice", "addon.formats.splice"),
        ("from addon.formats.splice import cut", "addon.formats.splice"),
        ("from addon.formats import NAMES", "addon.formats"),
        ("from .formats import splice", "addon.formats.splice"),
        ("from .formats.splice import cut", "addon.formats.splice"),
        ("from . import formats", "addon.formats"),
        ("def later():\n    from addon.formats import splice", "addon.formats.splice"),
        ("if TYPE_CHECKING:\n    from addon.formats import splice", "addon.formats.splice"),
    ],
)
def test_an_import_is_of_the_module_it_needs(tree: Tree, statement: str, module: str) -> None:
    modules = tree(
        ("addon/plan.py", statement),
        ("addon/formats/__init__.py", ""),
        ("addon/formats/splice.py", ""),
    )
    assert import_graph(modules)["addon.plan"] == {module}


def test_one_dot_in_a_package_is_the_package_itself(tree: Tree) -> None:
    modules = tree(
        ("addon/formats/__init__.py", "from . import splice\nfrom .. import plan"),
        ("addon/formats/splice.py", ""),
        ("addon/plan.py", ""),
    )
    assert import_graph(modules)["addon.formats"] == {"addon.formats.splice", "addon.plan"}


def test_imports_of_others_and_of_itself_are_no_arrows(tree: Tree) -> None:
    modules = tree(("addon/plan.py", "import json\nimport addon.plan\nfrom msgspec import Struct"))
    assert import_graph(modules) == {"addon.plan": set()}


def test_a_folder_is_one_room_and_two_imports_of_it_are_one_arrow(tree: Tree) -> None:
    modules = tree(
        ("addon/plan.py", "from addon.formats import splice, sse"),
        ("addon/formats/splice.py", "from addon.formats import sse"),
        ("addon/formats/sse.py", "import shared.clock"),
        ("shared/clock.py", ""),
    )
    assert room_graph(import_graph(modules), "addon") == {"plan": {"formats"}, "formats": set()}


def test_rooms_floors_and_arrows_are_counted_without_the_room_that_nobody_needs(tree: Tree) -> None:
    modules = tree(
        ("addon/__init__.py", ""),
        ("addon/top.py", "from addon import middle, ground"),
        ("addon/middle.py", "from addon import ground"),
        ("addon/ground.py", ""),
        ("addon/beside.py", ""),
    )
    row = container_row(import_graph(modules), "addon", (3, 3, 2, 0))
    assert (row.values, row.note) == ((3, 3, 3, 0), "without arrows: beside")
    assert row.contract
    assert not row.is_met


def test_a_container_that_is_not_there_has_nothing(tree: Tree) -> None:
    assert container_row(import_graph(tree()), "addon").values == (0, 0, 0, 0)


def test_the_arrow_that_closes_most_cycles_is_the_one_that_runs_up() -> None:
    # `low -> top` is part of both cycles; without it the three stand on one another.
    graph = {"top": {"middle", "low"}, "middle": {"low"}, "low": {"top"}}
    assert set(upward_arrows(graph)) == {("low", "top")}


def test_of_equal_arrows_the_one_runs_up_that_leaves_more_floors() -> None:
    assert list(upward_arrows({"a": {"b"}, "b": {"a", "c"}, "c": set()})) == [("b", "a")]


def test_each_cycle_has_an_arrow_that_runs_up() -> None:
    graph = {"a": {"b"}, "b": {"a"}, "c": {"d"}, "d": {"c"}, "e": {"a", "c"}}
    upward = upward_arrows(graph)
    assert len(upward) == 2
    assert len({frozenset(arrow) for arrow in upward}) == 2


def test_floors_are_counted_without_the_arrows_that_run_up(tree: Tree) -> None:
    modules = tree(
        ("addon/top.py", "from addon import middle, low"),
        ("addon/middle.py", "from addon import low"),
        ("addon/low.py", "from addon import top"),
    )
    row = container_row(import_graph(modules), "addon")
    assert (row.values, row.note) == ((3, 3, 4, 1), "low -> top")


def test_where_all_import_all_every_arrow_counts_as_running_up() -> None:
    rooms = set("abcdefghij")
    assert len(upward_arrows({room: rooms - {room} for room in rooms})) == 90


def test_modules_that_need_each_other_are_a_cycle(tree: Tree) -> None:
    modules = tree(
        ("shared/a.py", "import shared.b"),
        ("shared/b.py", "def late():\n    import shared.c"),
        ("shared/c.py", "import shared.a"),
        ("shared/d.py", "import shared.a"),
    )
    graph = import_graph(modules)
    assert cycles(graph) == [["shared.a", "shared.b", "shared.c"]]
    assert cycles_row(graph).values == (1,)


def test_mitmproxy_may_be_imported_in_the_edge_only(tree: Tree) -> None:
    modules = tree(
        ("addon/edge/gateway.py", "from mitmproxy import http"),
        ("addon/edges.py", "import mitmproxy.http"),
        ("addon/plan.py", "import mitmproxy_rs"),
        ("shared/a.py", "def late():\n    from mitmproxy.http import Response"),
    )
    row = mitmproxy_row(modules)
    assert (row.values, row.note) == (
        (2,),
        "3 modules import it; outside: addon/edges.py, shared/a.py",
    )


def test_layers_are_counted_of_the_contract_over_the_addon() -> None:
    contracts: list[dict[str, Any]] = [
        {"type": "forbidden", "source_modules": ["shared"]},
        {"type": "layers", "containers": ["addon.formats"], "layers": ["x"]},
        {
            "type": "layers",
            "containers": ["addon"],
            "layers": ["main", "(edge) | log : node", "formats"],
        },
    ]
    assert layers_row({"tool": {"importlinter": {"contracts": contracts}}}).values == (3, 5)
