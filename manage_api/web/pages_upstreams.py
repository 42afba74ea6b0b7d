"""`/admin/upstreams`, its prices, and `/admin/rewrites`: where requests go, and as what."""

from typing import Annotated, Any

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import PathParameter, QueryParameter

from manage_api.access.callers import UserRequest
from manage_api.access.guards import admin_only
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
from shared.store.prices import find_price, list_set_prices

__all__ = ("UpstreamPages",)

_PER_PAGE = 100
_MOST_KNOWN = 50

UpstreamId = Annotated[str, PathParameter(max_length=1024)]
AskedModel = Annotated[str, QueryParameter(max_length=1024)]


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """A model by its name at the upstream."""

    name: str
    price: Price | None


class Detected(msgspec.Struct, frozen=True, kw_only=True):
    """A profile, and what it was chosen by for which of the models."""

    profile: str
    by: ProfileBy
    models: list[str]


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """An upstream and what follows from what it is."""

    view: UpstreamView
    place: int | None
    """From 1, among those that can be moved."""

    last: bool
    models: list[Served]
    profiles: list[Detected]
    resting: int
    """How many of its keys rest."""


class UpstreamPages(Pages):
    """Upstreams, prices and rewrites, for admins."""

    guards = (admin_only,)

    @get("/admin/upstreams")
    async def show_all(
        self, request: UserRequest, sidecar: NamedDependency[Sidecar]
    ) -> Response[str]:
        """Every upstream in the order in which requests try them."""
        return page(
            request,
            "admin/upstreams.html",
            cards=_cards(sidecar),
            config_path=sidecar.snapshot.config_path,
            usd=dollars,
        )

    @get("/admin/upstreams/new")
    async def show_new(
        self, request: UserRequest, sidecar: NamedDependency[Sidecar]
    ) -> Response[str]:
        """The form for another upstream."""
        return _form(request, sidecar, UpstreamBody(name="", base_url=""))

    @get("/admin/upstreams/{upstream_id:str}")
    async def show(
        self, request: UserRequest, sidecar: NamedDependency[Sidecar], upstream_id: UpstreamId
    ) -> Response[str]:
        """The form to change an upstream; of a provisioned one, to look at."""
        return _form(request, sidecar, view(sidecar, upstream_id))

    @get("/admin/upstreams/prices")
    async def show_prices(
        self, request: UserRequest, sidecar: NamedDependency[Sidecar], cursor: Cursor = None
    ) -> Response[str]:
        """The prices that were set, and those that providers publish."""
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
        """The form for a price, for the drawer: to change one, or to set one beginning with
        what holds now.
        """
        price = (
            _set_price(sidecar, price_id)
            if price_id
            else _draft(sidecar, upstream or "", model or "")
        )
        names = [each.name for each in sidecar.snapshot.upstreams]
        return page(request, "admin/upstreams_price.html", price=price, upstreams=names)

    @get("/admin/rewrites")
    async def show_rewrites(
        self, request: UserRequest, sidecar: NamedDependency[Sidecar], model: AskedModel = ""
    ) -> Response[str]:
        """Every rewrite, and what becomes of a model."""
        asked = model.strip()
        return page(
            request,
            "admin/rewrites.html",
            upstreams=views(sidecar),
            asked=asked,
            tried=try_out(sidecar, asked) if asked else None,
            known=known_models(sidecar.snapshot.upstreams)[:_MOST_KNOWN],
        )


def dollars(micros: int) -> str:
    """Millionths as `$0.435`: prices are told to the last digit."""
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
        config_path=sidecar.snapshot.config_path,
        private_allowed=sidecar.snapshot.server.allow_private_upstreams,
    )


def _cards(sidecar: Sidecar) -> list[Card]:
    found = views(sidecar)
    movable = [each.id for each in found if not each.provisioned]
    places = {upstream_id: place for place, upstream_id in enumerate(movable, 1)}
    return [
        _card(sidecar, each, places.get(each.id), last=movable[-1:] == [each.id]) for each in found
    ]


def _card(sidecar: Sidecar, shown: UpstreamView, place: int | None, *, last: bool) -> Card:
    upstream = Upstream(
        name=shown.name, base_url=shown.base_url, api=shown.api, profile=shown.profile
    )
    names = list(
        dict.fromkeys(
            [*shown.models, *(rewrite.to for rewrite in shown.model_rewrites if rewrite.to)]
        )
    )
    return Card(
        view=shown,
        place=place,
        last=last,
        models=[Served(name=name, price=_price(sidecar, upstream, name)) for name in names],
        profiles=_profiles(sidecar, upstream, names),
        resting=sum(key.resting_until is not None for key in shown.keys),
    )


def _profiles(sidecar: Sidecar, upstream: Upstream, models: list[str]) -> list[Detected]:
    """The profiles in use; without models the one for a model of any name."""
    found: dict[tuple[str, ProfileBy], list[str]] = {}
    for model in models or [""]:
        profile, by = sidecar.snapshot.known_profiles.decide(
            name=upstream.profile, api=upstream.api, host=upstream.host, model=model
        )
        found.setdefault((profile.name, by), []).append(model)
    return [Detected(profile=name, by=by, models=served) for (name, by), served in found.items()]


# -- prices ----------------------------------------------------------------------------------------


def _price(sidecar: Sidecar, upstream: Upstream, model: str) -> Price | None:
    return find_price(
        sidecar.store, upstream=upstream.name, host=upstream.host, model=model, day=_today(sidecar)
    )


def _today(sidecar: Sidecar) -> int:
    return day_of(sidecar.clock.now_ms())


def _is_replaced(sidecar: Sidecar, listed: PriceView) -> bool:
    """Whether a price that was set holds today instead."""
    held = find_price(
        sidecar.store, upstream=listed.upstream, host="", model=listed.model, day=_today(sidecar)
    )
    return held is not None


def _set_price(sidecar: Sidecar, price_id: int) -> PriceView:
    found = list_set_prices(sidecar.store, after=price_id - 1, limit=1)
    if not found or found[0].id != price_id:
        raise NotFoundException("There is no such price.")
    return PriceView.own(found[0])


def _draft(sidecar: Sidecar, name: str, model: str) -> dict[str, Any]:
    """What a new price begins with: no id, and the price that holds now where there is one."""
    known = next((each for each in sidecar.snapshot.upstreams if each.name == name), None)
    held = _price(sidecar, known, model) if known and model else None
    unknown = dict.fromkeys(Price.__struct_fields__)
    price = msgspec.structs.asdict(held) if held else unknown
    return {"id": None, "upstream": name, "model": model, "from_day": _today(sidecar), **price}
