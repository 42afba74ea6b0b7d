from msgspec.structs import replace

from shared.config.schema import Recall, Server, Snapshot
from shared.config.share import share_of

WHOLE = Snapshot(
    server=Server(
        max_connections_per_address=10, max_connections_per_network=21, max_waiting_mib=90
    ),
    recall=Recall(memory_mib=64),
)


def test_one_alone_has_all_of_it() -> None:
    assert share_of(WHOLE, 1) is WHOLE


def test_each_of_several_has_its_part_rounded_up_and_the_rest_is_the_same() -> None:
    share = share_of(WHOLE, 4)

    server = share.server
    assert (server.max_connections_per_address, server.max_connections_per_network) == (3, 6)
    assert (server.max_waiting_mib, share.recall.memory_mib) == (23, 16)
    assert replace(share, server=WHOLE.server, recall=WHOLE.recall) == WHOLE


def test_a_part_is_never_nothing_and_holds_one_body_at_least() -> None:
    share = share_of(WHOLE, 256)

    assert (share.server.max_connections_per_address, share.recall.memory_mib) == (1, 1)
    assert share.server.waiting_bytes == WHOLE.server.max_body_mib * 1024 * 1024
