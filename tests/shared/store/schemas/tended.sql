CREATE TABLE tended (
    task TEXT NOT NULL PRIMARY KEY,
    node TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO tended (task, node, at) VALUES ('old rows', '0011223344556677', 9);
INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('thinkback', 'tended', '2026-11-30 23:59:00');
