"""What upstreams list as their models reaches clients, and what is wrong with one is said."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.client import fetch, sdk
from tests.support.gateway import Gateway, eventually, upstream_table
from tests.support.provider import StrictProvider

ASKED = {"MODELS_REFRESH_SECONDS": "3600"}
REFUSED = "Upstream deepseek: The upstream rejects this key (401)."


@pytest.fixture(scope="module")
def upstream() -> Iterator[StrictProvider]:
    with StrictProvider() as running:
        yield running


def listed(gateway: Gateway, key: str) -> list[str]:
    with sdk(gateway.base_url, key) as client:
        return [model.id for model in client.models.list()]


def test_clients_are_told_what_an_upstream_lists_also_while_it_is_down(
    tmp_path: Path, upstream: StrictProvider
) -> None:
    wrong = upstream_table("deepseek", upstream.base_url, api_keys=["sk-wrong"])
    with Gateway(tmp_path, ASKED, config=wrong) as gateway:
        key = gateway.new_user("ada")
        assert eventually(lambda: REFUSED in gateway.log)
        assert listed(gateway, key) == []

        (tmp_path / "config.toml").write_text(upstream_table("deepseek", upstream.base_url))
        assert eventually(lambda: listed(gateway, key) == ["deepseek-v4-pro"])
        assert eventually(lambda: "deepseek works again and lists 1 model." in gateway.log)
        shown = fetch(
            "GET", f"{gateway.base_url}/models/deepseek-v4-pro", headers={"x-api-key": key}
        )
        assert (shown.status, shown.json["owned_by"]) == (200, "deepseek")

        upstream.refuse()
        gateway.restart()
        assert listed(gateway, key) == ["deepseek-v4-pro"]
        assert eventually(lambda: re.search("Models +deepseek-v4-pro", gateway.log) is not None, 20)
        assert gateway.log.count(REFUSED) == 1
