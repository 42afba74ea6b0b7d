"""A gateway without sockets, and one client's line to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.test import taddons

from addon.edge import http1
from addon.edge.gateway import Gateway
from addon.node import Node
from shared.security import keys
from shared.store.accounts import create_user
from tests.addon.edge.line import CONFIG, Clock, Line
from tests.support.keys import create_key


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def node(tmp_path: Path, clock: Clock) -> Iterator[Node]:
    (tmp_path / "config.toml").write_text(CONFIG)
    environ = {
        "CONFIG_PATH": str(tmp_path / "config.toml"),
        "DATABASE_URL": f"sqlite:{tmp_path}/data/adapter.db",
    }
    made = Node(environ, clock)
    yield made
    made.engine.close()


@pytest.fixture
def key(node: Node) -> str:
    minted = keys.mint_key()
    user = create_user(
        node.engine,
        username="ada",
        password_hash="-",
        role="user",
        must_change_password=False,
        now=1,
    )
    create_key(
        node.engine,
        user_id=user.id,
        name="k",
        scope="inference",
        digest=keys.digest(minted),
        suffix="k",
        now=1,
    )
    return minted


@pytest.fixture
def gateway(node: Node) -> Gateway:
    http1.install()
    gateway = Gateway(node)
    gateway.watched = False
    return gateway


@pytest.fixture
def line(gateway: Gateway, clock: Clock) -> Iterator[Line]:
    with taddons.context(Proxyserver()) as tctx:
        tctx.configure(
            tctx.master.addons.get("proxyserver"),
            validate_inbound_headers=True,
            keep_host_header=True,
        )
        yield Line(gateway, clock, tctx.options)
