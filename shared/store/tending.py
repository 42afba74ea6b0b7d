"""Work that one node at a time does for all: the verbs over the table `tended`."""

from shared.store.engine import Transaction

__all__ = ("claim",)


def claim(transaction: Transaction, task: str, node: str, *, every_ms: int, now_ms: int) -> bool:
    """Whether the node is to do the task now, which then is its own until nothing of it was done
    for `every_ms`; to be alone in `tending`.
    """
    sql = """
        INSERT INTO tended (task, node, at) VALUES (:task, :node, :now)
        ON CONFLICT (task) DO UPDATE SET node = excluded.node, at = excluded.at
        WHERE tended.node = excluded.node OR tended.at <= :free RETURNING task
    """
    params = {"task": task, "node": node, "now": now_ms, "free": now_ms - every_ms}
    return bool(transaction.run(sql, params))
