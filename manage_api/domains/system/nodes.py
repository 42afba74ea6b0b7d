"""Says which nodes on one database are not set up like the others."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing

from shared.clock import SystemClock
from shared.config.schema import Snapshot
from shared.store import open_engine
from shared.store.engine import Engine
from shared.store.nodes import LivingNode, living_nodes
from shared.store.sqlite import database_path

__all__ = ("differing", "differing_in")


def differing(store: Engine) -> list[str]:
    """Name the living nodes that have another configuration or secret than most, as sentences."""
    nodes = living_nodes(store, store.now_ms())
    secrets = _unlike_most(nodes, lambda node: node.secret)
    # Under another secret the same settings have another fingerprint.
    others = [node for node in nodes if node not in secrets]
    settings = _unlike_most(others, lambda node: node.configuration)
    return [
        *(
            f"The node {_name(node)} has another secret than the others: it can't read what they "
            "seal, nor their sessions. Give all nodes the same secret."
            for node in secrets
        ),
        *(
            f"The node {_name(node)} has other settings in its file or environment than the "
            "others: give all nodes the same, and restart it."
            for node in settings
        ),
    ]


def differing_in(snapshot: Snapshot) -> list[str]:
    """The same for the configured database, if there is one."""
    url = snapshot.database_url
    if url.startswith("sqlite:") and not database_path(url).exists():
        return []
    with closing(open_engine(url, SystemClock())) as store:
        return differing(store)


def _unlike_most(
    nodes: Sequence[LivingNode], fingerprint: Callable[[LivingNode], str]
) -> list[LivingNode]:
    """Those with another fingerprint than the most have, or than the one that lives longest."""
    told = sorted(filter(fingerprint, nodes), key=lambda node: node.started_at)
    usual = Counter(map(fingerprint, told)).most_common(1)
    return [node for node in told if fingerprint(node) != usual[0][0]]


def _name(node: LivingNode) -> str:
    return f"{node.node} on {node.host}"
