CREATE TABLE answers (
    id TEXT NOT NULL PRIMARY KEY,
    principal TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    previous TEXT NOT NULL,
    items BLOB NOT NULL,
    response BLOB NOT NULL,
    bytes INTEGER NOT NULL CHECK (bytes >= 0)
) STRICT;
CREATE INDEX answers_created_at ON answers (created_at, id, bytes);
INSERT INTO _sqlite_migrations VALUES (7, 'thinkback', 'answers', '2026-11-20 15:33:48.649997+00:00');
INSERT INTO answers VALUES ('resp_1', 'user:1', 1795000000000, '', X'789C8B8E050001150089', X'789CABAE050001750079', 20);
