"""Callers whom an admin's route refuses."""

from shared.store.accounts import set_disabled
from shared.store.engine import Engine
from tests.manage_api.world import People, bearer

__all__ = ("strangers",)


def strangers(people: People, store: Engine) -> dict[str, tuple[dict[str, str], int]]:
    """Headers, and the status they get."""
    former = people.add("former", "admin")
    former_key = people.key(former, "admin")
    boss = people.add("boss", "admin")
    set_disabled(store, former.user.id, True)
    return {
        "nobody": ({}, 401),
        "a user": (bearer(people.add("someone").key), 403),
        "an admin's key for inference": (bearer(boss.key), 403),
        "an admin who was disabled": (bearer(former_key), 401),
    }
