"""Starting and reconfiguring, as a user sees it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.client import Conversation, post, sdk
from tests.support.gateway import Gateway, eventually, upstream_table
from tests.support.provider import StrictProvider
from tests.support.sockets import backlog_of


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that nobody has configured."""
    with Gateway(tmp_path_factory.mktemp("bare"), first=True) as gateway:
        yield gateway


def test_without_an_upstream_it_starts_and_says_what_to_do(bare: Gateway) -> None:
    body = b'{"model":"m","messages":[]}'
    answer = post(bare.origin, "/v1/chat/completions", body, key=bare.new_user("ada"))
    assert answer.status >= 400
    assert "upstream" in answer.json["error"]["message"]
    assert "upstream" in bare.log


def test_a_burst_of_1024_connections_waits_to_be_accepted(bare: Gateway) -> None:
    at_most = int(Path("/proc/sys/net/core/somaxconn").read_text("ascii"))
    assert backlog_of(bare.port) == min(1024, at_most)


def test_a_broken_configuration_is_named_and_nothing_is_started(tmp_path: Path) -> None:
    config = '[server]\nlisten_adr = "x"\n[[upstreams]]\nname = "a"\nbase_url = "ftp://x"\n'
    with pytest.raises(RuntimeError) as caught, Gateway(tmp_path, config=config):
        pass
    assert "listen_adr" in str(caught.value)
    assert "upstreams[0].base_url" in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_an_edited_configuration_is_used_without_a_restart(tmp_path: Path) -> None:
    with StrictProvider() as one, StrictProvider() as two:
        first = upstream_table("first", one.base_url, models=["first-model"])
        with (
            Gateway(tmp_path, config=first) as gateway,
            sdk(gateway.base_url, gateway.new_user("ada")) as client,
        ):
            more = first + upstream_table("second", two.base_url, models=["second-model"])
            (tmp_path / "config.toml").write_text(more, "utf-8")
            assert eventually(
                lambda: "second-model" in [model.id for model in client.models.list()]
            )
            assert Conversation(client, "second-model").ask().finish_reason
            (tmp_path / "config.toml").write_text("[[upstreams]\n", "utf-8")
            assert eventually(lambda: "config.toml" in gateway.log)
            assert Conversation(client, "second-model").ask().finish_reason
