CREATE TABLE upstreams (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE COLLATE NOCASE,
    position INTEGER NOT NULL,
    body TEXT NOT NULL,
    sealed BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE TABLE settings (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE ended_sessions (
    jti TEXT NOT NULL PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE resting_keys (
    upstream TEXT NOT NULL,
    key_digest TEXT NOT NULL,
    suffix TEXT NOT NULL,
    until INTEGER NOT NULL,
    why TEXT NOT NULL,
    PRIMARY KEY (upstream, key_digest)
) STRICT, WITHOUT ROWID;
INSERT INTO _sqlite_migrations VALUES (6, 'thinkback', 'administration', '2026-11-20 12:18:57.378015+00:00');
INSERT INTO upstreams VALUES (1, 'deepseek', 1, '{"base_url":"https://api.deepseek.com"}', X'01', 1795000000000, 1795000000000);
INSERT INTO settings VALUES ('audit.mode', '"off"', 1795000000000);
INSERT INTO ended_sessions VALUES ('0123456789abcdef', 1795000000);
INSERT INTO resting_keys VALUES ('deepseek', '00ff', 'wxyz', 1795000060000, '429');
