"""`thinkback tunnel`, and the options of other commands that open a tunnel."""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import closing, suppress

import click

from manage_api.addresses import is_healthy, local_url
from manage_api.command import report
from manage_api.command.launcher import Prepared, refuse_well_known_passwords
from manage_api.command.tunnel import Tunnel, describing, open_tunnel, with_tunnel_file
from manage_api.command.tunnel_client import PROGRAMS, TunnelClient, TunnelError, choose
from shared.config.load import load
from shared.config.schema import Snapshot
from shared.config.tunnel import announced
from shared.store import open_engine
from shared.store.installation import installation_secret
from shared.store.overrides import read_overrides

__all__ = ("await_tunnel", "client_wanted", "tunnel", "tunnel_options", "tunnel_words")

_ANY = "any"

_LOOKS = 60
_LOOK_SECONDS = 2.0
_LOOK_DELAY = 0.5
"""Most programs have opened a tunnel after some seconds; nobody waits for longer than minutes."""


def tunnel_options[**P, R](command: Callable[P, R]) -> Callable[P, R]:
    """Add the options of a tunnel to a command."""
    options = (
        click.option(
            "--tunnel",
            type=click.Choice([_ANY, *PROGRAMS]),
            is_flag=False,
            flag_value=_ANY,
            help="Open a tunnel, so that Cursor reaches the gateway.",
        ),
        click.option("--tunnel-name", default="", help="The name of your cloudflared tunnel."),
        click.option(
            "--tunnel-url", default="", help="The tunnel's own host name, if you have one."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def client_wanted(
    snapshot: Snapshot, tunnel: str | None, tunnel_name: str, tunnel_url: str
) -> TunnelClient | None:
    """Return what the options ask for; None when they ask for no tunnel. TunnelError."""
    if not (tunnel or tunnel_name or tunnel_url):
        return None
    wanted = (tunnel or "").removeprefix(_ANY)
    target = local_url(snapshot.server.listen_addr)
    if tunnel_name:
        tunnel_url = tunnel_url or snapshot.server.public_url
    return choose(wanted, target=target, name=tunnel_name, url=tunnel_url)


def tunnel_words(tunnel: str | None, tunnel_name: str, tunnel_url: str) -> tuple[str, ...]:
    """Return the options as they are written in a command."""
    options = {
        "--tunnel": tunnel or "",
        "--tunnel-name": tunnel_name,
        "--tunnel-url": tunnel_url,
    }
    return tuple(f"{name}={text}" for name, text in options.items() if text)


async def await_tunnel(client: TunnelClient, prepared: Prepared) -> str:
    """Wait until the gateway in the background answers through its tunnel; return what to enter
    where, or that it does not answer yet.
    """
    environ = with_tunnel_file(os.environ, prepared.snapshot.database_url)
    for _ in range(_LOOKS):
        url = announced(environ)
        if url and await is_healthy(url, _LOOK_SECONDS):
            return describing(client, environ, prepared.overrides)()
        await asyncio.sleep(_LOOK_DELAY)
    return f"{client.program} has not opened a tunnel yet: `thinkback log` shows what it says."


@click.command()
@click.argument("program", type=click.Choice(PROGRAMS), required=False)
@click.option("--name", default="", help="The name of your cloudflared tunnel.")
@click.option("--url", default="", help="The tunnel's own host name, if you have one.")
def tunnel(program: str | None, name: str, url: str) -> None:
    """Open a tunnel to the gateway that runs here, so that Cursor reaches it; Ctrl-C closes it.

    PROGRAM is what opens it. Default: whichever is installed.
    """
    snapshot = load(os.environ)
    client = client_wanted(snapshot, program or _ANY, name, url)
    assert client, "one was asked for"
    target = local_url(snapshot.server.listen_addr)
    if not asyncio.run(is_healthy(target)):
        raise TunnelError(
            f"No gateway answers at {target}: start it first, or both by `thinkback up --tunnel`."
        )
    database_url = snapshot.database_url
    with closing(open_engine(database_url)) as engine:
        refuse_well_known_passwords(engine)
        overrides = read_overrides(engine, installation_secret(engine, database_url))
    environ = with_tunnel_file(os.environ, database_url)
    report.tell(f"Opening a tunnel with {client.program} …")
    asyncio.run(_keep_until_told(open_tunnel(client, environ, overrides, say=report.tell)))
    report.tell(f"Closed the tunnel; the gateway at {target} goes on.")


async def _keep_until_told(tunnel: Tunnel) -> None:
    """Keep it open until SIGINT, SIGTERM or SIGHUP."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task, "it runs in one"
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    with suppress(asyncio.CancelledError):
        await tunnel.keep()
