-- When this node looked at its folders as a whole, and what came out.
CREATE TABLE scans (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    relationship BLOB NOT NULL REFERENCES relationships (id) ON DELETE CASCADE,
    started INTEGER NOT NULL,
    ended INTEGER NOT NULL,
    deep INTEGER NOT NULL CHECK (deep IN (0, 1)),
    success INTEGER NOT NULL CHECK (success IN (0, 1)),
    files INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    read INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    detail TEXT
) STRICT;
CREATE INDEX scans_by_relationship ON scans (relationship, id);
