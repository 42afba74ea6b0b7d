"""How much remembered reasoning a machine has room for."""

import shutil

from shared.store import is_postgres
from shared.store.sqlite import database_path

__all__ = ("room_for_turns",)

_SHARE = 10
_GIB = 1024**3
_LEAST, _MOST = _GIB // 2, 20 * _GIB
"""What a few people write in a month, and a thousand."""


def room_for_turns(database_url: str) -> int:
    """The bytes that turns may take where no setting says so: a tenth of the space that is
    free on the database's disk or taken by the database, from 512 MiB to 20 GiB.

    With its own space in the sum, a growing database doesn't lower its bound.
    """
    if is_postgres(database_url):
        return _MOST  # the disk is another machine's
    database = database_path(database_url)
    space = shutil.disk_usage(database.parent).free + database.stat().st_size
    return min(max(space // _SHARE, _LEAST), _MOST)
