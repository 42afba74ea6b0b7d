"""How source files are read."""

import pytest

from tests.tools.structure.conftest import Tree
from tools.structure.source import by_package, percentile_90


def test_modules_are_named_as_imports_name_them(tree: Tree) -> None:
    modules = tree(
        ("addon/__init__.py", ""),
        ("addon/a/__init__.py", ""),
        ("addon/a/b.py", ""),
        ("tests/c.py", ""),
    )
    assert [module.name for module in modules] == ["addon", "addon.a", "addon.a.b"]
    assert [module.name for module in by_package(modules)["addon"]] == [
        "addon",
        "addon.a",
        "addon.a.b",
    ]


def test_directives_to_tools_and_text_are_no_comments(tree: Tree) -> None:
    [module] = tree(
        (
            "addon/a.py",
            'a = 1  # why\nb = 1  # noqa: S101\nc = 1  # type: ignore[x]\nd = "# text"\n',
        )
    )
    assert module.comments() == {1: "# why"}


@pytest.mark.parametrize(
    ("values", "percentile"), [([], 0), ([4], 4), (range(1, 11), 9), (range(1, 12), 10)]
)
def test_nine_of_ten_values_are_no_higher(values: list[int], percentile: int) -> None:
    assert percentile_90(values) == percentile
