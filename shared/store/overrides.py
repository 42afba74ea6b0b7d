"""The layer of the configuration that is in the database."""

from typing import Any

import msgspec

from shared.config.layers import upstream_key
from shared.config.overrides import Overrides
from shared.errors import Problem
from shared.store.engine import Engine, Row
from shared.store.settings import setting_rows
from shared.store.upstreams import list_upstreams

__all__ = ("read_overrides",)


def read_overrides(engine: Engine, secret: bytes) -> Overrides:
    """Read the overrides; `secret` opens the sealed keys of upstreams.

    Costs two small queries while nothing changes.
    """
    settings, unreadable = _settings(setting_rows(engine))
    rows = list_upstreams(engine, secret)
    unfit = [
        Problem(upstream_key(row.name), row.problem, source="database")
        for row in rows
        if row.problem
    ]
    return Overrides(
        settings=settings,
        upstreams=tuple(row.upstream for row in rows if row.upstream),
        problems=(*unreadable, *unfit),
    )


def _settings(rows: list[Row]) -> tuple[dict[str, Any], list[Problem]]:
    settings, problems = {}, []
    for name, text in rows:
        try:
            settings[name] = msgspec.json.decode(text)
        except msgspec.DecodeError:
            problems.append(Problem(name, "can't be read", source="database"))
    return settings, problems
