from typing import Any

from shared.model import VirtualKey
from shared.store.engine import Engine
from shared.store.virtual_keys import insert_key


def create_key(engine: Engine, **fields: Any) -> VirtualKey:
    """Add a key to an account, in a transaction of its own."""
    return engine.transact(lambda transaction: insert_key(transaction, **fields), alone=())
