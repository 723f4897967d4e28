-- Digests of a folder on a host without Evenfold are kept by the node that drives it, beside those of its own folder.
-- side 0: ours, 1: theirs.
ALTER TABLE digest_cache RENAME TO old_digest_cache;
CREATE TABLE digest_cache (
    relationship BLOB NOT NULL REFERENCES relationships (id) ON DELETE CASCADE,
    side INTEGER NOT NULL CHECK (side IN (0, 1)),
    path BLOB NOT NULL,
    ino INTEGER NOT NULL,
    size INTEGER NOT NULL,
    mtime_s INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    ctime_s INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (relationship, side, path)
) STRICT, WITHOUT ROWID;
INSERT INTO digest_cache
    SELECT relationship, 0, path, ino, size, mtime_s, mtime_ns, ctime_s, ctime_ns, digest FROM old_digest_cache;
DROP TABLE old_digest_cache;
