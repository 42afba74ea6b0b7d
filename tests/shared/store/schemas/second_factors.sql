CREATE TABLE second_factors (
    user_id INTEGER PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    sealed BLOB NOT NULL,
    confirmed INTEGER NOT NULL DEFAULT 0 CHECK (confirmed IN (0, 1)),
    step INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE recovery_codes (
    user_id INTEGER NOT NULL REFERENCES second_factors (user_id) ON DELETE CASCADE,
    digest TEXT NOT NULL,
    PRIMARY KEY (user_id, digest)
) STRICT, WITHOUT ROWID;
INSERT INTO second_factors (user_id, sealed, confirmed, step, created_at)
SELECT min(id), x'01', 1, 5, 7 FROM users;
INSERT INTO recovery_codes (user_id, digest) SELECT min(id), 'd' FROM users;
INSERT INTO _sqlite_migrations VALUES (11, 'thinkback', 'second_factors', '2026-11-30 14:20:00.000000+00:00');
