CREATE UNIQUE INDEX users_username ON users (lower(username));
CREATE UNIQUE INDEX upstreams_name ON upstreams (lower(name));
INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('thinkback', 'folded_names', '2026-11-30 00:00:00');
