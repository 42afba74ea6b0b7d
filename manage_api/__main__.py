"""`python -m manage_api`: the sidecar alone."""

import logging
import os
import sys
from contextlib import suppress

from shared.deferred import defer

DEFERRED = (
    "bcrypt",  # somebody signs in
    "jwt",
    "pyotp",
    "segno",
    "pdb",  # how Litestar and uvicorn are run by their own commands
    "uvicorn.main",
    "yaml",  # a form of the schema
)
"""What a sidecar does without until then, a tenth of it."""

if __name__ == "__main__":
    defer(DEFERRED)  # before the rest imports them

# ruff: noqa: E402
from uvicorn.config import Config
from uvicorn.server import Server

from manage_api.access.head import answering_head
from manage_api.access.malformed import Http
from manage_api.access.whole_request import ending_after_request
from manage_api.app import create_app
from shared.config.address import split_address
from shared.config.passed import received
from shared.config.schema import Logging
from shared.config.watch import Watch
from shared.errors import ConfigError, StoreError
from shared.lifeline import Lifeline, handed_sockets
from shared.log import configure
from shared.store import open_engine

__all__ = ("DEFERRED", "main")

log = logging.getLogger("thinkback.sidecar")


def main() -> None:
    """Serve until a signal; exit with code 2 if the configuration can't be used, 1 if the
    database can't.
    """
    _configure_log(Logging())
    try:
        watch = Watch(received(os.environ))
        _configure_log(watch.snapshot.logging)
        open_engine(watch.snapshot.database_url).close()  # while it can be said in words
    except ConfigError as error:
        log.error("Can't use the configuration: %s", error)
        sys.exit(2)
    except StoreError as error:
        log.error("%s", error)
        sys.exit(1)
    host, port = split_address(watch.snapshot.server.admin_addr)
    config = Config(
        answering_head(
            ending_after_request(
                create_app(watch, leaving=lambda: server.should_exit, lifeline=Lifeline(os.environ))
            )
        ),
        host=host,
        port=port,
        http=Http,
        loop="asyncio",  # uvloop, where it is installed, is for the data plane
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    server = Server(config)
    with suppress(KeyboardInterrupt):  # uvicorn raises Ctrl-C again after an orderly end
        server.run(handed_sockets(os.environ) or None)
    if not server.started:
        sys.exit(1)


def _configure_log(settings: Logging) -> None:
    """Write our log, and the warnings of libraries, in one form."""
    logging.getLogger().handlers = [configure(settings, sys.stderr, "sidecar")]


if __name__ == "__main__":
    main()
