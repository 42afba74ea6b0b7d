CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");
CREATE TABLE users (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            username TEXT NOT NULL UNIQUE COLLATE NOCASE,
            password_hash TEXT NOT NULL,
            role TEXT NOT NULL CHECK (role IN ('admin', 'user')),
            disabled INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
            epoch INTEGER NOT NULL DEFAULT 0,
            must_change_password INTEGER NOT NULL DEFAULT 0 CHECK (must_change_password IN (0, 1)),
            created_at INTEGER NOT NULL
        , models TEXT NOT NULL DEFAULT '[]', quota_tokens INTEGER CHECK (quota_tokens >= 0), quota_cost_micros INTEGER CHECK (quota_cost_micros >= 0), period TEXT NOT NULL DEFAULT 'lifetime' CHECK (period IN ('lifetime', 'month', 'day')), rpm INTEGER CHECK (rpm >= 0), tpm INTEGER CHECK (tpm >= 0), concurrency INTEGER CHECK (concurrency >= 0), mirror TEXT NOT NULL DEFAULT '' CHECK (mirror IN ('', 'off', 'details', 'think'))) STRICT
    ;
CREATE TABLE virtual_keys (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
            name TEXT NOT NULL,
            digest TEXT NOT NULL UNIQUE CHECK (length(digest) = 64),
            suffix TEXT NOT NULL,
            scope TEXT NOT NULL CHECK (scope IN ('inference', 'admin')),
            created_at INTEGER NOT NULL,
            expires_at INTEGER,
            revoked_at INTEGER
        , models TEXT NOT NULL DEFAULT '[]', quota_tokens INTEGER CHECK (quota_tokens >= 0), quota_cost_micros INTEGER CHECK (quota_cost_micros >= 0), period TEXT NOT NULL DEFAULT 'lifetime' CHECK (period IN ('lifetime', 'month', 'day')), rpm INTEGER CHECK (rpm >= 0), tpm INTEGER CHECK (tpm >= 0), concurrency INTEGER CHECK (concurrency >= 0)) STRICT
    ;
CREATE INDEX virtual_keys_user_id ON virtual_keys (user_id);
CREATE TABLE recall_turns (
            token TEXT NOT NULL PRIMARY KEY,
            namespace BLOB NOT NULL,
            parent TEXT,
            complete INTEGER NOT NULL CHECK (complete IN (0, 1)),
            body BLOB NOT NULL,
            bytes INTEGER NOT NULL CHECK (bytes >= 0),
            created_at INTEGER NOT NULL,
            used_at INTEGER NOT NULL
        ) STRICT
    ;
CREATE INDEX recall_turns_used_at ON recall_turns (used_at);
CREATE TABLE recall_keys (
            key BLOB NOT NULL,
            token TEXT NOT NULL REFERENCES recall_turns (token) ON DELETE CASCADE,
            PRIMARY KEY (key, token)
        ) STRICT, WITHOUT ROWID
    ;
CREATE INDEX recall_keys_token ON recall_keys (token);
CREATE TABLE recall_sent (
            key BLOB NOT NULL PRIMARY KEY,
            value TEXT NOT NULL,
            used_at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID
    ;
CREATE INDEX recall_sent_used_at ON recall_sent (used_at);
CREATE TABLE learned (
            endpoint TEXT NOT NULL PRIMARY KEY,
            value TEXT NOT NULL,
            learned_at INTEGER NOT NULL
        ) STRICT
    ;
CREATE TABLE spending (
            subject TEXT NOT NULL,
            period TEXT NOT NULL CHECK (period IN ('lifetime', 'month', 'day')),
            window INTEGER NOT NULL,
            tokens INTEGER NOT NULL CHECK (tokens >= 0),
            cost_micros INTEGER NOT NULL CHECK (cost_micros >= 0),
            PRIMARY KEY (subject, period)
        ) STRICT, WITHOUT ROWID
    ;
CREATE TABLE nodes (
            node TEXT NOT NULL PRIMARY KEY,
            version TEXT NOT NULL,
            started_at INTEGER NOT NULL,
            seen_at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID
    ;
CREATE TABLE open_exchanges (
            exchange TEXT NOT NULL PRIMARY KEY,
            node TEXT NOT NULL,
            at INTEGER NOT NULL,
            user_id INTEGER,
            key_id INTEGER,
            reserved_tokens INTEGER NOT NULL CHECK (reserved_tokens >= 0),
            reserved_cost_micros INTEGER NOT NULL CHECK (reserved_cost_micros >= 0),
            entry TEXT NOT NULL
        ) STRICT, WITHOUT ROWID
    ;
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
        , conversation TEXT NOT NULL DEFAULT '') STRICT
    ;
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
        ) STRICT, WITHOUT ROWID
    ;
