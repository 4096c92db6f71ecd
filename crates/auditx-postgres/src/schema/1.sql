DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'auditx_owner') THEN
        CREATE ROLE auditx_owner NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'auditx_ship') THEN
        CREATE ROLE auditx_ship NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'auditx_read') THEN
        CREATE ROLE auditx_read NOLOGIN;
    END IF;
END $$;

-- The last line of each trail, and the newest checkpoint that covers the stored lines.
CREATE TABLE auditx.trail (
    trail_id uuid PRIMARY KEY,
    origin text NOT NULL,
    first_seq bigint NOT NULL,
    last_seq bigint NOT NULL,
    last_leaf_hash bytea NOT NULL,
    checkpoint text,
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- The checkpoints of boundaries: sealed segments, closed sessions, replaced keys.
CREATE TABLE auditx.checkpoint (
    trail_id uuid NOT NULL REFERENCES auditx.trail,
    size bigint NOT NULL,
    note text NOT NULL,
    PRIMARY KEY (trail_id, size)
);

CREATE TABLE auditx.entry (
    trail_id uuid NOT NULL REFERENCES auditx.trail,
    seq bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    company text,
    branch text,
    actor text,
    action text,
    module text,
    level text,
    entity_type text,
    entity_id text,
    reference_no text,
    leaf_hash bytea NOT NULL,
    -- The exact text; jsonb would reorder the keys.
    line text NOT NULL,
    -- NULL if jsonb refuses the text.
    body jsonb,
    PRIMARY KEY (trail_id, seq, recorded_at)
) PARTITION BY RANGE (recorded_at);

CREATE TABLE auditx.entry_default PARTITION OF auditx.entry DEFAULT;

CREATE INDEX entry_entity ON auditx.entry (entity_type, entity_id, recorded_at);
CREATE INDEX entry_actor ON auditx.entry (actor, recorded_at);
CREATE INDEX entry_time ON auditx.entry USING brin (recorded_at);

CREATE FUNCTION auditx.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'auditx.% is insert-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER insert_only BEFORE UPDATE OR DELETE ON auditx.entry
    FOR EACH ROW EXECUTE FUNCTION auditx.refuse_change();
CREATE TRIGGER insert_only_as_a_whole BEFORE TRUNCATE ON auditx.entry
    FOR EACH STATEMENT EXECUTE FUNCTION auditx.refuse_change();
CREATE TRIGGER insert_only BEFORE UPDATE OR DELETE ON auditx.checkpoint
    FOR EACH ROW EXECUTE FUNCTION auditx.refuse_change();
CREATE TRIGGER never_deleted BEFORE DELETE ON auditx.trail
    FOR EACH ROW EXECUTE FUNCTION auditx.refuse_change();

CREATE FUNCTION auditx.refuse_return() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.last_seq < OLD.last_seq OR NEW.first_seq <> OLD.first_seq OR NEW.trail_id <> OLD.trail_id THEN
        RAISE EXCEPTION 'a trail only grows' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER only_grows BEFORE UPDATE ON auditx.trail
    FOR EACH ROW EXECUTE FUNCTION auditx.refuse_return();

-- Called by shippers, which may not create tables themselves. If the default partition already contains rows of a
-- month, no partition is created for it.
CREATE FUNCTION auditx.make_month(month date) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog AS $$
DECLARE
    first date := date_trunc('month', month);
    name text := 'entry_' || to_char(first, 'YYYYMM');
BEGIN
    IF first < '2000-01-01' OR first > now() + interval '2 months' OR to_regclass('auditx.' || name) IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE auditx.%I PARTITION OF auditx.entry FOR VALUES FROM (%L) TO (%L)', name,
        first::text || ' 00:00:00+00', (first + interval '1 month')::date::text || ' 00:00:00+00');
EXCEPTION
    WHEN check_violation OR duplicate_table OR invalid_object_definition THEN
        NULL;
END $$;

ALTER SCHEMA auditx OWNER TO auditx_owner;
ALTER TABLE auditx.migration OWNER TO auditx_owner;
ALTER TABLE auditx.trail OWNER TO auditx_owner;
ALTER TABLE auditx.checkpoint OWNER TO auditx_owner;
ALTER TABLE auditx.entry OWNER TO auditx_owner;
ALTER TABLE auditx.entry_default OWNER TO auditx_owner;
ALTER FUNCTION auditx.refuse_change() OWNER TO auditx_owner;
ALTER FUNCTION auditx.refuse_return() OWNER TO auditx_owner;
ALTER FUNCTION auditx.make_month(date) OWNER TO auditx_owner;

GRANT USAGE ON SCHEMA auditx TO auditx_ship, auditx_read;
GRANT SELECT ON auditx.trail, auditx.checkpoint, auditx.entry TO auditx_read;
GRANT SELECT, INSERT, UPDATE ON auditx.trail TO auditx_ship;
GRANT SELECT, INSERT ON auditx.checkpoint, auditx.entry TO auditx_ship;
GRANT SELECT ON auditx.migration TO auditx_ship;
REVOKE ALL ON FUNCTION auditx.make_month(date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION auditx.make_month(date) TO auditx_ship;
