"""What the table says of a row, and when it refuses one."""

import json

import pytest

from tools.structure.table import Row, as_json, as_text, shortened

MET = Row("rooms / floors", (12, 7), (12, 7), contract=True)
MISSED = Row("cycles", (1,), (0,), contract=True, note="a b")
SHORT = Row("layers", (9,), (7,))
INFORMS = Row("comments", (0.5,))


@pytest.mark.parametrize(
    ("row", "verdict", "breaks"),
    [
        (MET, "at goal", False),
        (MISSED, "MISSES", True),
        (SHORT, "short of it", False),
        (INFORMS, "-", False),
        (Row("floors", (11, 8), (12, 7), contract=True), "MISSES", True),
    ],
)
def test_a_row_is_judged_by_each_of_its_bounds(row: Row, verdict: str, breaks: bool) -> None:
    assert (row.verdict({}), row.breaks({})) == (verdict, breaks)


def test_a_reason_excuses_its_row_alone_and_only_while_it_misses() -> None:
    explained = {"cycles": "they are two halves", "rooms / floors": "no longer needed"}
    assert (MISSED.verdict(explained), MISSED.breaks(explained)) == (
        "explained: they are two halves",
        False,
    )
    assert MET.verdict(explained) == "at goal"
    assert MISSED.breaks({"rooms / floors": "something else"})


def test_the_columns_are_aligned() -> None:
    assert as_text([MET, MISSED, INFORMS], {}).splitlines() == [
        "row (* contract)  measured  goal       verdict  note",
        "rooms / floors *  12 / 7    <= 12 / 7  at goal",
        "cycles *          1         <= 0       MISSES   a b",
        "comments          0.5       -          -",
    ]


def test_many_places_are_shortened_to_the_first_and_a_number() -> None:
    assert shortened(["a", "b", "c"]) == "a, b, c"
    assert shortened(["a", "b", "c"], most=2) == "a, b, 1 more"


def test_json_has_the_figures_as_numbers() -> None:
    [row] = json.loads(as_json([MISSED], {}))
    expected = {
        "row": "cycles",
        "measured": [1],
        "goal": [0],
        "contract": True,
        "verdict": "MISSES",
        "note": "a b",
    }
    assert row == expected
