import json
from contextlib import closing
from pathlib import Path

import pytest

from shared.config.schema import Upstream
from shared.security.secrets import load_secret
from shared.store import open_engine
from shared.store.upstream_models import Listing, keep_listing
from shared.store.upstreams import add_upstream
from tests.manage_api.command.running import Command


@pytest.fixture
def thinkback(tmp_path: Path, url: str) -> Command:
    """A gateway's directory: one upstream in the file, one in the database that lists models."""
    (tmp_path / "config.toml").write_text(
        '[[upstreams]]\nname = "mimo"\nbase_url = "https://mimo.example"\nmodels = ["mimo-v2"]\n'
    )
    stored = Upstream(name="open", base_url="https://open.example")
    listing = Listing(
        upstream="open",
        endpoint=stored.endpoint,
        asked_at=1,
        listed_at=1,
        models=("a", "long-name"),
    )
    with closing(open_engine(url)) as engine:
        add_upstream(engine, load_secret(tmp_path / "data"), stored, 1)
        engine.transact(lambda work: work.run(*keep_listing(listing)), alone=())
    return Command(tmp_path)


def test_the_models_are_listed_with_their_upstreams(thinkback: Command) -> None:
    told = thinkback("models")
    encoded = thinkback("models", "--json")

    assert told.stdout == "mimo-v2    mimo\na          open\nlong-name  open\n", told.stderr
    assert [json.loads(line) for line in encoded.stdout.splitlines()] == [
        {"model": "mimo-v2", "upstream": "mimo"},
        {"model": "a", "upstream": "open"},
        {"model": "long-name", "upstream": "open"},
    ]


def test_where_none_is_known_the_next_step_is_said(tmp_path: Path, url: str) -> None:
    told = Command(tmp_path)("models")

    assert (told.returncode, told.stdout) == (0, "")
    assert "thinkback check" in told.stderr
