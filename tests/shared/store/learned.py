"""Rows of a table that has no say in anything, for tests of how rows are written."""

from shared.store.engine import Statement

__all__ = ("COUNT", "ENDPOINTS", "learn", "refused")

COUNT = "SELECT count(*) FROM learned"
ENDPOINTS = "SELECT endpoint FROM learned ORDER BY rowid"


def learn(endpoint: str, value: str = "x") -> Statement:
    sql = "INSERT INTO learned (endpoint, value, learned_at) VALUES (:endpoint, :value, 1)"
    return sql, {"endpoint": endpoint, "value": value}


def refused(secret: str = "") -> Statement:
    return "INSERT INTO learned (endpoint, value, learned_at) VALUES ('x', 'x', :when)", {
        "when": secret
    }
