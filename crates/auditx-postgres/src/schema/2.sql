DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'auditx_capture') THEN
        CREATE ROLE auditx_capture NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'auditx_collect') THEN
        CREATE ROLE auditx_collect NOLOGIN;
    END IF;
END $$;

-- Entries and changes whose transactions have committed, until the collector has recorded them. Changes of
-- rows are in a table of their own (3.sql).
CREATE TABLE auditx.outbox (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id uuid NOT NULL UNIQUE,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- A longer entry could never be a line.
    entry text CHECK (octet_length(entry) <= 65535),
    change jsonb,
    CHECK ((entry IS NULL) <> (change IS NULL))
) WITH (
    -- All rows are deleted soon. Without frequent vacuuming, the search for the first row would pass many
    -- dead ones.
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 20000,
    autovacuum_vacuum_insert_scale_factor = 0,
    autovacuum_vacuum_insert_threshold = 20000
);

-- No key: a row with the same number or id may be refused again after it was stored again.
CREATE TABLE auditx.outbox_refused (
    seq bigint NOT NULL,
    id uuid NOT NULL,
    at timestamptz NOT NULL,
    entry text,
    change jsonb,
    reason text NOT NULL,
    refused_at timestamptz NOT NULL DEFAULT now()
);

-- Wakes a collector that waits. PostgreSQL commits transactions that notify one after the other, each with
-- its own wait for the disk. So a transaction notifies only if the collector holds lock 2, which it holds
-- while it waits. Otherwise the transaction shares the lock until it ends, and the collector cannot begin to
-- wait before it has seen these rows.
CREATE FUNCTION auditx.wake() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    -- A transaction that notified could not be prepared for a two-phase commit. Where those are possible, the
    -- collector finds the rows at its next look.
    IF pg_catalog.current_setting('max_prepared_transactions') OPERATOR(pg_catalog.=) '0' THEN
        PERFORM pg_catalog.pg_notify('auditx_outbox', '');
    END IF;
    RETURN true;
END $$;

CREATE FUNCTION auditx.wake_collector() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT pg_catalog.pg_try_advisory_xact_lock_shared(1635083380, 2) THEN
        PERFORM auditx.wake();
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER wake_collector AFTER INSERT ON auditx.outbox
    FOR EACH STATEMENT EXECUTE FUNCTION auditx.wake_collector();

ALTER TABLE auditx.outbox OWNER TO auditx_owner;
ALTER TABLE auditx.outbox_refused OWNER TO auditx_owner;
ALTER FUNCTION auditx.wake() OWNER TO auditx_owner;
ALTER FUNCTION auditx.wake_collector() OWNER TO auditx_owner;

GRANT USAGE ON SCHEMA auditx TO auditx_capture, auditx_collect;
-- Not `at` and `change`: an application cannot pretend that a trigger noted a change.
GRANT INSERT (id, entry) ON auditx.outbox TO auditx_capture;
GRANT SELECT, DELETE ON auditx.outbox TO auditx_collect;
GRANT INSERT ON auditx.outbox_refused TO auditx_collect;
