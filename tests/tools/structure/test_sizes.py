"""Classes, functions, asserts and files of small packages."""

import pytest

from tests.tools.structure.conftest import Tree
from tools.structure.sizes import (
    annotations_row,
    asserts_row,
    class_sizes,
    classes_row,
    files_row,
    functions_row,
)

STREAM = """
class Stream:
    limit: ClassVar[int] = 5
    reader: Reader
    phase: Phase

    def __init__(self):
        self.sent = self.read = 0
        self.reader = None
        self.client, other = 1, 2
        other.closed = True

    async def send(self):
        self.sent += 1
        self.closed = True

    @property
    def state(self):
        return self.unset
"""


def test_a_class_has_its_methods_and_what_they_assign_or_it_declares(tree: Tree) -> None:
    [size] = class_sizes(tree(("addon/stream.py", STREAM)))
    # Fields: sent, read, reader, client, closed, phase.
    assert (size.methods, size.fields, size.place) == (3, 6, "addon/stream.py Stream")


def test_the_columns_of_a_record_are_no_fields(tree: Tree) -> None:
    columns = "".join(f"    column_{number}: int\n" for number in range(30))
    row = classes_row(tree(("addon/entry.py", f"class Entry(Struct):\n{columns}")))
    assert (row.values, row.is_met) == ((0, 0), True)


def test_a_class_is_over_by_its_methods_or_by_its_fields(tree: Tree) -> None:
    methods = "".join(f"    def method_{number}(self): ...\n" for number in range(21))
    fields = "".join(f"        self.field_{number} = 0\n" for number in range(13))
    row = classes_row(
        tree(
            ("addon/a.py", f"class Wide:\n{methods}"),
            ("addon/b.py", f"class Deep:\n    def __init__(self):\n{fields}"),
            ("addon/c.py", "class Small:\n    def method(self): ..."),
        )
    )
    assert (row.values, row.is_met) == ((21, 13), False)
    assert row.note == "addon/a.py Wide 21 + 0; addon/b.py Deep 1 + 13"


def test_a_function_is_as_long_as_its_body(tree: Tree) -> None:
    long = '@cache\ndef long(\n    x,\n):\n    """Doc."""\n\n    return x\n'
    short = "class A:\n    async def short(self):\n        pass\n"
    row = functions_row(tree(("addon/a.py", f"{long}\n\n{short}")))
    assert (row.values, row.note) == ((2, 3, 3), "addon/a.py:2 long")


@pytest.mark.parametrize(
    ("signature", "count"),
    [
        ("def f(self, a: int, /, b: int, *c: int, d: int, **e: int) -> None", 0),
        ("def f(cls) -> None", 0),
        ("def f(a: int)", 1),
        ("def f(a) -> None", 1),
        ("def f(*a) -> None", 1),
        ("def f(*, a) -> None", 1),
        ("def f(**a) -> None", 1),
        ("async def f(a) -> None", 1),
        ("def f(a: Key = lambda b: b) -> None", 0),
    ],
)
def test_a_function_is_annotated_in_every_argument_and_its_result(
    tree: Tree, signature: str, count: int
) -> None:
    assert annotations_row(tree(("addon/a.py", f"{signature}: ..."))).values == (count,)


def test_asserts_of_not_none_are_counted_in_the_addon(tree: Tree) -> None:
    modules = tree(
        (
            "addon/a.py",
            (
                "assert a is not None\nassert a and b is not None, 'text'\nassert a is "
                "None\nassert a is not ..."
            ),
        ),
        ("shared/a.py", "assert a is not None"),
    )
    row = asserts_row(modules)
    assert (row.values, row.note) == ((2,), "addon/a.py 2")


def test_a_file_may_have_500_lines(tree: Tree) -> None:
    row = files_row(tree(("addon/a.py", "\n" * 500), ("addon/b.py", "\n" * 501)))
    assert (row.values, row.note) == ((1,), "addon/b.py 501")
