-- The file as version 3 made it. Never changed: files like it lie on disks.
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE owner (id INTEGER PRIMARY KEY, text NOT NULL UNIQUE);
CREATE TABLE word (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE event (seq INTEGER PRIMARY KEY, kind INTEGER NOT NULL, received INTEGER NOT NULL, at REAL NOT NULL, ms REAL, owner INTEGER, parent INTEGER, service INTEGER, endpoint INTEGER, name INTEGER, shape INTEGER, status INTEGER, rows INTEGER);
CREATE INDEX event_kind ON event (kind);
CREATE INDEX event_owner ON event (owner) WHERE owner IS NOT NULL;
CREATE INDEX event_parent ON event (parent) WHERE parent IS NOT NULL;
CREATE INDEX event_endpoint ON event (endpoint) WHERE endpoint IS NOT NULL;
CREATE TABLE body (seq INTEGER PRIMARY KEY, json TEXT NOT NULL);
CREATE TABLE batch (id TEXT PRIMARY KEY, received INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE run (id TEXT PRIMARY KEY, last REAL NOT NULL, json TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE issue (id TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX event_request ON event (seq, at, ms, status, endpoint, service, name) WHERE kind = 1;
CREATE TABLE rollup_endpoint (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, service TEXT, endpoint TEXT NOT NULL);
CREATE TABLE rollup_source (id INTEGER PRIMARY KEY, run TEXT NOT NULL, revision TEXT, UNIQUE (run, revision));
CREATE TABLE rollup (level INTEGER NOT NULL, endpoint INTEGER NOT NULL, start INTEGER NOT NULL, source INTEGER NOT NULL, count INTEGER NOT NULL, errors INTEGER NOT NULL, refused INTEGER NOT NULL, queries INTEGER NOT NULL, query_ms REAL NOT NULL, fetches INTEGER NOT NULL, fetch_ms REAL NOT NULL, app_ms REAL NOT NULL, size_bytes INTEGER NOT NULL, timed INTEGER NOT NULL, total_ms REAL NOT NULL, largest_ms REAL NOT NULL, durations BLOB NOT NULL, PRIMARY KEY (level, endpoint, start, source)) WITHOUT ROWID;
