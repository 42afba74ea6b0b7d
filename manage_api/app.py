"""The sidecar: a Litestar application over the store and the configuration."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException

from manage_api.authentication import Authentication
from manage_api.browsers import SameOrigin, add_security_headers
from manage_api.domains.account.controller import AccountController
from manage_api.domains.session.controller import SessionController
from manage_api.domains.system.controller import SystemController
from manage_api.domains.users.controller import UsersController
from manage_api.guards import own_password
from manage_api.problems import http_problem, store_problem, unexpected_problem
from manage_api.sidecar import Sidecar
from manage_api.web.pages import PagesController
from shared.clock import Clock, SystemClock
from shared.config.watch import Watch
from shared.errors import StoreError
from shared.security.secrets import load_secret
from shared.store import data_directory, open_engine

__all__ = ("create_app",)

_LARGEST_BODY = 1024 * 1024


def create_app(watch: Watch, *, clock: Clock | None = None) -> Litestar:
    """The application for one configuration; it opens the database when it starts, on the thread of its loop."""

    @asynccontextmanager
    async def running(app: Litestar) -> AsyncIterator[None]:
        url = watch.snapshot.database_url
        with closing(open_engine(url)) as store:
            secret = load_secret(data_directory(url))
            app.state.sidecar = Sidecar(store=store, watch=watch, secret=secret, clock=clock or SystemClock())
            async with asyncio.TaskGroup() as group:
                following = group.create_task(app.state.sidecar.follow_configuration())
                yield
                following.cancel()

    return Litestar(
        [AccountController, PagesController, SessionController, SystemController, UsersController],
        lifespan=[running],
        dependencies={"sidecar": Provide(_sidecar, sync_to_thread=False)},
        middleware=[SameOrigin(), Authentication],
        guards=[own_password],
        before_send=[add_security_headers],
        exception_handlers={
            HTTPException: http_problem,
            StoreError: store_problem,
            Exception: unexpected_problem,
        },
        request_max_body_size=_LARGEST_BODY,
        openapi_config=None,
        logging_config=None,
        debug=False,  # said, so that LITESTAR_DEBUG can't show a stack to the world
    )


def _sidecar(state: State) -> Sidecar:
    sidecar: Sidecar = state.sidecar
    return sidecar
