ALTER TABLE recall_turns RENAME TO recall_turns_before;
ALTER TABLE recall_keys RENAME TO recall_keys_before;
ALTER TABLE recall_sent RENAME TO recall_sent_before;
CREATE TABLE recall_turns (
    id INTEGER PRIMARY KEY,
    token TEXT NOT NULL UNIQUE,
    namespace BLOB NOT NULL,
    complete INTEGER NOT NULL CHECK (complete IN (0, 1)),
    length INTEGER NOT NULL CHECK (length >= 0),
    bytes INTEGER NOT NULL CHECK (bytes >= 0),
    used_at INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE TABLE recall_keys (
    key BLOB NOT NULL,
    turn INTEGER NOT NULL REFERENCES recall_turns (id) ON DELETE CASCADE,
    PRIMARY KEY (key, turn)
) STRICT, WITHOUT ROWID;
CREATE TABLE recall_sent (
    key BLOB NOT NULL PRIMARY KEY,
    value TEXT NOT NULL,
    used_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE recall_days (
    day INTEGER PRIMARY KEY,
    turns INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT;
INSERT INTO recall_turns
SELECT rowid, token, namespace, complete, length(body),
    110 + length(body) + (length(body) % 4096) * (length(body) % 4096) / 8192 + 42 * (
        SELECT count(*) FROM recall_keys_before AS keys WHERE keys.token = turns.token
    ), used_at, body
FROM recall_turns_before AS turns ORDER BY rowid;
INSERT INTO recall_keys SELECT DISTINCT substr(keys.key, 1, 10), turns.id
FROM recall_keys_before AS keys JOIN recall_turns AS turns ON turns.token = keys.token
ORDER BY 1, 2;
INSERT INTO recall_sent SELECT substr(key, 1, 10), value, max(used_at)
FROM recall_sent_before GROUP BY 1 ORDER BY 1;
INSERT INTO recall_days SELECT day, sum(turns), sum(bytes) FROM (
    SELECT used_at / 86400000 AS day, 1 AS turns, bytes FROM recall_turns
    UNION ALL SELECT used_at / 86400000, 0, 54 + length(value) FROM recall_sent
) AS rows GROUP BY 1;
DROP TABLE recall_keys_before;
DROP TABLE recall_turns_before;
DROP TABLE recall_sent_before;
CREATE INDEX recall_turns_used_at ON recall_turns (used_at);
CREATE INDEX recall_keys_turn ON recall_keys (turn);
CREATE INDEX recall_sent_used_at ON recall_sent (used_at);
CREATE TRIGGER recall_turn_added AFTER INSERT ON recall_turns BEGIN 
        INSERT INTO recall_days (day, turns, bytes) VALUES (new.used_at / 86400000, 1, new.bytes)
            ON CONFLICT (day) DO UPDATE SET turns = turns + excluded.turns,
                bytes = bytes + excluded.bytes;
     END;
CREATE TRIGGER recall_turn_deleted AFTER DELETE ON recall_turns BEGIN 
        UPDATE recall_days SET turns = turns - 1, bytes = bytes - (old.bytes)
            WHERE day = old.used_at / 86400000;
     END;
CREATE TRIGGER recall_turn_changed AFTER UPDATE ON recall_turns BEGIN 
        UPDATE recall_days SET turns = turns - 1, bytes = bytes - (old.bytes)
            WHERE day = old.used_at / 86400000;
        INSERT INTO recall_days (day, turns, bytes) VALUES (new.used_at / 86400000, 1, new.bytes)
            ON CONFLICT (day) DO UPDATE SET turns = turns + excluded.turns,
                bytes = bytes + excluded.bytes;
     END;
CREATE TRIGGER recall_sent_added AFTER INSERT ON recall_sent BEGIN 
        INSERT INTO recall_days (day, turns, bytes) VALUES (new.used_at / 86400000, 0, 54 + length(new.value))
            ON CONFLICT (day) DO UPDATE SET turns = turns + excluded.turns,
                bytes = bytes + excluded.bytes;
     END;
CREATE TRIGGER recall_sent_deleted AFTER DELETE ON recall_sent BEGIN 
        UPDATE recall_days SET turns = turns - 0, bytes = bytes - (54 + length(old.value))
            WHERE day = old.used_at / 86400000;
     END;
CREATE TRIGGER recall_sent_changed AFTER UPDATE ON recall_sent BEGIN 
        UPDATE recall_days SET turns = turns - 0, bytes = bytes - (54 + length(old.value))
            WHERE day = old.used_at / 86400000;
        INSERT INTO recall_days (day, turns, bytes) VALUES (new.used_at / 86400000, 0, 54 + length(new.value))
            ON CONFLICT (day) DO UPDATE SET turns = turns + excluded.turns,
                bytes = bytes + excluded.bytes;
     END;
INSERT INTO _sqlite_migrations VALUES (10, 'thinkback', 'compact_recall', '2026-11-30 10:50:00.000000+00:00');
