"""What each of several data planes has of what is configured for all of them together."""

from msgspec.structs import replace

from shared.config.schema import Snapshot

__all__ = ("share_of",)


def share_of(snapshot: Snapshot, workers: int) -> Snapshot:
    """The configuration of one of so many: its part of the connections that one address or
    network may have, of the memory for what is coming, and of that for reasoning.

    The kernel deals connections out as they come, so that a part may be full before the whole is;
    never more than the whole and one each is let in. Limits of users and keys are in the database.
    """
    if workers == 1:
        return snapshot
    server, recall = snapshot.server, snapshot.recall
    return replace(
        snapshot,
        server=replace(
            server,
            max_connections_per_address=_part(server.max_connections_per_address, workers),
            max_connections_per_network=_part(server.max_connections_per_network, workers),
            max_waiting_mib=_part(server.max_waiting_mib, workers),
        ),
        recall=replace(recall, memory_mib=_part(recall.memory_mib, workers)),
    )


def _part(whole: int, workers: int) -> int:
    return -(-whole // workers)
