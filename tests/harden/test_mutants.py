"""A module's mutants are all of its small faults, each alone."""

from collections.abc import Iterable

import pytest

from tests.harden.mutants import mutants_of


def changes(source: str) -> list[str]:
    return [mutant.change.removeprefix("f: ") for mutant in mutants_of(source)]


def within(*lines: str) -> str:
    return "def f(a, b):\n" + "\n".join(f"    {line}" for line in lines)


@pytest.mark.parametrize(
    ("line", "faults"),
    [
        ("g(a < b)", {"without g(a < b)", "g(a <= b)", "g(a >= b)"}),
        ("a += 4", {"without a += 4", "a -= 4", "a += 5"}),
        ("b = min(a, -b)", {"b = max(a, -b)", "b = min(a, b)"}),
        ("b = True", {"b = False"}),
        ("b = 'code'", {"b = 'XXcode'"}),
        ("b = b'x-name'", {"b = b'XXx-name'"}),
        ("b = 'a sentence for people'", set()),
        ("b = f'of {a + 1} words'", {"b = f'of {a - 1} words'", "b = f'of {a + 2} words'"}),
        ("return a", {"return None, not a"}),
        ("return None", set()),
        (
            "return a is b and a",
            {"return None, not a is b and a", "return a is not b and a", "return a is b or a"},
        ),
        ("a.b = a[b]", {"without a.b = a[b]"}),
        ("b: Literal['x'] = a", set()),
        ("raise a", {"without raise a"}),
    ],
)
def test_a_statement_has_the_faults_that_a_hand_slips_into(line: str, faults: set[str]) -> None:
    assert set(changes(within(line))) == faults


@pytest.mark.parametrize(
    ("condition", "faults"),
    [
        ("a", {"if not a:"}),
        ("not a", {"if a:"}),
        ("a in b", {"if a not in b:"}),
        ("a and b", {"if a or b:", "if not (a and b):"}),
    ],
)
def test_a_condition_is_turned_round(condition: str, faults: Iterable[str]) -> None:
    assert set(changes(within(f"if {condition}:", "    b = a"))) == set(faults)


def test_what_only_declares_has_no_faults() -> None:
    source = '"""Words."""\nimport a\nfrom b import c\n__all__ = ("f",)\ntype A = "B"\nclass C(D, frozen=True): ...\n'
    assert changes(source) == []


def test_limits_and_tables_outside_of_functions_are_changed_too() -> None:
    assert changes("MOST = {401: 2}\n") == [": MOST = {402: 2}", ": MOST = {401: 3}"]


def test_each_mutant_is_the_whole_module_with_one_fault() -> None:
    source = within("if a:", "    return a", "g(b)")
    texts = [mutant.text for mutant in mutants_of(source)]
    assert texts == [
        source.replace("if a", "if not a"),
        source.replace("return a", "return None"),
        source.replace("g(b)", "pass"),
    ]


def test_a_fault_is_named_by_its_line_and_function() -> None:
    source = "class A:\n    def f(self):\n        return 1\n"
    assert [(one.line, one.change) for one in mutants_of(source)] == [
        (3, "A.f: return None, not 1"),
        (3, "A.f: return 2"),
    ]
