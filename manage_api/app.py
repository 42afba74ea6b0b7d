"""The sidecar: a Litestar application over the store and the configuration."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing

from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException, NotFoundException

from manage_api.access.authentication import Authentication, name_caller
from manage_api.access.guards import own_password
from manage_api.access.same_origin import SameOrigin, add_security_headers
from manage_api.domains.account.controller import AccountController
from manage_api.domains.audit.controller import AuditController
from manage_api.domains.doctor.controller import StandInController
from manage_api.domains.keys.controller import AllKeysController, KeysController, UserKeysController
from manage_api.domains.lessons.controller import LessonsController
from manage_api.domains.prices.controller import PricesController
from manage_api.domains.requests.controller import MyRequestsController, RequestsController
from manage_api.domains.requests.conversations import (
    ConversationsController,
    MyConversationsController,
)
from manage_api.domains.requests.feed import Feed
from manage_api.domains.second_factor.controller import (
    SecondFactorController,
    SecondFactorsController,
)
from manage_api.domains.session.controller import SessionController
from manage_api.domains.settings.controller import SettingsController
from manage_api.domains.system.controller import InstallationController, SystemController
from manage_api.domains.system.schedule import make_backups
from manage_api.domains.upstreams.controller import RoutesController, UpstreamsController
from manage_api.domains.upstreams.model_lists import ModelLists
from manage_api.domains.usage.controller import MyUsageController, UsageController
from manage_api.domains.users.controller import UsersController
from manage_api.openapi import ClosedStructs, Description, describe
from manage_api.problems import http_problem, store_problem, unexpected_problem, unreadable_problem
from manage_api.sidecar import Sidecar
from manage_api.web.assets import AssetsController
from manage_api.web.pages import FrontPages
from manage_api.web.pages_audit import AuditPages
from manage_api.web.pages_conversations import AllConversationsPages, ConversationPages
from manage_api.web.pages_dashboard import DashboardPages
from manage_api.web.pages_installation import InstallationPages
from manage_api.web.pages_overview import OverviewPages
from manage_api.web.pages_setup import SetupPages
from manage_api.web.pages_try import TryPages
from manage_api.web.pages_upstreams import UpstreamPages
from manage_api.web.pages_usage import UsagePages
from manage_api.web.pages_users import KeysPages, UsersPages
from manage_api.web.rendering import missing_page
from shared.clock import Clock, SystemClock
from shared.config.watch import Watch
from shared.errors import StoreError
from shared.lifeline import Lifeline
from shared.store import open_engine
from shared.store.installation import installation_secret

__all__ = ("create_app",)

_MAX_BODY = 1024 * 1024
"""An upstream with 2048 models and 512 rewrites has less than half of that."""


def create_app(
    watch: Watch,
    *,
    clock: Clock | None = None,
    leaving: Callable[[], bool] = lambda: False,
    lifeline: Lifeline | None = None,
) -> Litestar:
    """Create the application, which opens the database on the thread of its loop.

    Endless responses end once `leaving` returns True. By `lifeline` a supervisor hears that
    it works, and SIGHUP has it read its configuration again.
    """

    return Litestar(
        [
            AccountController,
            AllConversationsPages,
            AllKeysController,
            AssetsController,
            AuditController,
            AuditPages,
            ConversationPages,
            ConversationsController,
            DashboardPages,
            FrontPages,
            InstallationController,
            InstallationPages,
            KeysController,
            KeysPages,
            LessonsController,
            MyConversationsController,
            MyRequestsController,
            MyUsageController,
            OverviewPages,
            PricesController,
            RequestsController,
            RoutesController,
            SecondFactorController,
            SecondFactorsController,
            SessionController,
            SettingsController,
            SetupPages,
            StandInController,
            SystemController,
            TryPages,
            UpstreamPages,
            UpstreamsController,
            UsageController,
            UsagePages,
            UserKeysController,
            UsersController,
            UsersPages,
        ],
        lifespan=[_running],
        state=State(
            {
                "watch": watch,
                "clock": clock or SystemClock(),
                "leaving": leaving,
                "lifeline": lifeline,
            }
        ),
        dependencies={"sidecar": Provide(_sidecar, sync_to_thread=False)},
        middleware=[SameOrigin(), Authentication],
        guards=[own_password],
        before_send=[add_security_headers, name_caller],
        exception_handlers={
            HTTPException: http_problem,
            NotFoundException: missing_page,
            StoreError: store_problem,
            RecursionError: unreadable_problem,
            UnicodeDecodeError: unreadable_problem,
            Exception: unexpected_problem,
        },
        request_max_body_size=_MAX_BODY,
        openapi_config=describe(),
        plugins=[ClosedStructs(), Description()],
        logging_config=None,
        debug=False,  # explicit, so that LITESTAR_DEBUG can't expose stack traces
    )


@asynccontextmanager
async def _running(app: Litestar) -> AsyncIterator[None]:
    state = app.state
    url = state.watch.snapshot.database_url
    with closing(open_engine(url, state.clock)) as store:
        secret = installation_secret(store, url)
        state.sidecar = Sidecar(store=store, watch=state.watch, secret=secret, clock=state.clock)
        state.feed = Feed(state.sidecar, state.leaving)
        async with asyncio.TaskGroup() as group:
            following = [
                group.create_task(state.sidecar.follow_configuration()),
                group.create_task(state.feed.follow()),
                group.create_task(make_backups(state.sidecar)),
                group.create_task(ModelLists(state.sidecar).follow()),
            ]
            if state.lifeline is not None:
                _reload_when_told(state.sidecar)
                following.append(group.create_task(state.lifeline.beat()))
            yield
            for task in following:
                task.cancel()


def _reload_when_told(sidecar: Sidecar) -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, sidecar.configuration.reload)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGHUP])


def _sidecar(state: State) -> Sidecar:
    sidecar: Sidecar = state.sidecar
    return sidecar
