CREATE TABLE upstream_models (
    upstream TEXT NOT NULL PRIMARY KEY,
    endpoint TEXT NOT NULL,
    asked_at INTEGER NOT NULL,
    listed_at INTEGER,
    models TEXT NOT NULL,
    fault TEXT NOT NULL,
    status INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO upstream_models (upstream, endpoint, asked_at, listed_at, models, fault, status)
VALUES ('deepseek', 'https://api.deepseek.com/v1/chat/completions', 8, 7, '["deepseek-chat"]', '', 0);
INSERT INTO _sqlite_migrations VALUES (12, 'thinkback', 'upstream_models', '2026-11-30 17:00:00.000000+00:00');
