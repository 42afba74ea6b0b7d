"""What docs/architecture.md says of the house is so: its files exist, it names every room, and
its floors are those of the import contracts.
"""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/architecture.md").read_text("utf-8")
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
    "contracts"
]
HOUSES = ("addon", "addon/formats", "manage_api", "manage_api/domains", "shared")
"""Folders whose folders are rooms."""

ANYWHERE = re.compile(r"`([\w.-]+/[\w./-]+|\w+\.(?:toml|md))`")
"""A path, or a file in the root; a bare `name.py` belongs to the row that it stands in."""


def section(heading: str) -> str:
    return PAGE.split(f"\n{heading}\n")[1].split("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of each row of the tables in a text, without their heads."""
    lines = re.findall(r"^\|(.*)\|$", text, flags=re.MULTILINE)
    cells = [[cell.strip() for cell in line.split("|")] for line in lines]
    return [row for row in cells if row[0] not in ("Room", "…", "---")]


def rooms_with_files() -> dict[str, list[str]]:
    """The folders of the tables of rooms -> the names of files and folders in their rows."""
    return {
        folder.rstrip("/"): re.findall(r"`(\w+(?:\.py|/))`", row[2])
        for row in rows(section("## The rooms"))
        for folder in re.findall(r"`(.+?)`", row[0])
    }


def exists(path: str) -> bool:
    """Whether a path is there; the data plane's may be named without their house."""
    return (ROOT / path).exists() or (ROOT / "addon" / path).exists()


def package_folders(house: str) -> set[str]:
    return {f"{house}/{path.parent.name}" for path in (ROOT / house).glob("*/__init__.py")}


def picture(first_floor: str) -> list[set[str]]:
    """The floors of the picture that begins with the floor, each as the names on it."""
    floors = re.search(rf"^```text\n({first_floor}\n.*?)```", PAGE, re.MULTILINE | re.DOTALL)
    assert floors
    return [set(line.split(" | ")) for line in floors[1].splitlines()]


def contract(container: str) -> list[set[str]]:
    """The floors that import-linter checks in a container."""
    [layers] = [one["layers"] for one in CONTRACTS if one.get("containers") == [container]]
    return [set(line.split(" | ")) for line in layers]


@pytest.mark.parametrize("path", sorted(set(ANYWHERE.findall(PAGE))))
def test_a_path_on_the_page_exists(path: str) -> None:
    assert exists(path)


@pytest.mark.parametrize(
    "path", [f"{room}/{name}" for room, names in rooms_with_files().items() for name in names]
)
def test_a_file_in_a_room_s_row_exists(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("house", HOUSES)
def test_every_room_is_named(house: str) -> None:
    named = rooms_with_files()
    inside = {f"{room}/{name}".rstrip("/") for room, names in named.items() for name in names}
    assert package_folders(house) - named.keys() - inside == set()


@pytest.mark.parametrize(
    ("first_floor", "container"), [("main", "addon"), ("translate", "addon.formats")]
)
def test_the_floors_are_those_of_the_contract(first_floor: str, container: str) -> None:
    assert picture(first_floor) == contract(container)


def test_each_behaviour_has_a_file_to_open_first() -> None:
    behaviours = [row for row in rows(section("## Where do I find …")) if "**" not in row[0]]
    assert len(behaviours) >= 25
    for _, first, _ in behaviours:
        assert re.fullmatch(r"`[\w./]+\.(py|toml)`", first)
