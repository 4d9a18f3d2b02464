-- The inverted index of documents. Read storage/meta/sqlmeta/documents.go first.

-- A number is never used again. There is no ON DELETE CASCADE: what goes has to
-- leave a change behind, so that it goes from the postings too.
CREATE TABLE documents (
    number   INTEGER PRIMARY KEY AUTOINCREMENT,
    manifest INTEGER NOT NULL UNIQUE REFERENCES manifests (id),
    name     TEXT NOT NULL, -- of the repository
    updated  INTEGER NOT NULL,
    size     INTEGER NOT NULL, -- bytes
    pulls    INTEGER NOT NULL,
    terms    BLOB NOT NULL, -- ids of terms
    body     BLOB NOT NULL
) STRICT;

CREATE INDEX documents_by_name ON documents (name, number);

CREATE TABLE terms (
    id        INTEGER PRIMARY KEY,
    text      TEXT NOT NULL UNIQUE,
    documents INTEGER NOT NULL -- how many have it, of those that are packed
) STRICT;

-- Which documents of a segment of numbers have a term. A row stays below the
-- 1,002 bytes that SQLite keeps in one place.
CREATE TABLE postings (
    term    INTEGER NOT NULL,
    segment INTEGER NOT NULL,
    numbers BLOB NOT NULL,
    PRIMARY KEY (term, segment)
) STRICT, WITHOUT ROWID;

-- The values of a column for a segment of numbers. The key is the column times
-- 2^32, plus the segment: rows of this size want a table by rowid.
CREATE TABLE document_values (
    key     INTEGER PRIMARY KEY,
    lowest  INTEGER NOT NULL,
    highest INTEGER NOT NULL,
    leaders BLOB NOT NULL, -- the documents of the greatest values
    numbers BLOB NOT NULL
) STRICT;

-- Documents that are not packed as they are now.
CREATE TABLE document_changes (
    number  INTEGER PRIMARY KEY,
    folding INTEGER NOT NULL, -- 1: the running fold packs it
    packed  BLOB NOT NULL, -- the terms it is packed with, before the running fold
    present INTEGER NOT NULL, -- 0: it is deleted
    updated INTEGER NOT NULL,
    size    INTEGER NOT NULL,
    pulls   INTEGER NOT NULL,
    terms   BLOB NOT NULL
) STRICT;

-- Functions of blobs, by the first 8 bytes of their normalised hashes.
CREATE TABLE function_layers (
    id     INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    total  INTEGER NOT NULL, -- functions it has
    hashes BLOB NOT NULL -- those noted, ascending
) STRICT;

CREATE TABLE functions (
    hash  INTEGER NOT NULL, -- 2^63 is taken off, so that they sort as they are
    layer INTEGER NOT NULL,
    PRIMARY KEY (hash, layer)
) STRICT, WITHOUT ROWID;

-- Every document has the term 0.
INSERT INTO terms (id, text, documents) VALUES (0, '', 0);

-- So that terms nobody has are found.
CREATE INDEX terms_unused ON terms (id) WHERE documents = 0;

INSERT INTO state (name, value) VALUES ('fold', 0), ('functions', 0), ('function_cut', 9223372036854775807);
