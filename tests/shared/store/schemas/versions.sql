CREATE TABLE versions (
    topic TEXT NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO versions (topic, version) VALUES ('accounts', 3);
INSERT INTO _sqlite_migrations VALUES (13, 'thinkback', 'versions', '2026-11-30 23:30:00.000000+00:00');
