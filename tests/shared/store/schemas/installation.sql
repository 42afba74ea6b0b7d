CREATE TABLE installation (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO installation (name, value) VALUES ('secret', '0011223344556677');
INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('thinkback', 'installation', '2026-12-01 00:25:00');
