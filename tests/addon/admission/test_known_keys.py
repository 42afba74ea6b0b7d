"""A key is looked up once as long as nothing changes; a new one works at once."""

import pytest

from addon.admission import known_keys
from addon.admission.known_keys import KnownKeys
from shared.model import User, VirtualKey
from tests.addon.callers import user, virtual_key


class Table:
    """The keys that there are; notes which are looked up."""

    def __init__(self) -> None:
        self.keys = {"one": (virtual_key(), user())}
        self.version = 1
        self.asked: list[str] = []
        self.known = KnownKeys(self.find, lambda: self.version)

    def find(self, digest: str) -> tuple[VirtualKey, User] | None:
        self.asked.append(digest)
        return self.keys.get(digest)


def test_a_key_is_looked_up_again_when_something_has_changed() -> None:
    table = Table()
    assert table.known.find("one") == table.known.find("one") == table.keys["one"]
    assert table.asked == ["one"]
    del table.keys["one"]
    table.version = 2
    assert table.known.find("one") is None


def test_a_key_that_is_made_now_works_now() -> None:
    table = Table()
    assert table.known.find("two") is None
    table.keys["two"] = table.keys["one"]
    assert table.known.find("two") is not None


def test_what_was_read_before_a_change_is_not_kept_after_it() -> None:
    table = Table()

    def find(digest: str) -> tuple[VirtualKey, User] | None:
        found = table.find(digest)
        if table.version == 1:  # it changes meanwhile, and another request notices
            table.version = 2
            known.find("other")
        return found

    known = KnownKeys(find, lambda: table.version)
    known.find("one")
    known.find("one")
    assert table.asked == ["one", "other", "one"]


def test_not_all_keys_of_all_times_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_keys, "MOST", 2)
    table = Table()
    table.keys |= dict.fromkeys(("two", "three"), table.keys["one"])
    for digest in ("one", "two", "three", "one"):
        table.known.find(digest)
    assert table.asked == ["one", "two", "three", "one"]
