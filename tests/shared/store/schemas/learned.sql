CREATE TABLE learned (
    endpoint TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL,
    learned_at INTEGER NOT NULL
) STRICT;
INSERT INTO _sqlite_migrations VALUES (3, 'thinkback', 'learned', '2026-11-20 09:35:00.694008+00:00');
INSERT INTO learned VALUES ('https://api.example/v1', '{}', 1000);
