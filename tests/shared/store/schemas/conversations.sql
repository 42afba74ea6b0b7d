ALTER TABLE ledger ADD COLUMN conversation TEXT NOT NULL DEFAULT '';
CREATE INDEX ledger_conversation ON ledger (conversation, id) WHERE conversation <> '';
CREATE TABLE conversations (
    conversation TEXT NOT NULL PRIMARY KEY,
    latest INTEGER NOT NULL UNIQUE,
    user_id INTEGER NOT NULL,
    username TEXT NOT NULL,
    upstream TEXT NOT NULL,
    model TEXT NOT NULL,
    upstream_model TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    estimated INTEGER NOT NULL,
    unpriced INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL CHECK (prompt_tokens >= 0),
    completion_tokens INTEGER NOT NULL CHECK (completion_tokens >= 0),
    reasoning_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    cost_micros INTEGER NOT NULL,
    restored INTEGER NOT NULL,
    missing INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX conversations_user_id ON conversations (user_id, latest);
INSERT INTO _sqlite_migrations VALUES (8, 'thinkback', 'conversations', '2026-11-20 15:52:40.189356+00:00');
INSERT INTO conversations VALUES ('0123456789abcdef01234567', 1, 1, 'admin', 'deepseek', 'deepseek-v4-pro', 'deepseek-v4-pro', 'Cursor/1.0', 1795000000000, 1795000000000, 1, 0, 0, 0, 1200, 300, 100, 1000, 2100, 3, 0);
UPDATE ledger SET conversation = '0123456789abcdef01234567';
