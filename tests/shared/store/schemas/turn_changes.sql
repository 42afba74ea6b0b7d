ALTER TABLE recall_turns ADD COLUMN changed_at INTEGER NOT NULL DEFAULT 0;
CREATE INDEX recall_turns_changed_at ON recall_turns (changed_at) WHERE changed_at > 0;
UPDATE recall_turns SET changed_at = 5 WHERE id = 1;
INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('thinkback', 'turn_changes', '2026-11-30 00:00:00');
