"""The layer of the configuration that is in the database."""

from typing import Any

import msgspec

from shared.config.layers import upstream_key
from shared.config.overrides import Stored
from shared.errors import Problem
from shared.store.engine import Engine, Row
from shared.store.settings import setting_rows
from shared.store.upstreams import list_upstreams

__all__ = ("read_stored",)


def read_stored(engine: Engine, secret: bytes) -> Stored:
    """What is stored now, for `Watch.lay`; `secret` is what the keys of upstreams are sealed with.

    Costs two small queries while nothing changes.
    """
    settings, unreadable = _settings(setting_rows(engine))
    rows = list_upstreams(engine, secret)
    unfit = [
        Problem(upstream_key(row.name), row.problem, source="database")
        for row in rows
        if row.problem
    ]
    return Stored(
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
            problems.append(Problem(name, "is not readable", source="database"))
    return settings, problems
