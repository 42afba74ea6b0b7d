"""The command: which way it ends, and what it prints."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.tools.structure.conftest import Tree
from tools.structure import goals
from tools.structure.__main__ import ROOT, main

PYPROJECT = "[tool.ruff]\nline-length = 100\n[tool.importlinter]\ncontracts = []\n"


def test_code_that_keeps_the_contracts_ends_well(
    tree: Tree, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree(
        ("pyproject.toml", PYPROJECT), ("addon/main.py", "import addon.node"), ("addon/node.py", "")
    )
    assert main([], root=tmp_path) == 0
    assert "2 / 2 / 1 / 0" in capsys.readouterr().out


def test_a_contract_that_is_missed_ends_with_1_unless_it_is_explained(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(("pyproject.toml", PYPROJECT), ("addon/main.py", "import mitmproxy"))
    assert main([], root=tmp_path) == 1
    monkeypatch.setattr(goals, "EXPLAINED", {"mitmproxy outside addon/edge/": "the entry needs it"})
    assert main([], root=tmp_path) == 0


def test_the_worst_places_are_named_and_no_more_than_wanted(
    tree: Tree, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree(
        ("pyproject.toml", PYPROJECT),
        ("addon/a.py", "x = a if b else c\n" * 2),
        ("addon/b.py", "x = a if b else c"),
    )
    main(["--worst", "1"], root=tmp_path)
    worst = capsys.readouterr().out.partition("Conditional expressions\n")[2]
    assert worst.split("\n\n")[0].split() == ["2", "addon/a.py"]


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    """The table of this project, measured with nothing but Python."""
    command = [sys.executable, "-S", "-m", "tools.structure", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, check=False)
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)


def test_there_is_something_to_measure(rows: list[dict[str, Any]]) -> None:
    assert rows[0]["row"].startswith("addon/ rooms")
    assert min(rows[0]["measured"][:3]) > 1


def test_reasons_are_given_for_rows_that_miss(rows: list[dict[str, Any]]) -> None:
    explained = {row["row"] for row in rows if row["verdict"].startswith("explained")}
    assert explained == set(goals.EXPLAINED)
