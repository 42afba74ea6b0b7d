"""`/admin/upstreams`, its prices, and `/admin/rewrites`."""

from typing import Annotated, Any

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import PathParameter, QueryParameter

from manage_api.access.callers import UserRequest, is_local
from manage_api.access.guards import admin_only
from manage_api.domains.lessons.schemas import LessonView
from manage_api.domains.prices.schemas import PriceView
from manage_api.domains.prices.service import published
from manage_api.domains.upstreams.schemas import ProfileBy, UpstreamBody, UpstreamView
from manage_api.domains.upstreams.service import view, views
from manage_api.domains.upstreams.tryout import try_out
from manage_api.paging import Cursor, SomeId, SomeText, page_of, place_in
from manage_api.sidecar import Sidecar
from manage_api.web.presets import presets
from manage_api.web.rendering import Pages, page, plain_dollars
from shared.config.schema import EFFORTS, Upstream
from shared.periods import day_of
from shared.pricing import Price, list_prices_day
from shared.routes import known_models
from shared.store.lessons import read_lessons
from shared.store.prices import find_price, list_set_prices
from shared.store.reports import asked_keys

__all__ = ("UpstreamPages",)

_PER_PAGE = 100
_MAX_SUGGESTED = 500
"""Model names that a field suggests."""

UpstreamId = Annotated[str, PathParameter(max_length=1024)]
ModelQuery = Annotated[str, QueryParameter(max_length=1024)]


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """A model by its name at the upstream."""

    name: str
    price: Price | None


class Detected(msgspec.Struct, frozen=True, kw_only=True):
    """A profile, the models that it applies to, and what it was chosen by."""

    profile: str
    by: ProfileBy
    models: list[str]


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """An upstream with its models, prices and profiles."""

    view: UpstreamView
    place: int | None
    """From 1, among the upstreams that can be moved."""

    last: bool
    models: list[Served]
    profiles: list[Detected]
    resting: int
    """The number of its keys that rest."""

    asked: list[str]
    """Those of its keys, masked, that requests were sent with."""

    unasked: str
    """What is said of the others."""

    hides: list[str]
    """The upstreams after it that are asked only when it fails, as it takes every model."""


class UpstreamPages(Pages):
    """Upstreams, prices and rewrites, for admins."""

    guards = (admin_only,)

    @get("/admin/upstreams")
    async def show_all(
        self, request: UserRequest, sidecar: NamedDependency[Sidecar]
    ) -> Response[str]:
        """Show every upstream in the order in which requests try them."""
        return page(
            request,
            "admin/upstreams.html",
            cards=_cards(sidecar),
            listings=sidecar.listings(),
            lessons=[LessonView.of(lesson) for lesson in read_lessons(sidecar.store)],
            config_path=sidecar.snapshot.config_path,
            usd=dollars,
        )

    @get("/admin/upstreams/new")
    async def show_new(
        self, request: UserRequest, sidecar: NamedDependency[Sidecar]
    ) -> Response[str]:
        """Show the form for a new upstream."""
        return _form(request, sidecar, UpstreamBody(name="", base_url=""))

    @get("/admin/upstreams/{upstream_id:str}")
    async def show(
        self, request: UserRequest, sidecar: NamedDependency[Sidecar], upstream_id: UpstreamId
    ) -> Response[str]:
        """Show the form to edit an upstream, read-only for a provisioned one."""
        return _form(request, sidecar, view(sidecar, upstream_id))

    @get("/admin/upstreams/prices")
    async def show_prices(
        self, request: UserRequest, sidecar: NamedDependency[Sidecar], cursor: Cursor = None
    ) -> Response[str]:
        """Show the prices set here and those that providers publish."""
        after = place_in(cursor, int) or 0
        own = page_of(
            list_set_prices(sidecar.store, after=after, limit=_PER_PAGE + 1),
            _PER_PAGE,
            lambda row: row.id,
        )
        return page(
            request,
            "admin/upstreams_prices.html",
            own=[PriceView.own(row) for row in own.items],
            next=own.next,
            cursor=cursor,
            listed=[
                (price, _is_replaced(sidecar, price))
                for price in published(sidecar.snapshot.upstreams)
            ],
            as_of=list_prices_day(),
            today=_today(sidecar),
            usd=dollars,
        )

    @get("/admin/upstreams/prices/form")
    async def show_price(
        self,
        request: UserRequest,
        sidecar: NamedDependency[Sidecar],
        price_id: SomeId = None,
        upstream: SomeText = None,
        model: SomeText = None,
    ) -> Response[str]:
        """Show the form for a price in the drawer.

        It edits a price, or sets a new one starting from the one in force.
        """
        price: PriceView | dict[str, Any] = _draft(sidecar, upstream or "", model or "")
        if price_id:
            price = _own_price(sidecar, price_id)
        return page(
            request,
            "admin/upstreams_price.html",
            price=price,
            upstreams=[each.name for each in sidecar.snapshot.upstreams],
            models=_models_there(sidecar),
        )

    @get("/admin/rewrites")
    async def show_rewrites(
        self, request: UserRequest, sidecar: NamedDependency[Sidecar], model: ModelQuery = ""
    ) -> Response[str]:
        """Show every rewrite, and where a model would go."""
        model = model.strip()
        routes = None
        if model:
            routes = try_out(sidecar, model)
        return page(
            request,
            "admin/rewrites.html",
            upstreams=views(sidecar),
            asked=model,
            tried=routes,
            known=known_models(sidecar.snapshot.upstreams, sidecar.listed_models())[
                :_MAX_SUGGESTED
            ],
        )


