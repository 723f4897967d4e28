"""Makes a database one that a newer program has written: it has a migration that this one does not know."""

import sqlite3
import sys

database = sqlite3.connect(sys.argv[1])
database.execute("INSERT INTO _sqlx_migrations VALUES (9000, 'future', 0, 1, x'00', 0)")
database.commit()
database.close()
