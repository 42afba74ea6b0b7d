"""Conditional expressions, line lengths, comments and constants of small packages."""

import pytest

from tests.tools.structure.conftest import Tree
from tools.structure.lines import (
    bare_constants,
    comments_row,
    conditionals_row,
    constants_row,
    crowded_lines,
    line_lengths_row,
    nested_conditionals,
    ruff_row,
)


def test_conditionals_are_counted_for_each_package_on_lines_that_are_not_blank(tree: Tree) -> None:
    modules = tree(
        ("addon/a.py", "x = 1 if y else 2\n\n\n\nz = 3\n"),
        ("manage_api/a.py", "x = [y for y in z if y]\nif x:\n    pass\n"),
        ("shared/a.py", ""),
    )
    row = conditionals_row(modules)
    assert (row.values, row.bounds, row.note) == ((500, 0, 0), (12, 12, 12), "1 in all")


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("x = a if b else c", []),
        ("x = (a if b else c) + (d if e else f)", []),
        ("x = a if b else c if d else e", [1]),
        ("x = a if (b if c else d) else e", [1]),
        ("x = a if b else f(\n    [c if d else e]\n)", [2]),
        ("x = a if b else (c if d else (e if f else g))", [1, 1]),
    ],
)
def test_a_conditional_within_another_is_nested(tree: Tree, source: str, lines: list[int]) -> None:
    [module] = tree(("addon/a.py", source))
    assert nested_conditionals(module) == [f"addon/a.py:{line}" for line in lines]


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("x = a if b else c", []),
        ("x = (a if b else c) + (d if e else f)", [1]),
        ("x = (\n    a if b else c,\n    d if e else f,\n)", []),
        ("x = [y for y in z if y] if z else []", []),
        ("x = 1\ny = a if b else c if d else e\nz = a if b else c", [2]),
    ],
)
def test_a_line_with_two_conditions_is_crowded(tree: Tree, source: str, lines: list[int]) -> None:
    [module] = tree(("addon/a.py", source))
    assert crowded_lines(module) == [f"addon/a.py:{line}" for line in lines]


def test_nine_lines_of_ten_are_no_longer_than_the_90th_percentile(tree: Tree) -> None:
    # Ten lines of 1 to 10 times ten characters, and blank ones that don't count.
    text = "".join(f"#{'x' * (10 * length - 1)}\n\n" for length in range(1, 11))
    row = line_lengths_row(tree(("addon/a.py", text), ("shared/a.py", "y = 1")))
    assert (row.values, row.is_met) == ((90, 0, 5), False)
    assert row.note == "longest 100, addon/a.py:19"


def test_comments_are_lines_that_hold_nothing_else(tree: Tree) -> None:
    modules = tree(
        (
            "addon/a.py",
            '# why\nx = 1  # behind\n# noqa: S101\ny = """\n# text\n"""\nz = 1\nw = 1\nv = 1\nu = 1\n',
        )
    )
    assert comments_row(modules).values == (10,)


@pytest.mark.parametrize(
    "source",
    [
        'SECONDS = 5\n"""Why."""',
        "# Why.\nSECONDS = 5",
        "SECONDS = 5  # why",
        "SECONDS: int = (\n    5  # why\n)",
        'x = 1\n\n_SECONDS = 5\n\n"""Why."""\n',
    ],
)
def test_a_constant_with_its_reason_beside_is_fine(tree: Tree, source: str) -> None:
    [module] = tree(("addon/a.py", source))
    assert bare_constants(module) == []


@pytest.mark.parametrize(
    "source",
    [
        "LIMIT = 5",
        "_LIMIT: int = -5",
        "LIMIT = 64 * 1024",
        'LIMIT = "five"',
        'LIMIT = rb"%b" % NAME',
        'LIMIT = re.compile("five")',
        "LIMIT = 5  # noqa: S101",
        '"""Above."""\nLIMIT = 5',
        "# Far above.\n\nLIMIT = 5",
        "x = 1  # behind another\nLIMIT = 5",
        'LIMIT = 5\nx = 1\n"""Below another."""',
    ],
)
def test_a_constant_without_one_is_named(tree: Tree, source: str) -> None:
    [module] = tree(("addon/a.py", source))
    [place] = bare_constants(module)
    assert place.split()[-1].strip("_") == "LIMIT"
    assert constants_row([module]).values == (1,)


@pytest.mark.parametrize(
    "source",
    [
        "limit = 5",
        "LIMIT = True",
        "LIMIT = None",
        "LIMIT = ()",
        "LIMIT = load()",
        "class A:\n    LIMIT = 5",
        "A.B = 5",
    ],
)
def test_other_assignments_are_no_constants(tree: Tree, source: str) -> None:
    row = constants_row(tree(("addon/a.py", source)))
    assert (row.values, row.note) == ((0,), "of 0")


def test_ruff_may_let_lines_of_100_characters_pass() -> None:
    assert ruff_row({"tool": {"ruff": {"line-length": 100}}}).is_met
    assert not ruff_row({"tool": {"ruff": {"line-length": 101}}}).is_met
