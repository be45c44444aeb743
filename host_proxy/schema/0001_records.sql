-- Sealed records: opaque to everyone but the enclave. `id` is a keyed hash, never a name (LP-04).
CREATE TABLE record (
    name    TEXT    NOT NULL,
    id      BLOB    NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    value   BLOB    NOT NULL,
    PRIMARY KEY (name, id)
) STRICT
