"""Numbers in fields: each is stored as it was meant, or refused in words."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser, Page, expect

from manage_api.web.rendering import plain_dollars
from tests.browser.conftest import Walk
from tests.browser.test_admin_people import as_admin
from tests.browser.test_dashboard import new_name
from tests.support.admin import Admin

SCRIPT = Path(__file__).parents[2] / "manage_api/web/static/app/amounts.js"
LARGEST = 2**53 - 1
READ = """([kind, text]) => {
    try {
        return amounts[kind](text);
    } catch (error) {
        if (error instanceof amounts.Misread) return error.message;
        throw error;
    }
}"""
CONVENTIONS = [
    (",", "."), (".", ","), ("\u202f", ","), (" ", "."), ("'", "."), ("’", ","), ("_", "."), ("", "."), ("", ",")
]  # fmt: skip
"""What stands between thousands and before decimals."""


@pytest.fixture(scope="module")
def blank(browser: Browser) -> Iterator[Page]:
    """An empty page with the script."""
    page = browser.new_page()
    page.add_script_tag(path=SCRIPT)
    yield page
    page.close()


def read(page: Page, kind: str, text: str) -> Any:
    """The number that a field takes the text for, or the sentence with which it refuses it."""
    return page.evaluate(READ, [kind, text])


TAKEN = {
    "1,5": 1_500_000,
    "1.5": 1_500_000,
    "1.50": 1_500_000,
    ",5": 500_000,
    ".5": 500_000,
    "0.500": 500_000,
    "0,500": 500_000,
    "0": 0,
    "0.435": 435_000,
    "007.5": 7_500_000,
    "1 500": 1_500_000_000,
    "1'500": 1_500_000_000,
    "1’500.25": 1_500_250_000,
    "1\u202f500": 1_500_000_000,
    "1,500.00": 1_500_000_000,
    "1.500,00": 1_500_000_000,
    "1,234.567": 1_234_567_000,
    "1500,250": 1_500_250_000,
    "12,345,678": 12_345_678_000_000,
    "1.234.567,8": 1_234_567_800_000,
    "0.000001": 1,
    "1.1250": 1_125_000,
    "$5": 5_000_000,
    "$ 5": 5_000_000,
    "US$5": 5_000_000,
    "5 USD": 5_000_000,
    "5$": 5_000_000,
    "9007199254.740991": LARGEST,
}
AMBIGUOUS = {
    "1,500": "“1,500” can be read as 1500 or as 1.5: write one of these.",
    "1.500": "“1.500” can be read as 1.5 or as 1500: write one of these.",
    "$1,125": "“$1,125” can be read as 1125 or as 1.1250: write one of these.",
    "999.000": "“999.000” can be read as 999 or as 999000: write one of these.",
}
NO_AMOUNT = (
    *(
        "5 €",
        "-5",
        "+5",
        "1e3",
        "five",
        "$",
        ".",
        ",",
        "1.",
        "1,",
        "1..5",
        "1,,500",
        "1.5.",
        "1,5,0",
    ),
    *("1 50", "1,50,000", "0,500.00", "1 500'000", "1.5 000", "1,500.000.000"),
    *("٣", "１５", "1٫5", "Infinity", "NaN", "0x10"),
)
FRACTIONS = ("1,5", "1.5", "1.0", "0.500", "0,500", "1,500.00", "15,00", "1,5000")


@pytest.mark.parametrize(("text", "micros"), TAKEN.items(), ids=TAKEN)
def test_an_amount_that_can_be_read_in_one_way_is_taken(
    blank: Page, text: str, micros: int
) -> None:
    assert read(blank, "dollars", text) == micros


@pytest.mark.parametrize(("text", "sentence"), AMBIGUOUS.items(), ids=AMBIGUOUS)
def test_an_amount_that_can_be_read_in_two_ways_is_refused_with_both(
    blank: Page, text: str, sentence: str
) -> None:
    assert read(blank, "dollars", text) == sentence


@pytest.mark.parametrize("text", NO_AMOUNT)
def test_what_is_no_amount_is_refused(blank: Page, text: str) -> None:
    assert (
        read(blank, "dollars", text)
        == "Enter an amount in US dollars in digits, like 1500 or 1.50."
    )


def test_an_amount_that_can_not_be_stored_is_refused(blank: Page) -> None:
    assert read(blank, "dollars", "0.0000001") == "Enter at most 6 digits after the decimal mark."
    assert read(blank, "dollars", "9007199254.740992") == "This number is too large."


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1500", 1500),
        ("1,500", 1500),
        ("1.500", 1500),
        ("1 500", 1500),
        ("1'500", 1500),
        ("1_000_000", 1_000_000),
        ("12,345,678", 12_345_678),
        ("0", 0),
        ("007", 7),
        (str(LARGEST), LARGEST),
    ],
)
def test_a_whole_number_may_have_its_thousands_apart(blank: Page, text: str, number: int) -> None:
    assert read(blank, "whole", text) == number


@pytest.mark.parametrize("text", [*NO_AMOUNT, *FRACTIONS, "$5"])
def test_what_is_no_whole_number_is_refused(blank: Page, text: str) -> None:
    assert read(blank, "whole", text) == "Enter a whole number in digits, like 1500."


def grouped(number: int, between: str) -> str:
    return f"{number:,}".replace(",", between)


@given(
    micros=st.integers(0, LARGEST),
    convention=st.sampled_from(CONVENTIONS),
    digits=st.integers(0, 6),
)
@settings(max_examples=300, deadline=None)
def test_every_spelling_of_an_amount_is_taken_as_meant_or_refused(
    blank: Page, micros: int, convention: tuple[str, str], digits: int
) -> None:
    between, mark = convention
    whole, rest = divmod(micros - micros % 10 ** (6 - digits), 10**6)
    text = grouped(whole, between) + (mark + f"{rest:06}"[:digits] if digits else "")

    answer = read(blank, "dollars", text)

    assert answer == whole * 10**6 + rest or "can be read as" in answer


@given(
    number=st.integers(0, LARGEST), between=st.sampled_from([between for between, _ in CONVENTIONS])
)
@settings(max_examples=100, deadline=None)
def test_every_spelling_of_a_whole_number_is_taken_as_meant(
    blank: Page, number: int, between: str
) -> None:
    assert read(blank, "whole", grouped(number, between)) == number


@given(text=st.text("0159.,'_ $-e€٣１", min_size=1, max_size=10))
@settings(max_examples=300, deadline=None)
def test_what_is_taken_has_the_digits_of_the_text_and_one_decimal_mark_at_most(
    blank: Page, text: str
) -> None:
    whole, micros = read(blank, "whole", text), read(blank, "dollars", text)

    digits = "".join(character for character in text if character in "0159")
    assert isinstance(whole, str) or whole == int(digits)
    if not isinstance(micros, str):
        assert micros in {int(digits) * 10**6 // 10**places for places in range(len(digits) + 1)}


@given(micros=st.integers(0, LARGEST))
@settings(max_examples=200, deadline=None)
def test_what_a_page_puts_into_a_field_is_taken_as_it_was(blank: Page, micros: int) -> None:
    assert read(blank, "dollars", plain_dollars(micros)) == micros


def test_an_ambiguous_budget_is_refused_at_its_field_and_a_clear_one_stored(
    walk: Walk, admin: Admin
) -> None:
    user = admin.add_user(new_name("mary"))
    page = as_admin(walk(), f"/admin/users?q={user['username']}")
    page.get_by_role("button", name="Quota of").click()
    field = page.get_by_label("Cost in US dollars")
    field.fill("1,500")
    page.get_by_role("button", name="Save quota").click()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_be_focused()
    expect(page.get_by_text("can be read as 1500 or as 1.5")).to_be_visible()
    field.fill("1,5")
    page.get_by_role("button", name="Save quota").click()
    expect(page.get_by_role("dialog", name="Quota")).to_be_hidden()

    assert admin.send("GET", f"/api/admin/users/{user['id']}")["quota_cost_micros"] == 1_500_000
