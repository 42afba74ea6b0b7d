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
) STRICT;
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
INSERT INTO _sqlite_migrations VALUES (5, 'thinkback', 'audit', '2026-11-20 12:18:57.372742+00:00');
INSERT INTO audit VALUES (1, 'x1', 1795000000000, 1, 'admin', 'deepseek-v4-pro', 'deepseek', 200, '请修复这个错误 in main.py', X'789C03000000000001', 120);
