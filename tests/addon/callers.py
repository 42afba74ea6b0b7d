"""Who calls the data plane in these tests: a user, a key of the user's, and both as a principal."""

from typing import Any

from shared.model import Principal, User, VirtualKey

__all__ = ("principal", "user", "virtual_key")


def user(**members: Any) -> User:
    """`ada`, with id 7, unless the members say otherwise."""
    usual = {
        "id": 7,
        "username": "ada",
        "role": "user",
        "disabled": False,
        "epoch": 0,
        "created_at": 0,
    }
    return User(**{"must_change_password": False} | usual | members)


def virtual_key(**members: Any) -> VirtualKey:
    """Her key `laptop`, with id 3."""
    usual = {
        "id": 3,
        "user_id": 7,
        "name": "laptop",
        "suffix": "abcd",
        "scope": "inference",
        "created_at": 0,
    }
    return VirtualKey(**{"expires_at": None, "revoked_at": None} | usual | members)


def principal(owner: User, key: VirtualKey | None = None) -> Principal:
    """The user as caller."""
    suffix = key.suffix if key else "abcd"
    return Principal(
        id=f"user:{owner.id}", name=owner.username, key_suffix=suffix, user=owner, key=key
    )
