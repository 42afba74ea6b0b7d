from tests.browser.conftest import Walk
from tests.browser.walker import violations_in_both_colours

FAINT_IN_THE_DARK = """
    () => {
        const sheet = new CSSStyleSheet();
        sheet.replaceSync("[data-bs-theme=dark] label { color: #333 !important }");
        document.adoptedStyleSheets = [sheet];
    }
"""


def test_what_is_too_faint_in_the_dark_alone_is_found(walk: Walk) -> None:
    page = walk().go("/")
    page.evaluate(FAINT_IN_THE_DARK)
    found = violations_in_both_colours(page)
    assert found
    assert all(each.startswith("dark: color-contrast: <label") for each in found)
