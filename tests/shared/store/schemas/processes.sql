ALTER TABLE nodes ADD COLUMN host TEXT NOT NULL DEFAULT '';
ALTER TABLE nodes ADD COLUMN pid INTEGER NOT NULL DEFAULT 0;
ALTER TABLE nodes ADD COLUMN worker TEXT NOT NULL DEFAULT '';
INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('thinkback', 'processes', '2026-11-30 00:00:00');