def dollars(micros: int) -> str:
    """Write a price to the last digit, like `$0.435`."""
    return f"${plain_dollars(micros)}"


def _form(
    request: UserRequest, sidecar: Sidecar, shown: UpstreamView | UpstreamBody
) -> Response[str]:
    return page(
        request,
        "admin/upstreams_form.html",
        one=shown,
        stored=isinstance(shown, UpstreamView),
        presets=presets(),
        profiles={name: name for name in sidecar.snapshot.known_profiles.names},
        efforts=EFFORTS,
        listed=_listed(sidecar, shown),
        config_path=sidecar.snapshot.config_path,
        private_allowed=sidecar.snapshot.server.allow_private_upstreams or is_local(request),
    )


def _listed(sidecar: Sidecar, shown: UpstreamView | UpstreamBody) -> tuple[str, ...]:
    """Return the models that a stored upstream lists."""
    listing = sidecar.listings().get(shown.name)
    return listing.models if listing and isinstance(shown, UpstreamView) else ()


def _cards(sidecar: Sidecar) -> list[Card]:
    upstreams = views(sidecar)
    movable = [each.id for each in upstreams if not each.provisioned]
    places = {upstream_id: place for place, upstream_id in enumerate(movable, 1)}
    asked, whole = asked_keys(sidecar.store)
    unasked = "never asked" if whole else "not asked lately"
    return [
        _card(
            sidecar,
            each,
            place=places.get(each.id),
            last=movable[-1:] == [each.id],
            asked=[key.key for key in each.keys if (each.name, key.key[1:]) in asked],
            unasked=unasked,
            hides=_hidden_by(each, upstreams[at:]),
        )
        for at, each in enumerate(upstreams, 1)
    ]


def _hidden_by(one: UpstreamView, after: list[UpstreamView]) -> list[str]:
    if one.models or not one.active:
        return []
    return [each.name for each in after if each.active]


def _card(sidecar: Sidecar, shown: UpstreamView, **told: Any) -> Card:
    upstream = Upstream(
        name=shown.name, base_url=shown.base_url, api=shown.api, profile=shown.profile
    )
    targets = [rewrite.to for rewrite in shown.model_rewrites if rewrite.to]
    names = list(dict.fromkeys([*shown.models, *targets]))
    return Card(
        view=shown,
        models=[Served(name=name, price=_price(sidecar, upstream, name)) for name in names],
        profiles=_profiles(sidecar, upstream, names),
        resting=sum(key.resting_until is not None for key in shown.keys),
        **told,
    )


def _profiles(sidecar: Sidecar, upstream: Upstream, models: list[str]) -> list[Detected]:
    """Group the models by profile; without models, use the one for any name."""
    groups: dict[tuple[str, ProfileBy], list[str]] = {}
    for model in models or [""]:
        profile, by = sidecar.snapshot.decided_profile(upstream, model)
        groups.setdefault((profile.name, by), []).append(model)
    return [Detected(profile=name, by=by, models=served) for (name, by), served in groups.items()]


# -- prices ----------------------------------------------------------------------------------------


def _price(sidecar: Sidecar, upstream: Upstream, model: str) -> Price | None:
    return find_price(
        sidecar.store, upstream=upstream.name, host=upstream.host, model=model, day=_today(sidecar)
    )


def _today(sidecar: Sidecar) -> int:
    return day_of(sidecar.clock.now_ms())


def _is_replaced(sidecar: Sidecar, listed: PriceView) -> bool:
    """Whether a price set here is in force today instead."""
    own = find_price(
        sidecar.store, upstream=listed.upstream, host="", model=listed.model, day=_today(sidecar)
    )
    return own is not None


def _models_there(sidecar: Sidecar) -> list[str]:
    """List the models by their names at the upstreams, as far as they are known."""
    names: list[str] = []
    for upstream in sidecar.snapshot.upstreams:
        names += upstream.models
        names += (rewrite.to for rewrite in upstream.model_rewrites if rewrite.to)
    for listing in sidecar.listings().values():
        names += listing.models
    return list(dict.fromkeys(names))[:_MAX_SUGGESTED]


def _own_price(sidecar: Sidecar, price_id: int) -> PriceView:
    rows = list_set_prices(sidecar.store, after=price_id - 1, limit=1)
    if not rows or rows[0].id != price_id:
        raise NotFoundException("There is no such price.")
    return PriceView.own(rows[0])


def _draft(sidecar: Sidecar, name: str, model: str) -> dict[str, Any]:
    """Start a new price from the one in force, if there is one."""
    draft = {"id": None, "upstream": name, "model": model, "from_day": _today(sidecar)}
    draft |= dict.fromkeys(Price.__struct_fields__)
    for upstream in sidecar.snapshot.upstreams:
        if upstream.name == name and (price := _price(sidecar, upstream, model)):
            draft |= msgspec.structs.asdict(price)
    return draft
