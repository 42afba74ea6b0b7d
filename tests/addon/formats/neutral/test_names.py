"""Names of tools fit an upstream, and lead back to the client's."""

import re

import pytest

from addon.formats.neutral.names import fitting, grouped, shortened, ungrouped

LONG = "mcp__" + "a" * 80


@pytest.mark.parametrize("name", ["Read", "mcp__files-1", "x" * 64])
def test_a_name_that_fits_stays(name: str) -> None:
    assert fitting(name, 64) == name


@pytest.mark.parametrize("name", [LONG, "files.read", "caf\u00e9", "a b", "\ud83d", "x" * 129])
@pytest.mark.parametrize("longest", [64, 128])
def test_any_other_name_has_one_that_stands_for_it(name: str, longest: int) -> None:
    found = fitting(name, longest)
    assert re.fullmatch(rf"[A-Za-z0-9_-]{{1,{longest}}}", found)
    assert found == fitting(name, longest)


def test_what_stands_for_names_that_begin_alike_differs() -> None:
    names = [LONG, LONG + "b", "files.read", "files/read", "files_read"]
    assert len({fitting(name, 64) for name in names}) == len(names)


def test_the_way_back_names_only_what_changed() -> None:
    assert shortened(["Read", "", LONG, LONG], 64) == {fitting(LONG, 64): LONG}


@pytest.mark.parametrize(
    ("group", "name", "whole"),
    [
        ("multi_agent_v1", "spawn_agent", "multi_agent_v1__spawn_agent"),
        ("mcp__files__", "read", "mcp__files__read"),
        ("", "read", "read"),
    ],
)
def test_a_function_of_a_group_has_both_names_in_one(group: str, name: str, whole: str) -> None:
    assert grouped(group, name) == whole
    assert ungrouped(group, whole) == name
