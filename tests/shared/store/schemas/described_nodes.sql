ALTER TABLE nodes ADD COLUMN configuration TEXT NOT NULL DEFAULT '';
ALTER TABLE nodes ADD COLUMN secret TEXT NOT NULL DEFAULT '';
INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('thinkback', 'described_nodes', '2026-12-01 00:30:00');
