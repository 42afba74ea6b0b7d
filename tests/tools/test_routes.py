"""The table of who may ask for what is what the routes say, and what tests see them do."""

import pytest
from litestar import Litestar

from manage_api.app import create_app
from shared.config.watch import Watch
from tests.manage_api.rules import OPEN_TO_BEGINNERS, RULES
from tools.routes import BEGIN, END, PAGE, audience, routes, table, written


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Litestar:
    file = tmp_path_factory.mktemp("app") / "config.toml"
    file.touch()
    return create_app(Watch({"CONFIG_PATH": str(file)}))


def test_docs_have_the_table_as_the_routes_are(app: Litestar) -> None:
    page = PAGE.read_text("utf-8")
    assert written(page, table(app)) == page, "run `python -m tools.routes`"


def test_the_table_says_what_every_kind_of_caller_meets(app: Litestar) -> None:
    """tests/manage_api/test_authorisation.py calls every route as everybody by these rules."""
    assert {name: audience(handler) for name, handler in routes(app).items()} == RULES
    marked = {line.split("`")[1] for line in table(app).splitlines() if "must be changed" in line}
    assert marked == OPEN_TO_BEGINNERS


def test_only_what_is_between_the_marks_is_written() -> None:
    assert written(f"a\n{BEGIN}\nold\n{END}\nb", "new") == f"a\n{BEGIN}\n\nnew\n\n{END}\nb"


@pytest.mark.parametrize("page", ["", BEGIN, END])
def test_a_page_without_the_marks_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="lacks"):
        written(page, "new")
