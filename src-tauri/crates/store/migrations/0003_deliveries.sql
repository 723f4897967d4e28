-- What is owed and was delivered, by item, version and destination. The hub's rows are the book; members hold copies of
-- them. seq rises with every change, so that a copy is brought up to date by what came after.
CREATE TABLE ledger (
    relationship BLOB NOT NULL REFERENCES relationships (id) ON DELETE CASCADE,
    origin BLOB NOT NULL CHECK (length(origin) = 32),
    path BLOB NOT NULL,
    version BLOB NOT NULL CHECK (length(version) = 32),
    destination BLOB NOT NULL CHECK (length(destination) = 32),
    place BLOB NOT NULL,
    landed_at BLOB,
    size INTEGER NOT NULL,
    files INTEGER NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    retry_at INTEGER,
    stored INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    round INTEGER NOT NULL,
    since INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    delivered INTEGER,
    finalised INTEGER,
    released INTEGER,
    gone INTEGER,
    untold INTEGER NOT NULL DEFAULT 0,
    seq INTEGER NOT NULL,
    PRIMARY KEY (relationship, origin, path, version, destination)
) STRICT, WITHOUT ROWID;
CREATE INDEX ledger_by_seq ON ledger (relationship, seq);

-- Commands that are to run after something happened: at least once each, under an id that stays the same.
CREATE TABLE hook_runs (
    relationship BLOB NOT NULL REFERENCES relationships (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    path BLOB NOT NULL,
    argv TEXT NOT NULL,
    created INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_at INTEGER NOT NULL DEFAULT 0,
    error TEXT NOT NULL DEFAULT '',
    done INTEGER,
    PRIMARY KEY (relationship, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX hook_runs_pending ON hook_runs (relationship, done, next_at);
