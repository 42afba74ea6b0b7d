"""How often each topic has been changed, so that a program can tell by one read whether what it
holds in memory is still so: the verbs over the table `versions`.

A topic's number goes up in the transaction that changes it.
"""

from typing import Literal

from shared.store.engine import Engine, Statement, Transaction, Work

__all__ = ("READ_VERSIONS", "Topic", "change_topic", "changed")

type Topic = Literal["configuration", "accounts", "resting", "learned"]
"""What programs may hold in memory.

`configuration`: settings, upstreams, prices and what upstreams list. `accounts`: users, virtual
keys, and sessions that were ended. `resting`: upstream keys that rest. `learned`: what upstreams
have taught.
"""

READ_VERSIONS = "SELECT topic, version FROM versions"


def changed(topic: Topic) -> Statement:
    """Let every program know that what is committed together with this changes the topic."""
    sql = """
        INSERT INTO versions (topic, version) VALUES (:topic, 1)
        ON CONFLICT (topic) DO UPDATE SET version = versions.version + 1
    """
    return sql, {"topic": topic}


def change_topic[T](engine: Engine, topic: Topic, work: Work[T]) -> T:
    """Run `work`, which changes the topic, in one transaction, alone among those of management;
    blocks.
    """

    def whole(transaction: Transaction) -> T:
        result = work(transaction)
        transaction.run(*changed(topic))
        return result

    return engine.transact(whole, alone=("management",))
