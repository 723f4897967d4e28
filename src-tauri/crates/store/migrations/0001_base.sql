-- The state of a node. Prose about each table stands at the top of its module in src/.
--
-- Everywhere: times are microseconds since 1970 UTC; a relationship is the 16 bytes of its UUID; the column `path`
-- of tables keyed by path holds the path with its slashes replaced by NUL bytes, because then the order of the
-- keys is the order of a walk through the tree and everything below a path is one range.

CREATE TABLE node (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id BLOB NOT NULL CHECK (length(id) = 16),
    name TEXT,
    created INTEGER NOT NULL,
    generation BLOB NOT NULL CHECK (length(generation) = 16)
) STRICT;

CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE settings (
    scope TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    changed INTEGER NOT NULL,
    PRIMARY KEY (scope, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE peers (
    key BLOB PRIMARY KEY CHECK (length(key) = 32),
    name TEXT NOT NULL UNIQUE,
    addresses TEXT NOT NULL,
    paired INTEGER NOT NULL,
    last_seen INTEGER,
    revoked INTEGER,
    note TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;

CREATE TABLE relationships (
    id BLOB PRIMARY KEY CHECK (length(id) = 16),
    name TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    role TEXT NOT NULL,
    root BLOB NOT NULL,
    hub BLOB REFERENCES peers (key) ON DELETE SET NULL,
    hub_share TEXT,
    settings TEXT NOT NULL,
    paused INTEGER NOT NULL DEFAULT 0,
    paused_until INTEGER,
    created INTEGER NOT NULL,
    root_identity TEXT,
    last_verified INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX relationships_by_hub ON relationships (hub);

CREATE TABLE members (
    relationship BLOB NOT NULL REFERENCES relationships (id) ON DELETE CASCADE,
    peer BLOB NOT NULL REFERENCES peers (key) ON DELETE CASCADE,
    role TEXT NOT NULL,
    permission TEXT NOT NULL CHECK (permission IN ('rw', 'ro')),
    joined INTEGER NOT NULL,
    last_seen INTEGER,
    endpoint TEXT NOT NULL DEFAULT '',
    drift TEXT,
    state TEXT,
    PRIMARY KEY (relationship, peer)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_by_peer ON members (peer);

CREATE TABLE epochs (
    relationship BLOB PRIMARY KEY REFERENCES relationships (id) ON DELETE CASCADE,
    ours_committed INTEGER NOT NULL DEFAULT 0,
    ours_intended INTEGER NOT NULL DEFAULT 0,
    theirs_seen INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- kind: 1 file, 2 directory, 3 symbolic link; the same in all tables.
CREATE TABLE ancestor (
    relationship BLOB NOT NULL REFERENCES relationships (id) ON DELETE CASCADE,
    path BLOB NOT NULL,
    kind INTEGER NOT NULL,
    digest BLOB,
    size INTEGER,
    mtime_s INTEGER,
    mtime_ns INTEGER,
    mode INTEGER,
    target BLOB,
    PRIMARY KEY (relationship, path)
) STRICT, WITHOUT ROWID;

-- kind 0: nothing shall stand there.
CREATE TABLE intents (
    relationship BLOB NOT NULL REFERENCES relationships (id) ON DELETE CASCADE,
    side INTEGER NOT NULL CHECK (side IN (0, 1)),
    path BLOB NOT NULL,
    epoch INTEGER,
    kind INTEGER NOT NULL,
    digest BLOB,
    size INTEGER,
    mtime_s INTEGER,
    mtime_ns INTEGER,
    mode INTEGER,
    target BLOB,
    PRIMARY KEY (relationship, side, path)
) STRICT, WITHOUT ROWID;

CREATE TABLE plans (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    relationship BLOB NOT NULL REFERENCES relationships (id) ON DELETE CASCADE,
    created INTEGER NOT NULL,
    kind TEXT NOT NULL,
    summary TEXT NOT NULL,
    body BLOB NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'applied', 'superseded', 'refused'))
) STRICT;
CREATE INDEX plans_by_relationship ON plans (relationship, seq);

-- No reference to relationships or peers: history outlives both.
CREATE TABLE history (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time INTEGER NOT NULL,
    relationship BLOB,
    batch BLOB,
    node TEXT NOT NULL,
    peer TEXT,
    kind TEXT NOT NULL,
    path_text TEXT,
    path BLOB,
    digest BLOB,
    size INTEGER,
    detail TEXT
) STRICT;
CREATE INDEX history_by_time ON history (time);
CREATE INDEX history_by_path ON history (relationship, path_text);

CREATE TABLE versions (
    relationship BLOB NOT NULL,
    path BLOB NOT NULL,
    version TEXT NOT NULL,
    time INTEGER NOT NULL,
    reason TEXT NOT NULL,
    batch BLOB,
    kind INTEGER NOT NULL,
    digest BLOB,
    size INTEGER,
    mtime_s INTEGER,
    mtime_ns INTEGER,
    mode INTEGER,
    target BLOB,
    PRIMARY KEY (relationship, path, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE digest_cache (
    relationship BLOB NOT NULL REFERENCES relationships (id) ON DELETE CASCADE,
    path BLOB NOT NULL,
    ino INTEGER NOT NULL,
    size INTEGER NOT NULL,
    mtime_s INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    ctime_s INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (relationship, path)
) STRICT, WITHOUT ROWID;
