CREATE TABLE rates (
    subject TEXT NOT NULL,
    rate TEXT NOT NULL CHECK (rate IN ('requests', 'tokens', 'attempts')),
    debt INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (subject, rate)
) STRICT, WITHOUT ROWID;
CREATE TABLE tickets (
    ticket TEXT NOT NULL,
    subject TEXT NOT NULL,
    node TEXT NOT NULL,
    PRIMARY KEY (ticket, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX tickets_subject ON tickets (subject);
INSERT INTO rates (subject, rate, debt, at) VALUES ('user:1', 'requests', 1000000, 7);
INSERT INTO tickets (ticket, subject, node) VALUES ('n-1', 'user:1', 'n');
INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('thinkback', 'shared_limits', '2026-11-30 23:50:00.000000+00:00');
