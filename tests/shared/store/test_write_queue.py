"""What comes first is not held up by what nobody waits for, which waits for more of its kind."""

from shared.store.write_queue import QUEUE_BYTES, WORK_BYTES, Write, WriteQueue

OTHER = Write([("INSERT", {})])


def test_what_comes_first_is_taken_without_the_others() -> None:
    queue, first = WriteQueue(), Write([("INSERT", {})], first=True)
    queue.put(OTHER)
    queue.put(first)
    assert queue.take() == [first]
    queue.finish([first])
    assert queue.take() == [OTHER]


def test_the_others_are_taken_together() -> None:
    queue, more = WriteQueue(), Write([("INSERT", {})])
    queue.put(OTHER)
    queue.put(more)
    assert queue.take() == [OTHER, more]


def test_a_queue_that_is_closed_gives_all_that_is_left_at_once_and_then_nothing() -> None:
    queue, first = WriteQueue(), Write([("INSERT", {})], first=True)
    queue.put(OTHER)
    queue.put(first)
    queue.close()
    assert queue.take() == [first, OTHER]
    assert queue.take() == []


def test_work_takes_room_as_statements_do() -> None:
    queue, taken = WriteQueue(), 0
    while queue.put(Write([lambda transaction: transaction.run("SELECT 1")])):
        taken += 1
    assert QUEUE_BYTES / WORK_BYTES <= taken <= QUEUE_BYTES / WORK_BYTES + 1
