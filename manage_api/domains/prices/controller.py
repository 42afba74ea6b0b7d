"""`/api/admin/prices`."""

import asyncio
from datetime import date

from litestar import Controller, delete, get, post, put
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import JSONBody

from manage_api.access.guards import admin_only
from manage_api.domains.prices.schemas import PriceBody, PriceView
from manage_api.domains.prices.service import published
from manage_api.paging import Cursor, Limit, Page, RowId, page_of, place_in
from manage_api.problems import Conflict, conflict_problem, invalid
from manage_api.sidecar import Sidecar
from shared.store.prices import (
    PriceTaken,
    SetPrice,
    add_price,
    delete_price,
    list_set_prices,
    replace_price,
)

__all__ = ("PricesController",)


class PricesController(Controller):
    """Prices, for admins; past usage keeps its cost."""

    path = "/api/admin/prices"
    guards = (admin_only,)
    exception_handlers = {PriceTaken: conflict_problem}

    @get()
    async def show_all(
        self, sidecar: NamedDependency[Sidecar], cursor: Cursor = None, limit: Limit = 50
    ) -> Page[PriceView]:
        """List the prices set here, then those published for the upstreams' models."""
        after = place_in(cursor, int) or 0
        page = page_of(
            list_set_prices(sidecar.store, after=after, limit=limit + 1), limit, lambda row: row.id
        )
        views = [*map(PriceView.own, page.items)]
        if page.next is None:
            views += published(sidecar.snapshot.upstreams)
        return Page(views, page.next)

    @post(raises=[Conflict])
    async def add(self, data: JSONBody[PriceBody], sidecar: NamedDependency[Sidecar]) -> PriceView:
        """Set a price that applies from a day on."""
        _check(sidecar, data)
        price = await asyncio.to_thread(
            add_price,
            sidecar.store,
            upstream=data.upstream,
            model=data.model,
            from_day=data.from_day,
            price=data.price,
        )
        return PriceView.own(price)

    @put("/{price_id:int}", raises=[Conflict])
    async def replace(
        self, price_id: RowId, data: JSONBody[PriceBody], sidecar: NamedDependency[Sidecar]
    ) -> PriceView:
        """Replace a price."""
        _check(sidecar, data)
        row = SetPrice(
            id=price_id,
            upstream=data.upstream,
            model=data.model,
            from_day=data.from_day,
            price=data.price,
        )
        if not await asyncio.to_thread(replace_price, sidecar.store, row):
            raise _missing()
        return PriceView.own(row)

    @delete("/{price_id:int}")
    async def remove(self, price_id: RowId, sidecar: NamedDependency[Sidecar]) -> None:
        """Delete a price: the previous or the published one applies from then on."""
        if not await asyncio.to_thread(delete_price, sidecar.store, price_id):
            raise _missing()


def _check(sidecar: Sidecar, body: PriceBody) -> None:
    names = {upstream.name for upstream in sidecar.snapshot.upstreams}
    if body.upstream and body.upstream not in names:
        raise invalid(
            "upstream", f"There is no upstream “{body.upstream}”; leave it empty for all."
        )
    try:
        date.fromisoformat(str(body.from_day))
    except ValueError:
        raise invalid("from_day", "Write the day like 20261120.") from None


def _missing() -> NotFoundException:
    return NotFoundException("There is no such price.")
