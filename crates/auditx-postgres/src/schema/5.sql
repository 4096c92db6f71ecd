-- Capture from the write-ahead log. The settings of its tables. A table stays here when its capture is
-- disabled: its changes that were not collected yet still need their settings.
CREATE TABLE auditx.logical (
    relation regclass PRIMARY KEY,
    is_active boolean NOT NULL,
    entity_type text NOT NULL,
    module text NOT NULL,
    key text[] NOT NULL,
    mask text[] NOT NULL,
    exclude text[] NOT NULL,
    -- The numbers of key, masked and excluded columns, which may be renamed. They count only for the table
    -- with this id: a restored dump has others.
    numbers int[] NOT NULL,
    numbered oid NOT NULL
);

-- What identified the rows of a table and of its partitions before their capture was enabled.
CREATE TABLE auditx.logical_identity (
    relation regclass PRIMARY KEY,
    captured regclass NOT NULL REFERENCES auditx.logical (relation),
    identity text NOT NULL
);

-- The slot of this database. `confirmed` is stored before the position is confirmed to the server: if the
-- slot is ahead of it, it was moved or created again, and changes are missing.
CREATE TABLE auditx.logical_slot (
    name text PRIMARY KEY,
    identity uuid NOT NULL DEFAULT gen_random_uuid(),
    confirmed pg_lsn NOT NULL
);

ALTER TABLE auditx.logical OWNER TO auditx_owner;
ALTER TABLE auditx.logical_identity OWNER TO auditx_owner;
ALTER TABLE auditx.logical_slot OWNER TO auditx_owner;
GRANT SELECT ON auditx.logical, auditx.logical_slot TO auditx_collect;
GRANT UPDATE (identity, confirmed) ON auditx.logical_slot TO auditx_collect;
