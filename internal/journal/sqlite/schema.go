package sqlite

// applicationID marks a SQLite file as a journal of this provider: "Rmdy" in ASCII.
const applicationID = 0x526d6479

// migrations lead from each version of the schema (PRAGMA user_version) to the next one. Steps are only ever added. A
// file of any earlier version is migrated in one transaction when it is opened.
var migrations = []string{schemaV1, schemaV2, schemaV3}

// schemaV1 stores the entries, and which execution is open per target. The primary key refuses a second one. Times are
// text of fixed width, which sorts in order of time. Indexes on first entries serve the filters. Each ends with the
// row's seq, so the newest records of one incident are read without sorting.
const schemaV1 = `
CREATE TABLE entries (
	seq       INTEGER PRIMARY KEY,
	execution INTEGER NOT NULL,
	kind      TEXT NOT NULL,
	at        TEXT NOT NULL,
	playbook  TEXT NOT NULL,
	target    TEXT NOT NULL,
	request   TEXT NOT NULL,
	incident  TEXT NOT NULL,
	body      TEXT NOT NULL,
	prev      TEXT NOT NULL,
	hash      TEXT NOT NULL
) STRICT;
CREATE INDEX entries_of_execution ON entries (execution, kind);
CREATE INDEX first_by_playbook ON entries (playbook) WHERE seq = execution;
CREATE INDEX first_by_target ON entries (target) WHERE seq = execution;
CREATE INDEX first_by_request ON entries (request) WHERE seq = execution;
CREATE INDEX first_by_incident ON entries (incident) WHERE seq = execution;
CREATE INDEX first_by_time ON entries (at) WHERE seq = execution;
CREATE TABLE open_executions (
	target    TEXT PRIMARY KEY,
	execution INTEGER NOT NULL UNIQUE
) STRICT, WITHOUT ROWID;
CREATE TRIGGER entries_are_never_changed BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'journal entries are never changed'); END;
CREATE TRIGGER entries_are_never_removed BEFORE DELETE ON entries
BEGIN SELECT RAISE(ABORT, 'journal entries are never removed'); END;
`

// schemaV2 stores the heartbeats of holders, which are updated in place and are not part of the history. It also allows
// the removal of entries that a compaction lists.
const schemaV2 = `
ALTER TABLE open_executions ADD COLUMN beats INTEGER NOT NULL DEFAULT 0;
ALTER TABLE open_executions ADD COLUMN beat_at TEXT NOT NULL DEFAULT '';
CREATE TABLE gaps (
	first INTEGER PRIMARY KEY,
	last  INTEGER NOT NULL
) STRICT;
DROP TRIGGER entries_are_never_removed;
CREATE TRIGGER entries_are_never_removed BEFORE DELETE ON entries
	WHEN NOT EXISTS (SELECT 1 FROM gaps WHERE OLD.seq BETWEEN first AND last)
BEGIN SELECT RAISE(ABORT, 'journal entries are never removed'); END;
`

// schemaV3 adds what is needed to find records by digest and by the identity of their target, regardless of the
// target's name and the incident.
const schemaV3 = `
ALTER TABLE entries ADD COLUMN digest TEXT NOT NULL DEFAULT '';
ALTER TABLE entries ADD COLUMN identity TEXT NOT NULL DEFAULT '';
CREATE INDEX first_by_digest ON entries (digest) WHERE seq = execution;
CREATE INDEX first_by_identity ON entries (identity) WHERE seq = execution;
`
