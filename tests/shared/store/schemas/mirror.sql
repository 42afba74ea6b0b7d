ALTER TABLE users ADD COLUMN mirror TEXT NOT NULL DEFAULT '' CHECK (mirror IN ('', 'off', 'details', 'think'));
INSERT INTO _sqlite_migrations VALUES (9, 'thinkback', 'mirror', '2026-11-20 16:49:07.145464+00:00');
