"""Rows are a table for people, and one JSON object a line for programs."""

import json

import pytest

from manage_api.command.rows import show, show_all

ROWS = [
    {"name": "ada", "models": (), "disabled": False, "seen_at": None},
    {"name": "a longer name", "models": ("a", "b"), "disabled": True, "seen_at": 1_800_000_000_000},
]


def test_rows_are_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    show_all(ROWS, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "name           models  disabled  seen_at",
        "ada            all     no        -",
        "a longer name  a, b    yes       2027-01-15 08:00:00",
    ]


def test_no_rows_are_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    show_all([], as_json=False)
    show_all([], as_json=True)
    assert capsys.readouterr().out == ""


def test_rows_are_json_line_by_line(capsys: pytest.CaptureFixture[str]) -> None:
    show_all(ROWS, as_json=True)
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first == {"name": "ada", "models": [], "disabled": False, "seen_at": None}
    assert second["seen_at"] == 1_800_000_000_000


def test_one_row_is_a_line_for_each_field(capsys: pytest.CaptureFixture[str]) -> None:
    show({"api_key": "sk-1", "name": "ada"}, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "api key               sk-1",
        "name                  ada",
    ]
