"""In interpreters of their own: this one has loaded all of it already."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from addon.edge.__main__ import DEFERRED as OF_THE_DATA_PLANE
from manage_api.__main__ import DEFERRED as OF_THE_SIDECAR

BEGIN = """
import json, os, runpy, sys
from contextlib import suppress
from shared.deferred import defer, is_deferred
def run(module):
    with suppress(SystemExit):
        runpy.run_module(module, run_name="__main__")
def show(*found):
    print(json.dumps(found))
"""

DATA_PLANE = """
sys.argv = ["mitmdump", "--set", "onboarding=false", "--version"]
run("addon.edge")
from addon.edge import gateway
"""

SIDECAR = """
os.environ["ADMIN_LISTEN_ADDR"] = "nowhere"
run("manage_api")
from manage_api.app import create_app
from shared.config.watch import Watch
app = create_app(Watch({}))
"""


def run(code: str, directory: Path) -> Any:
    """What the code shows."""
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + code],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("program", "names", "has"),
    [
        (DATA_PLANE, OF_THE_DATA_PLANE, "mitmproxy.proxy.layers.http._http1"),
        (SIDECAR, (*OF_THE_SIDECAR, "jinja2", "httpx", "sqlite_utils", "mitmproxy"), "litestar"),
    ],
    ids=["data plane", "sidecar"],
)
def test_a_program_that_could_serve_has_loaded_none_of_them(
    program: str, names: tuple[str, ...], has: str, tmp_path: Path
) -> None:
    loaded = run(
        program + "show(*filter(lambda name: not is_deferred(name), sys.modules))", tmp_path
    )
    assert [name for name in names if name in loaded] == []
    assert has in loaded


def test_a_name_that_is_called_does_what_it_does_elsewhere(tmp_path: Path) -> None:
    code = """
from mitmproxy import flowfilter
from mitmproxy.addons import blocklist
spec = blocklist.parse_spec(":~d example.com:404")
show(flowfilter.match_all(None), type(spec.matches).__name__, spec.status_code)
"""
    assert run(DATA_PLANE + code, tmp_path) == [True, "FDomain", 404]


def test_an_error_of_a_module_is_caught_by_its_name(tmp_path: Path) -> None:
    code = """
defer(["jwt"])
from shared.security.tokens import InvalidToken, read_token
before = is_deferred("jwt")
try:
    read_token("no token", "a secret of more than thirty-two letters", now=0)
except InvalidToken:
    show(before, is_deferred("jwt"))
"""
    assert run(code, tmp_path) == [True, False]


def test_a_name_stands_in_annotations_and_has_no_instances_before_it_is_used(
    tmp_path: Path,
) -> None:
    code = """
from mitmproxy.flowfilter import TFilter
from mitmproxy.proxy.layers.quic import QuicTlsSettings
wanted, before = TFilter | None, isinstance(1, QuicTlsSettings)
made = QuicTlsSettings(alpn_protocols=["h3"])
show(before, isinstance(1, QuicTlsSettings), isinstance(made, QuicTlsSettings))
"""
    assert run(DATA_PLANE + code, tmp_path) == [False, False, True]


@pytest.mark.parametrize("name", ["__file__", "__all__"])
def test_a_module_that_is_not_loaded_does_not_say_where_it_is(name: str, tmp_path: Path) -> None:
    code = f"""
defer(["ldap3"])
import ldap3
show(hasattr(ldap3, {name!r}))
"""
    assert run(code, tmp_path) == [False]
