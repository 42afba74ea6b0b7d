"""One gateway configured by environment alone and one by a file, shared by all end-to-end tests."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from openai import OpenAI

from tests.clients.install import Unavailable, install, install_aider
from tests.e2e.estate import Estate
from tests.support.client import sdk
from tests.support.gateway import Gateway, Served, upstream_environment
from tests.support.provider import StrictProvider


@pytest.fixture(scope="session")
def strict() -> Iterator[StrictProvider]:
    with StrictProvider() as running:
        yield running


@pytest.fixture(scope="session")
def shared_gateway(
    strict: StrictProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    with Gateway(
        tmp_path_factory.mktemp("gateway"), upstream_environment(strict.base_url)
    ) as running:
        yield running


@pytest.fixture(scope="session")
def key(shared_gateway: Gateway) -> str:
    """The virtual key of a user."""
    return shared_gateway.new_user("ada")


@pytest.fixture(scope="session")
def other_key(shared_gateway: Gateway) -> str:
    """The virtual key of another user."""
    return shared_gateway.new_user("grace")


@pytest.fixture(scope="session")
def shared_estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    with ExitStack() as stack:
        yield Estate(stack, tmp_path_factory.mktemp("estate"))


@pytest.fixture
def provider(strict: StrictProvider) -> StrictProvider:
    """The shared gateway's only upstream, with nothing received yet."""
    strict.reset()
    return strict


@pytest.fixture
def gateway(shared_gateway: Gateway, provider: StrictProvider) -> Gateway:
    """The gateway that got its one upstream from the environment."""
    return shared_gateway


@pytest.fixture
def client(gateway: Gateway, key: str) -> Iterator[OpenAI]:
    """The openai SDK as a user of `gateway`."""
    with sdk(gateway.base_url, key) as running:
        yield running


@pytest.fixture
def estate(shared_estate: Estate) -> Estate:
    """The gateway with many upstreams, none of which has received anything yet."""
    for provider in shared_estate.providers.values():
        provider.reset()
    return shared_estate


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Served[StrictProvider]]:
    """A gateway of the test's own, to kill and restart."""
    with (
        StrictProvider() as provider,
        Gateway(tmp_path, upstream_environment(provider.base_url)) as gateway,
    ):
        yield Served(gateway, provider)


@pytest.fixture(scope="session")
def programs() -> None:
    """The coding agents of the npm registry."""
    try:
        install()
    except Unavailable as reason:
        pytest.skip(f"the coding agents can't be had: {reason}")


@pytest.fixture(scope="session")
def aider() -> None:
    """The coding agent aider, of PyPI."""
    try:
        install_aider()
    except Unavailable as reason:
        pytest.skip(f"aider can't be had: {reason}")
