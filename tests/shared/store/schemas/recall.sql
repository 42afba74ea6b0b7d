CREATE TABLE recall_turns (
    token TEXT NOT NULL PRIMARY KEY,
    namespace BLOB NOT NULL,
    parent TEXT,
    complete INTEGER NOT NULL CHECK (complete IN (0, 1)),
    body BLOB NOT NULL,
    bytes INTEGER NOT NULL CHECK (bytes >= 0),
    created_at INTEGER NOT NULL,
    used_at INTEGER NOT NULL
) STRICT;
CREATE INDEX recall_turns_used_at ON recall_turns (used_at);
CREATE TABLE recall_keys (
    key BLOB NOT NULL,
    token TEXT NOT NULL REFERENCES recall_turns (token) ON DELETE CASCADE,
    PRIMARY KEY (key, token)
) STRICT, WITHOUT ROWID;
CREATE INDEX recall_keys_token ON recall_keys (token);
CREATE TABLE recall_sent (
    key BLOB NOT NULL PRIMARY KEY,
    value TEXT NOT NULL,
    used_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX recall_sent_used_at ON recall_sent (used_at);
INSERT INTO _sqlite_migrations VALUES (2, 'thinkback', 'recall', '2026-11-20 09:35:00.693734+00:00');
INSERT INTO recall_turns VALUES ('turn', X'01', NULL, 1, X'7B7D', 2, 1000, 1000);
INSERT INTO recall_keys VALUES (X'02', 'turn');
INSERT INTO recall_sent VALUES (X'03', 'sent', 1000);
