"""The gateway runs with the options that it needs."""

import io
import logging
import re

import pytest
from mitmproxy.addonmanager import Loader
from mitmproxy.addons.block import Block
from mitmproxy.addons.clientplayback import ClientPlayback
from mitmproxy.addons.next_layer import NextLayer
from mitmproxy.addons.onboarding import Onboarding
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.addons.save import Save
from mitmproxy.addons.serverplayback import ServerPlayback
from mitmproxy.addons.termlog import TermLog
from mitmproxy.test import taddons

from addon.edge.connect import Places
from addon.edge.crowd import Crowd
from addon.edge.lifecycle import BASELINE, Lifecycle
from addon.edge.plan import Slices
from addon.edge.upstream_pool import UpstreamPool
from addon.node import Node
from shared.config.schema import Server

OPTIONED = (
    Block,
    ClientPlayback,
    NextLayer,
    Onboarding,
    Proxyserver,
    Save,
    ServerPlayback,
)
"""mitmproxy's addons whose options matter."""

SINK = "reverse:http://127.0.0.1:9@127.0.0.1:8787"


def lifecycle(node: Node) -> Lifecycle:
    pool = UpstreamPool(Places(lambda: node.snapshot), node.clock)
    return Lifecycle(node, Crowd(Server, node.clock), Slices(), pool)


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ({"websocket": True, "mode": [SINK]}, "mitmproxy's option websocket must be False"),
        ({"mode": ["regular"]}, "mitmproxy's mode must be reverse:http://127.0.0.1:9@"),
    ],
    ids=["an option", "a mode"],
)
def test_it_does_not_run_with_other_options(
    node: Node, option: dict[str, object], text: str, caplog: pytest.LogCaptureFixture
) -> None:
    with taddons.context(*[kind() for kind in OPTIONED]) as tctx:
        tctx.options.update(**BASELINE | option)  # type: ignore[arg-type]
        with pytest.raises(SystemExit):
            lifecycle(node).running()
    [told] = [one.getMessage() for one in caplog.records if one.name == "thinkback"]
    assert told.startswith(text)


def test_mitmproxy_s_own_lines_have_the_form_of_ours(node: Node) -> None:
    written = io.StringIO()
    with taddons.context(TermLog(written)) as tctx:
        lifecycle(node).load(Loader(tctx.master))
        logging.getLogger("mitmproxy.proxy").warning("a port is taken")
        tctx.master.addons.get("termlog").uninstall()
    line = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d warning: a port is taken\n"
    assert re.fullmatch(line, written.getvalue())
