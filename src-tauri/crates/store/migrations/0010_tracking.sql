-- What somebody chose by hand for relationships of the kind manual.
CREATE TABLE tracking (
    relationship BLOB NOT NULL REFERENCES relationships (id) ON DELETE CASCADE,
    path BLOB NOT NULL,
    tracked INTEGER NOT NULL CHECK (tracked IN (0, 1)),
    changed INTEGER NOT NULL,
    PRIMARY KEY (relationship, path)
) STRICT, WITHOUT ROWID;
