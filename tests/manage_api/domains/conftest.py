"""The books that the routes read."""

import pytest

from shared.store.engine import Engine
from tests.manage_api.books import Books
from tests.manage_api.world import ManualClock, People, Person


@pytest.fixture
def books(store: Engine, clock: ManualClock) -> Books:
    return Books(store, clock)


@pytest.fixture
def admin(people: People, root: Person) -> str:
    """A key of root's for administration."""
    return people.key(root, "admin")
