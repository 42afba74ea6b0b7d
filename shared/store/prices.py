"""Prices that admins set: the verbs over the table `prices`. Where none fits, the
provider's published price does.
"""

import msgspec

from shared.errors import StoreError
from shared.pricing import Price, list_price
from shared.store.engine import Engine, Params, Row, Transaction
from shared.store.versions import change_topic

__all__ = (
    "PriceTaken",
    "SetPrice",
    "add_price",
    "delete_price",
    "find_price",
    "list_set_prices",
    "replace_price",
)


class PriceTaken(StoreError):
    """This upstream and model have a price from this day on."""


class SetPrice(msgspec.Struct, frozen=True, kw_only=True):
    """A price that an admin set; it holds until the day of the next one."""

    id: int
    upstream: str
    """Empty: wherever the model is served."""

    model: str
    """Its name at the upstream."""

    from_day: int
    """YYYYMMDD, of UTC."""

    price: Price


def find_price(engine: Engine, *, upstream: str, host: str, model: str, day: int) -> Price | None:
    """Return a model's price at an upstream on a day (YYYYMMDD), None if it is unknown.

    A price for the upstream wins over one for any upstream, then a later day over an
    earlier one; the published price comes last.
    """
    rows = engine.read(
        """
        SELECT input_micros, output_micros, cached_micros FROM prices
        WHERE upstream IN (:upstream, '') AND model = :model AND from_day <= :day
        ORDER BY CASE upstream WHEN '' THEN 1 ELSE 0 END, from_day DESC LIMIT 1
        """,
        {"upstream": upstream, "model": model, "day": day},
    )
    return Price(*rows[0]) if rows else list_price(host, model)


def list_set_prices(engine: Engine, *, after: int = 0, limit: int = 100) -> list[SetPrice]:
    """A page of prices by id; pass the last one's id as `after` for the next page."""
    rows = engine.read(
        """
        SELECT id, upstream, model, from_day, input_micros, output_micros, cached_micros
        FROM prices WHERE id > :after ORDER BY id LIMIT :limit
        """,
        {"after": after, "limit": limit},
    )
    return [_price_from(row) for row in rows]


def add_price(
    engine: Engine, *, upstream: str, model: str, from_day: int, price: Price
) -> SetPrice:
    """Set a price; raises PriceTaken when there is one from that day on."""
    sql = """
        INSERT INTO prices (upstream, model, from_day, input_micros, output_micros, cached_micros)
        SELECT :upstream, :model, :from_day, :input_micros, :output_micros, :cached_micros
        WHERE NOT EXISTS (
            SELECT 1 FROM prices
            WHERE upstream = :upstream AND model = :model AND from_day = :from_day
        )
        ON CONFLICT DO NOTHING
        RETURNING id, upstream, model, from_day, input_micros, output_micros, cached_micros
    """
    params = {
        "upstream": upstream,
        "model": model,
        "from_day": from_day,
        **msgspec.structs.asdict(price),
    }
    rows = change_topic(engine, "configuration", lambda work: work.run(sql, params))
    if not rows:
        raise _taken(params)
    return _price_from(rows[0])


def replace_price(engine: Engine, changed: SetPrice) -> bool:
    """Change the price with this id; False when there is none, PriceTaken when another is
    in the way.
    """
    params = msgspec.structs.asdict(changed) | msgspec.structs.asdict(changed.price)
    other = (
        "SELECT 1 FROM prices WHERE upstream = :upstream AND model = :model AND "
        "from_day = :from_day AND id <> :id"
    )
    change = """
        UPDATE prices SET upstream = :upstream, model = :model, from_day = :from_day,
            input_micros = :input_micros, output_micros = :output_micros,
                cached_micros = :cached_micros
        WHERE id = :id RETURNING id
    """

    def work(transaction: Transaction) -> bool:
        if transaction.run(other, params):
            raise _taken(params)
        return bool(transaction.run(change, params))

    return change_topic(engine, "configuration", work)


def delete_price(engine: Engine, price_id: int) -> bool:
    """Forget a price; False when there is none with this id."""
    sql = "DELETE FROM prices WHERE id = :id RETURNING id"
    params = {"id": price_id}
    return bool(change_topic(engine, "configuration", lambda work: work.run(sql, params)))


def _price_from(row: Row) -> SetPrice:
    return SetPrice(
        id=row[0], upstream=row[1], model=row[2], from_day=row[3], price=Price(*row[4:])
    )


def _taken(params: Params) -> PriceTaken:
    where = f"at “{params['upstream']}”" if params["upstream"] else "at any upstream"
    return PriceTaken(
        f"“{params['model']}” {where} has a price from {params['from_day']} on: change that one."
    )
