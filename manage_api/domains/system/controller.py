"""`/api/config` and `/healthz`."""

from importlib.metadata import version

from litestar import Controller, get
from litestar.di import NamedDependency

from manage_api.authentication import PUBLIC
from manage_api.domains.system.schemas import Health, PublicConfig
from manage_api.sidecar import Sidecar

__all__ = ("SystemController",)


class SystemController(Controller):
    """What anybody may know of the installation."""

    opt = PUBLIC

    @get("/api/config")
    async def config(self, sidecar: NamedDependency[Sidecar]) -> PublicConfig:
        """What a sign-in page needs to know."""
        snapshot = sidecar.snapshot
        return PublicConfig(
            allow_registration=snapshot.registration.allowed,
            public_url=snapshot.server.public_url,
            version=version("thinkback"),
        )

    @get("/healthz")
    async def health(self, sidecar: NamedDependency[Sidecar]) -> Health:
        """The sidecar works, and its database with it."""
        sidecar.store.version()
        return Health()
