"""The bodies of the routes over prices."""

from typing import Annotated, Literal, Self

import msgspec

from shared.pricing import Price
from shared.store.prices import SetPrice

__all__ = ("PriceBody", "PriceView")

Micros = Annotated[
    int,
    msgspec.Meta(
        ge=0,
        le=10**12,
        description="Millionths of a US dollar per million tokens: 435000 is $0.435.",
    ),
]
Day = Annotated[int, msgspec.Meta(ge=1970_01_01, le=9999_12_31, description="YYYYMMDD, of UTC.")]


class PriceBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A price to set."""

    upstream: Annotated[
        str,
        msgspec.Meta(max_length=256, description="An upstream's name; empty: any upstream."),
    ] = ""
    model: Annotated[
        str, msgspec.Meta(min_length=1, max_length=256, description="Its name at the upstream.")
    ]
    from_day: Day
    input_micros: Micros
    output_micros: Micros
    cached_micros: Micros | None = None
    """For prompt tokens from the upstream's cache; null: same as input."""

    @property
    def price(self) -> Price:
        return Price(self.input_micros, self.output_micros, self.cached_micros)


class PriceView(msgspec.Struct, frozen=True, kw_only=True):
    """A price that an admin set (`own`), or that the provider published (`list`)."""

    source: Literal["own", "list"]
    id: int | None
    upstream: str
    model: str
    from_day: int
    """Of a published price: the day it was looked up."""

    input_micros: int
    output_micros: int
    cached_micros: int | None

    @classmethod
    def own(cls, row: SetPrice) -> Self:
        return cls(
            source="own",
            id=row.id,
            upstream=row.upstream,
            model=row.model,
            from_day=row.from_day,
            **msgspec.structs.asdict(row.price),
        )

    @classmethod
    def published(cls, upstream: str, model: str, price: Price, as_of: int) -> Self:
        return cls(
            source="list",
            id=None,
            upstream=upstream,
            model=model,
            from_day=as_of,
            **msgspec.structs.asdict(price),
        )
