"""The pages for visitors who have not signed in: `/` and `/register`."""

from urllib.parse import quote

from litestar import Response, get
from litestar.di import NamedDependency

from manage_api.access.callers import AnyRequest
from manage_api.access.registration import may_register
from manage_api.sidecar import Sidecar
from manage_api.web.connect import base_url_for
from manage_api.web.rendering import PublicPages, go, local_path, page, visitor

__all__ = ("FrontPages",)


class FrontPages(PublicPages):
    """Signing in and signing up."""

    @get("/")
    async def home(self, request: AnyRequest, sidecar: NamedDependency[Sidecar]) -> Response[str]:
        """Show the form to sign in and the base URL; redirect whoever has signed in."""
        target = request.query_params.get("next", "")
        if user := visitor(request):
            needs_setup = user.role == "admin" and not sidecar.snapshot.upstreams
            if not target and (needs_setup or user.must_change_password):
                return go("/setup")
            return go(local_path(target))
        after_login = "/"
        if target:
            after_login = f"/?next={quote(local_path(target))}"
        return page(
            request,
            "login.html",
            base_url=base_url_for(request, sidecar.snapshot),
            then=after_login,
            can_register=may_register(request),
            has_upstream=bool(sidecar.snapshot.upstreams),
        )

    @get("/register")
    async def register(
        self, request: AnyRequest, sidecar: NamedDependency[Sidecar]
    ) -> Response[str]:
        """Show the form to create an account, where that is allowed."""
        if visitor(request):
            return go("/dashboard")
        rules = sidecar.snapshot.registration
        return page(
            request,
            "register.html",
            base_url=base_url_for(request, sidecar.snapshot),
            can_register=may_register(request),
            invite_needed=bool(rules.invite_codes),
            quota_tokens=rules.quota_tokens,
        )
