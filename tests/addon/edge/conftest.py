"""A gateway without sockets, and one client's line to it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.test import taddons

from addon.edge import http1
from addon.edge.gateway import Gateway
from addon.node import Node
from shared.security import keys
from shared.store import open_engine
from shared.store.accounts import create_user
from shared.store.engine import Engine
from tests.addon.edge.line import CONFIG, Clock, Line
from tests.support.database import place_database
from tests.support.keys import create_key


@pytest.fixture
def clock() -> Clock:
    return Clock()


def make_node(
    folder: Path, clock: Clock, open_store: Callable[[str, Any], Engine] = open_engine
) -> Node:
    """A node that has CONFIG and a database in this folder."""
    (folder / "config.toml").write_text(CONFIG)
    place_database(folder / "data" / "adapter.db")
    environ = {
        "CONFIG_PATH": str(folder / "config.toml"),
        "DATABASE_URL": f"sqlite:{folder}/data/adapter.db",
    }
    return Node(environ, clock, open_store)


def add_key(node: Node) -> str:
    """A virtual key of a user of the node."""
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
def node(tmp_path: Path, clock: Clock) -> Iterator[Node]:
    made = make_node(tmp_path, clock)
    yield made
    made.engine.close()


@pytest.fixture
def key(node: Node) -> str:
    return add_key(node)


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
