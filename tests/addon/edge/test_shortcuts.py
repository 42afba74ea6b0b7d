"""What mitmproxy does for less comes to the same."""

from collections.abc import Iterator

import pytest
from mitmproxy.connection import Client
from mitmproxy.hooks import Hook
from mitmproxy.options import Options
from mitmproxy.optmanager import _Option
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import NextLayer
from mitmproxy.proxy.layers.http._hooks import HttpRequestHook
from mitmproxy.proxy.server_hooks import ClientConnectedHook
from mitmproxy.test.tflow import tflow

from addon.edge import shortcuts

METHODS = ((Context, "fork"), (_Option, "current"), (Hook, "args"))


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """mitmproxy's own methods, after the test again."""
    with pytest.MonkeyPatch.context() as patch:
        for kind, name in METHODS:
            patch.setattr(kind, name, getattr(kind, name))
        yield


@pytest.fixture
def context() -> Context:
    client = Client(peername=("127.0.0.1", 1), sockname=("127.0.0.1", 2))
    return Context(client, Options())


def test_a_fork_has_all_that_mitmproxys_has(context: Context) -> None:
    before = vars(context.fork())
    shortcuts.install()
    fork = context.fork()
    assert type(fork) is Context
    assert vars(fork) == before


def test_layers_of_a_fork_are_its_own(context: Context) -> None:
    shortcuts.install()
    fork = context.fork()
    fork.layers.append(NextLayer(fork))
    assert (len(fork.layers), len(context.layers)) == (1, 0)


def test_options_have_the_values_that_they_had(context: Context) -> None:
    options = context.options
    options.update(listen_port=1, ignore_hosts=["a"], ssl_insecure=True)
    before = [getattr(options, name) for name in options.keys()]  # noqa: SIM118 - no mapping
    shortcuts.install()
    assert [getattr(options, name) for name in options.keys()] == before  # noqa: SIM118


def test_a_list_of_an_option_is_still_a_copy(context: Context) -> None:
    shortcuts.install()
    context.options.ignore_hosts.append("a")
    assert context.options.ignore_hosts == []


def test_a_hook_has_the_arguments_that_it_had(context: Context) -> None:
    hooks = [HttpRequestHook(tflow()), ClientConnectedHook(context.client)]
    before = [hook.args() for hook in hooks]
    shortcuts.install()
    assert [hook.args() for hook in hooks] == before
