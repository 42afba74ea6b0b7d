"""The pages of those who have not signed in: `/` and `/register`."""

from urllib.parse import quote

from litestar import Response, get
from litestar.di import NamedDependency

from manage_api.access.callers import AnyRequest
from manage_api.sidecar import Sidecar
from manage_api.web.connect import base_url_for
from manage_api.web.rendering import PublicPages, go, local_path, page, visitor

__all__ = ("FrontPages",)


class FrontPages(PublicPages):
    """Signing in and up."""

    @get("/")
    async def home(self, request: AnyRequest, sidecar: NamedDependency[Sidecar]) -> Response[str]:
        """The form to sign in, and for people without an account that it runs and where;
        else to the own pages.
        """
        wanted = request.query_params.get("next", "")
        if user := visitor(request):
            begin = user.must_change_password or (
                user.role == "admin" and not sidecar.snapshot.upstreams
            )
            return go("/setup" if begin and not wanted else local_path(wanted))
        return page(
            request,
            "login.html",
            base_url=base_url_for(request, sidecar.snapshot),
            then=f"/?next={quote(local_path(wanted))}" if wanted else "/",
            can_register=sidecar.snapshot.registration.allowed,
            has_upstream=bool(sidecar.snapshot.upstreams),
        )

    @get("/register")
    async def register(
        self, request: AnyRequest, sidecar: NamedDependency[Sidecar]
    ) -> Response[str]:
        """The form to make an account, where that is allowed."""
        if visitor(request):
            return go("/dashboard")
        rules = sidecar.snapshot.registration
        return page(
            request,
            "register.html",
            base_url=base_url_for(request, sidecar.snapshot),
            can_register=rules.allowed,
            invite_needed=bool(rules.invite_codes),
            quota_tokens=rules.quota_tokens,
        )
