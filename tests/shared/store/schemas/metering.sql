ALTER TABLE users ADD COLUMN models TEXT NOT NULL DEFAULT '[]';
ALTER TABLE users ADD COLUMN quota_tokens INTEGER CHECK (quota_tokens >= 0);
ALTER TABLE users ADD COLUMN quota_cost_micros INTEGER CHECK (quota_cost_micros >= 0);
ALTER TABLE users ADD COLUMN period TEXT NOT NULL DEFAULT 'lifetime' CHECK (period IN ('lifetime', 'month', 'day'));
ALTER TABLE users ADD COLUMN rpm INTEGER CHECK (rpm >= 0);
ALTER TABLE users ADD COLUMN tpm INTEGER CHECK (tpm >= 0);
ALTER TABLE users ADD COLUMN concurrency INTEGER CHECK (concurrency >= 0);
ALTER TABLE virtual_keys ADD COLUMN models TEXT NOT NULL DEFAULT '[]';
ALTER TABLE virtual_keys ADD COLUMN quota_tokens INTEGER CHECK (quota_tokens >= 0);
ALTER TABLE virtual_keys ADD COLUMN quota_cost_micros INTEGER CHECK (quota_cost_micros >= 0);
ALTER TABLE virtual_keys ADD COLUMN period TEXT NOT NULL DEFAULT 'lifetime' CHECK (period IN ('lifetime', 'month', 'day'));
ALTER TABLE virtual_keys ADD COLUMN rpm INTEGER CHECK (rpm >= 0);
ALTER TABLE virtual_keys ADD COLUMN tpm INTEGER CHECK (tpm >= 0);
ALTER TABLE virtual_keys ADD COLUMN concurrency INTEGER CHECK (concurrency >= 0);
CREATE TABLE spending (
    subject TEXT NOT NULL,
    period TEXT NOT NULL CHECK (period IN ('lifetime', 'month', 'day')),
    window INTEGER NOT NULL,
    tokens INTEGER NOT NULL CHECK (tokens >= 0),
    cost_micros INTEGER NOT NULL CHECK (cost_micros >= 0),
    PRIMARY KEY (subject, period)
) STRICT, WITHOUT ROWID;
CREATE TABLE nodes (
    node TEXT NOT NULL PRIMARY KEY,
    version TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE open_exchanges (
    exchange TEXT NOT NULL PRIMARY KEY,
    node TEXT NOT NULL,
    at INTEGER NOT NULL,
    user_id INTEGER,
    key_id INTEGER,
    reserved_tokens INTEGER NOT NULL CHECK (reserved_tokens >= 0),
    reserved_cost_micros INTEGER NOT NULL CHECK (reserved_cost_micros >= 0),
    entry TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX open_exchanges_user_id ON open_exchanges (user_id);
CREATE INDEX open_exchanges_key_id ON open_exchanges (key_id);
CREATE TABLE ledger (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    exchange TEXT NOT NULL UNIQUE,
    at INTEGER NOT NULL,
    user_id INTEGER,
    username TEXT NOT NULL,
    key_id INTEGER,
    key_suffix TEXT NOT NULL,
    format TEXT NOT NULL,
    model TEXT NOT NULL,
    upstream TEXT NOT NULL,
    upstream_key TEXT NOT NULL,
    upstream_model TEXT NOT NULL,
    streamed INTEGER NOT NULL CHECK (streamed IN (0, 1)),
    status INTEGER NOT NULL,
    error_class TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL CHECK (prompt_tokens >= 0),
    completion_tokens INTEGER NOT NULL CHECK (completion_tokens >= 0),
    reasoning_tokens INTEGER NOT NULL CHECK (reasoning_tokens >= 0),
    cached_tokens INTEGER NOT NULL CHECK (cached_tokens >= 0),
    estimated INTEGER NOT NULL CHECK (estimated IN (0, 1)),
    cost_micros INTEGER CHECK (cost_micros >= 0),
    first_byte_ms INTEGER,
    duration_ms INTEGER NOT NULL,
    restored INTEGER NOT NULL,
    missing INTEGER NOT NULL,
    client TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    details TEXT NOT NULL
) STRICT;
CREATE INDEX ledger_user_id ON ledger (user_id, id);
CREATE INDEX ledger_at ON ledger (at);
CREATE TABLE usage_daily (
    day INTEGER NOT NULL,
    user_id INTEGER NOT NULL,
    key_id INTEGER NOT NULL,
    upstream TEXT NOT NULL,
    model TEXT NOT NULL,
    upstream_model TEXT NOT NULL,
    requests INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    estimated INTEGER NOT NULL,
    unpriced INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    cost_micros INTEGER NOT NULL,
    restored INTEGER NOT NULL,
    missing INTEGER NOT NULL,
    PRIMARY KEY (day, user_id, key_id, upstream, model, upstream_model)
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_daily_user_id ON usage_daily (user_id, day);
CREATE TABLE token_ratios (
    model TEXT NOT NULL PRIMARY KEY,
    prompt_bytes INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    answer_bytes INTEGER NOT NULL,
    answer_tokens INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE prices (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    upstream TEXT NOT NULL,
    model TEXT NOT NULL,
    from_day INTEGER NOT NULL,
    input_micros INTEGER NOT NULL CHECK (input_micros >= 0),
    output_micros INTEGER NOT NULL CHECK (output_micros >= 0),
    cached_micros INTEGER CHECK (cached_micros >= 0),
    UNIQUE (upstream, model, from_day)
) STRICT;
INSERT INTO _sqlite_migrations VALUES (4, 'thinkback', 'metering', '2026-11-20 12:18:57.366826+00:00');
INSERT INTO spending VALUES ('user:1', 'day', 20261120, 1500, 2100);
INSERT INTO nodes VALUES ('node-1', '0.1.0', 1795000000000, 1795000001000);
INSERT INTO open_exchanges VALUES ('x2', 'node-1', 1795000000000, 1, 1, 100, 5, '{"exchange":"x2","at":1795000000000}');
INSERT INTO ledger VALUES (1, 'x1', 1795000000000, 1, 'admin', 1, 'abcd', 'chat', 'deepseek-v4-pro', 'deepseek', 'wxyz', 'deepseek-v4-pro', 1, 200, '', 1, 1200, 300, 100, 1000, 0, 2100, 350, 4000, 3, 0, '203.0.113.5', 'Cursor/1.0', '{}');
INSERT INTO usage_daily VALUES (20261120, 1, 1, 'deepseek', 'deepseek-v4-pro', 'deepseek-v4-pro', 1, 0, 0, 0, 1200, 300, 100, 1000, 2100, 3, 0);
INSERT INTO token_ratios VALUES ('deepseek-v4-pro', 4800, 1200, 1200, 300);
INSERT INTO prices VALUES (1, '', 'deepseek-v4-pro', 20260101, 435000, 870000, 3625);
