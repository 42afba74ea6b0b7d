"""Requests that are coming have so much room, in all and of each who sends them."""

from addon.admission.body_room import BodyRoom, Held

MOST, MOST_OF_OWNER = 100, 60


class Request:
    """A request of which bytes come."""

    def __init__(self, room: BodyRoom, owner: str = "user:1") -> None:
        self.freed = 0
        self.held = Held(owner, self._free)
        self._room = room

    def _free(self) -> None:
        self.freed += 1

    def hold(self, size: int) -> bool:
        return self._room.hold(self.held, size, most=MOST, most_of_owner=MOST_OF_OWNER)


def test_one_owner_has_so_much_and_others_theirs() -> None:
    room = BodyRoom()
    first, second, other = Request(room), Request(room), Request(room, "user:2")
    assert first.hold(40)
    assert not second.hold(21)
    assert (first.freed, second.freed) == (0, 1)
    assert (first.held.lost, second.held.lost) == ("", "share")
    assert other.hold(60)
    assert room.total == 100


def test_the_largest_goes_when_there_is_no_room() -> None:
    room = BodyRoom()
    greedy, modest, newcomer = (Request(room, f"user:{n}") for n in range(3))
    assert greedy.hold(60)
    assert modest.hold(38)
    assert newcomer.hold(5)
    assert (greedy.freed, modest.freed, newcomer.freed) == (1, 0, 0)
    assert greedy.held.lost == "room"
    assert not greedy.hold(61)
    assert room.total == 43


def test_whoever_is_the_largest_with_what_comes_goes_itself() -> None:
    room = BodyRoom()
    first, second = Request(room, "user:1"), Request(room, "user:2")
    assert first.hold(50)
    assert not second.hold(51)
    assert (first.freed, second.freed) == (0, 1)


def test_what_was_let_in_makes_room_and_leaves_nothing_behind() -> None:
    room = BodyRoom()
    for _ in range(3):
        one = Request(room)
        assert one.hold(60)
        room.leave(one.held)
        room.leave(one.held)
    assert room.total == 0
    assert not room._held
    assert not room._by_owner