CREATE INDEX usage_daily_user_id ON usage_daily (user_id, day);
CREATE TABLE token_ratios (
            model TEXT NOT NULL PRIMARY KEY,
            prompt_bytes INTEGER NOT NULL,
            prompt_tokens INTEGER NOT NULL,
            answer_bytes INTEGER NOT NULL,
            answer_tokens INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID
    ;
CREATE TABLE prices (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            upstream TEXT NOT NULL,
            model TEXT NOT NULL,
            from_day INTEGER NOT NULL,
            input_micros INTEGER NOT NULL CHECK (input_micros >= 0),
            output_micros INTEGER NOT NULL CHECK (output_micros >= 0),
            cached_micros INTEGER CHECK (cached_micros >= 0),
            UNIQUE (upstream, model, from_day)
        ) STRICT
    ;
CREATE TABLE audit (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            exchange TEXT NOT NULL UNIQUE,
            at INTEGER NOT NULL,
            user_id INTEGER NOT NULL,
            username TEXT NOT NULL,
            model TEXT NOT NULL,
            upstream TEXT NOT NULL,
            status INTEGER NOT NULL,
            text TEXT NOT NULL,
            conversation BLOB,
            bytes INTEGER NOT NULL
        ) STRICT
    ;
CREATE INDEX audit_at ON audit (at, bytes);
CREATE INDEX audit_user_id ON audit (user_id, id);
CREATE VIRTUAL TABLE audit_search
        USING fts5(text, content='audit', content_rowid='id', tokenize='trigram');
CREATE TRIGGER audit_added AFTER INSERT ON audit BEGIN
            INSERT INTO audit_search (rowid, text) VALUES (new.id, new.text);
        END;
CREATE TRIGGER audit_deleted AFTER DELETE ON audit BEGIN
            INSERT INTO audit_search (audit_search, rowid, text) VALUES ('delete', old.id, old.text);
        END;
CREATE TABLE upstreams (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            name TEXT NOT NULL UNIQUE COLLATE NOCASE,
            position INTEGER NOT NULL,
            body TEXT NOT NULL,
            sealed BLOB NOT NULL,
            created_at INTEGER NOT NULL,
            updated_at INTEGER NOT NULL
        ) STRICT
    ;
CREATE TABLE settings (
            name TEXT NOT NULL PRIMARY KEY,
            value TEXT NOT NULL,
            updated_at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID
    ;
CREATE TABLE ended_sessions (
            jti TEXT NOT NULL PRIMARY KEY,
            expires_at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID
    ;
CREATE TABLE resting_keys (
            upstream TEXT NOT NULL,
            key_digest TEXT NOT NULL,
            suffix TEXT NOT NULL,
            until INTEGER NOT NULL,
            why TEXT NOT NULL,
            PRIMARY KEY (upstream, key_digest)
        ) STRICT, WITHOUT ROWID
    ;
CREATE TABLE answers (
            id TEXT NOT NULL PRIMARY KEY,
            principal TEXT NOT NULL,
            created_at INTEGER NOT NULL,
            previous TEXT NOT NULL,
            items BLOB NOT NULL,
            response BLOB NOT NULL,
            bytes INTEGER NOT NULL CHECK (bytes >= 0)
        ) STRICT
    ;
CREATE INDEX answers_created_at ON answers (created_at, id, bytes);
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
        ) STRICT, WITHOUT ROWID
    ;
CREATE INDEX conversations_user_id ON conversations (user_id, latest);
INSERT INTO _sqlite_migrations VALUES (1, 'thinkback', 'accounts', '2026-11-20 09:35:00.693182+00:00');
INSERT INTO _sqlite_migrations VALUES (2, 'thinkback', 'recall', '2026-11-20 09:35:00.693734+00:00');
INSERT INTO _sqlite_migrations VALUES (3, 'thinkback', 'learned', '2026-11-20 09:35:00.694008+00:00');
INSERT INTO _sqlite_migrations VALUES (4, 'thinkback', 'metering', '2026-11-20 12:18:57.366826+00:00');
INSERT INTO _sqlite_migrations VALUES (5, 'thinkback', 'audit', '2026-11-20 12:18:57.372742+00:00');
INSERT INTO _sqlite_migrations VALUES (6, 'thinkback', 'administration', '2026-11-20 12:18:57.378015+00:00');
INSERT INTO _sqlite_migrations VALUES (7, 'thinkback', 'answers', '2026-11-20 15:33:48.649997+00:00');
INSERT INTO _sqlite_migrations VALUES (8, 'thinkback', 'conversations', '2026-11-20 15:52:40.189356+00:00');
INSERT INTO _sqlite_migrations VALUES (9, 'thinkback', 'mirror', '2026-11-20 16:49:07.145464+00:00');
INSERT INTO users VALUES (1, 'ada', 'hash', 'admin', 0, 0, 0, 1000, '[]', NULL, NULL, 'lifetime', NULL, NULL, NULL, '');
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES ('users', 1);
INSERT INTO sqlite_sequence VALUES ('virtual_keys', 1);
INSERT INTO sqlite_sequence VALUES ('ledger', 1);
INSERT INTO sqlite_sequence VALUES ('prices', 1);
INSERT INTO sqlite_sequence VALUES ('audit', 1);
INSERT INTO sqlite_sequence VALUES ('upstreams', 1);
INSERT INTO virtual_keys VALUES (1, 1, 'first', '0000000000000000000000000000000000000000000000000000000000000000', 'abcd', 'inference', 1000, NULL, NULL, '[]', NULL, NULL, 'lifetime', NULL, NULL, NULL);
INSERT INTO recall_turns VALUES ('turn', X'01', NULL, 1, X'7B7D', 2, 1000, 1000);
INSERT INTO recall_keys VALUES (X'02', 'turn');
INSERT INTO recall_sent VALUES (X'03', 'sent', 1000);
INSERT INTO learned VALUES ('https://api.example/v1', '{}', 1000);
INSERT INTO spending VALUES ('user:1', 'day', 20261120, 1500, 2100);
INSERT INTO nodes VALUES ('node-1', '0.1.0', 1795000000000, 1795000001000);
INSERT INTO open_exchanges VALUES ('x2', 'node-1', 1795000000000, 1, 1, 100, 5, '{"exchange":"x2","at":1795000000000}');
INSERT INTO ledger VALUES (1, 'x1', 1795000000000, 1, 'admin', 1, 'abcd', 'chat', 'deepseek-v4-pro', 'deepseek', 'wxyz', 'deepseek-v4-pro', 1, 200, '', 1, 1200, 300, 100, 1000, 0, 2100, 350, 4000, 3, 0, '203.0.113.5', 'Cursor/1.0', '{}', '0123456789abcdef01234567');
INSERT INTO usage_daily VALUES (20261120, 1, 1, 'deepseek', 'deepseek-v4-pro', 'deepseek-v4-pro', 1, 0, 0, 0, 1200, 300, 100, 1000, 2100, 3, 0);
INSERT INTO token_ratios VALUES ('deepseek-v4-pro', 4800, 1200, 1200, 300);
INSERT INTO prices VALUES (1, '', 'deepseek-v4-pro', 20260101, 435000, 870000, 3625);
INSERT INTO audit VALUES (1, 'x1', 1795000000000, 1, 'admin', 'deepseek-v4-pro', 'deepseek', 200, '请修复这个错误 in main.py', X'789C03000000000001', 120);
INSERT INTO upstreams VALUES (1, 'deepseek', 1, '{"base_url":"https://api.deepseek.com"}', X'01', 1795000000000, 1795000000000);
INSERT INTO settings VALUES ('audit.mode', '"off"', 1795000000000);
INSERT INTO ended_sessions VALUES ('0123456789abcdef', 1795000000);
INSERT INTO resting_keys VALUES ('deepseek', '00ff', 'wxyz', 1795000060000, '429');
INSERT INTO answers VALUES ('resp_1', 'user:1', 1795000000000, '', X'789C8B8E050001150089', X'789CABAE050001750079', 20);
INSERT INTO conversations VALUES ('0123456789abcdef01234567', 1, 1, 'admin', 'deepseek', 'deepseek-v4-pro', 'deepseek-v4-pro', 'Cursor/1.0', 1795000000000, 1795000000000, 1, 0, 0, 0, 1200, 300, 100, 1000, 2100, 3, 0);
