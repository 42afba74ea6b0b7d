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
) STRICT;
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
) STRICT;
CREATE INDEX virtual_keys_user_id ON virtual_keys (user_id);
INSERT INTO _sqlite_migrations VALUES (1, 'thinkback', 'accounts', '2026-11-20 09:35:00.693182+00:00');
INSERT INTO users VALUES (1, 'ada', 'hash', 'admin', 0, 0, 0, 1000);
INSERT INTO virtual_keys VALUES (1, 1, 'first', '0000000000000000000000000000000000000000000000000000000000000000', 'abcd', 'inference', 1000, NULL, NULL);
