-- Capture by trigger. The functions below run with the rights of auditx_trigger, which may only add to the
-- outbox: to_jsonb calls the casts to json of a table's column types, and these belong to the owner of the
-- table.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'auditx_trigger') THEN
        CREATE ROLE auditx_trigger NOLOGIN;
    END IF;
END $$;

-- Changes of rows whose transactions have committed, until the collector has recorded them. Whatever does not
-- have to be done in the transaction is left to the collector, since each column, constraint and index costs
-- every captured statement: the difference of the rows, their key, the id of the entry.
CREATE TABLE auditx.row_change (
    -- The numbers of the outbox: the rows of both are recorded in their order.
    seq bigint PRIMARY KEY DEFAULT nextval('auditx.outbox_seq_seq'),
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- The first argument of the trigger.
    settings text NOT NULL,
    op "char" NOT NULL,
    -- The row before and after, or null.
    versions json NOT NULL,
    -- The key, if it is not in the columns that the settings name, and the masked columns that differ.
    key text,
    masked text[],
    database_user name NOT NULL DEFAULT session_user,
    -- As the application set it: it may be anything.
    context text
) WITH (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 20000,
    autovacuum_vacuum_insert_scale_factor = 0,
    autovacuum_vacuum_insert_threshold = 20000
);

-- All that waits. The id of a change follows from what distinguishes it from all others: its number; its
-- time, since a server that lost its last transactions uses their numbers again; the settings, which have an
-- id of their own in each database.
CREATE VIEW auditx.waiting AS
    SELECT seq, id, at, entry, change, NULL::text AS settings, NULL::"char" AS op, NULL::json AS versions,
        NULL::text AS key, NULL::text[] AS masked, NULL::name AS database_user, NULL::text AS context
    FROM auditx.outbox
    UNION ALL
    SELECT seq, encode(substr(sha256(convert_to(concat_ws(' ', seq, extract(epoch FROM at), settings),
            'UTF8')), 1, 16), 'hex')::uuid,
        at, NULL, NULL, settings, op, versions, key, masked, database_user, context
    FROM auditx.row_change;

-- Replaces a value whose text is longer than 8 KiB by its length and hash: those of the bytes of a bytea, of
-- the characters of a string, and otherwise of the JSON.
CREATE FUNCTION auditx.short_value(value jsonb, is_bytea boolean) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog AS $$
DECLARE
    content text;
    bytes bytea;
BEGIN
    -- A jsonb is a little longer than its strings, and its numbers are shorter than their digits.
    IF pg_column_size(value) <= 4096 THEN
        RETURN value;
    END IF;
    content := value #>> '{}';
    IF octet_length(content) <= 8192 THEN
        RETURN value;
    END IF;
    bytes := CASE WHEN is_bytea THEN decode(substr(content, 3), 'hex') ELSE convert_to(content, 'UTF8') END;
    RETURN jsonb_build_object('bytes', octet_length(bytes), 'sha256', encode(sha256(bytes), 'hex'));
END $$;

CREATE FUNCTION auditx.short_values(fields jsonb, relation oid) RETURNS jsonb LANGUAGE sql STABLE
    SET search_path = pg_catalog AS $$
    SELECT coalesce(jsonb_object_agg(field.key, auditx.short_value(field.value,
        coalesce(a.atttypid = 'bytea'::regtype, false))), '{}')
    FROM jsonb_each(fields) field
    LEFT JOIN pg_attribute a ON a.attrelid = relation AND a.attname = field.key
$$;

-- Returns a row as JSON whatever the settings of the session are. With fewer digits, a difference could be
-- missed. For sessions with the default settings the trigger does without: each SET costs as much as a small
-- row.
CREATE FUNCTION auditx.uniform(content anyelement) RETURNS jsonb LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog SET bytea_output = 'hex' SET extra_float_digits = 1
    SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres' AS $$
BEGIN
    RETURN to_jsonb(content);
END $$;

-- Returns the columns of a row that to_jsonb refuses as a whole: a text of more than 256 MB, or a json with
-- the escape \u0000. Each column is converted by itself: what cannot be noted as JSON is noted as text, as
-- length and hash, as length alone where there is not enough memory for the hash, or as the SQLSTATE of the
-- refusal.
-- The last is for all columns of a row that has more than 1 GB as it is stored.
CREATE FUNCTION auditx.each_column(content anyelement, relation oid) RETURNS jsonb LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog SET bytea_output = 'hex' SET extra_float_digits = 1
    SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres' AS $$
DECLARE
    fields jsonb := '{}';
    value jsonb;
    column_of record;
    size bigint;
    source text;
    hash text;
BEGIN
    FOR column_of IN
        SELECT attname AS name, atttypid = 'bytea'::regtype AS is_bytea,
            atttypid IN ('bytea'::regtype, 'text'::regtype, 'varchar'::regtype) AS has_length
        FROM pg_attribute WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped
    LOOP
        BEGIN
            source := format('($1).%I', column_of.name);
            IF NOT column_of.has_length THEN
                source := source || '::text';
            END IF;
            -- Does not decompress a value, which may have 1 GB.
            EXECUTE format('SELECT octet_length(%s)', source) INTO size USING content;
            IF size > 8192 THEN
                value := jsonb_build_object('bytes', size);
                IF NOT column_of.is_bytea THEN
                    source := format('convert_to(%s, ''UTF8'')', source);
                END IF;
                BEGIN
                    EXECUTE format('SELECT encode(sha256(%s), ''hex'')', source) INTO hash USING content;
                    value := value || jsonb_build_object('sha256', hash);
                EXCEPTION WHEN OTHERS THEN
                    NULL;
                END;
            ELSE
                BEGIN
                    EXECUTE format('SELECT to_jsonb(($1).%I)', column_of.name) INTO value USING content;
                EXCEPTION WHEN OTHERS THEN
                    EXECUTE format('SELECT to_jsonb(($1).%I::text)', column_of.name) INTO value USING content;
                END;
            END IF;
        EXCEPTION WHEN OTHERS THEN
            -- The time makes two unreadable values differ: a superfluous entry is better than a missing one.
            value := jsonb_build_object('error', SQLSTATE, 'at', clock_timestamp());
        END;
        fields := fields || jsonb_build_object(column_of.name, value);
    END LOOP;
    RETURN fields;
END $$;

-- Returns the present names of columns that had these names and numbers when the trigger was created. The
-- numbers count only for the table for which they were stored: a restored dump has others.
CREATE FUNCTION auditx.present_names(names text[], numbers int[], captured oid, relation oid) RETURNS text[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $$
BEGIN
    IF captured <> relation
        AND NOT EXISTS (SELECT FROM pg_partition_ancestors(relation) p WHERE p.relid = captured) THEN
        RETURN names;
    END IF;
    RETURN ARRAY(
        SELECT coalesce(a.attname, stored.name)
        FROM unnest(names, numbers) WITH ORDINALITY stored (name, number, position)
        LEFT JOIN pg_attribute a ON a.attrelid = captured AND a.attnum = stored.number AND NOT a.attisdropped
        ORDER BY stored.position);
END $$;

-- Removes the columns that two long rows have in common, and shortens the values of the rest.
CREATE FUNCTION auditx.shortened(INOUT before jsonb, INOUT after jsonb, relation oid) LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog AS $$
BEGIN
    IF before IS NOT NULL AND after IS NOT NULL THEN
        SELECT coalesce(jsonb_object_agg(field.key, field.value), '{}'),
                coalesce(jsonb_object_agg(field.key, after -> field.key), '{}')
            INTO before, after
            FROM jsonb_each(before) field WHERE field.value <> after -> field.key;
    END IF;
    before := auditx.short_values(before, relation);
    after := auditx.short_values(after, relation);
END $$;

-- Returns the context of the transaction; an empty object if there is none or it is not a JSON object.
CREATE FUNCTION auditx.context() RETURNS jsonb LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $$
DECLARE
    given text := current_setting('auditx.context', true);
    context jsonb;
BEGIN
    IF given IS NULL OR octet_length(given) NOT BETWEEN 2 AND 65536 THEN
        RETURN '{}';
    END IF;
    context := given::jsonb;
    RETURN CASE WHEN jsonb_typeof(context) = 'object' THEN context ELSE '{}' END;
EXCEPTION WHEN data_exception OR program_limit_exceeded OR statement_too_complex THEN
    RETURN '{}';
END $$;

-- Notes a change of a row that is not an ordinary one: it has a long or odd value, a column was renamed, or
-- the session has other settings. The arguments are those of the trigger.
CREATE FUNCTION auditx.note_with_care(op text, relation oid, arguments text[], old anyelement, new anyelement)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    keys text[] := arguments[1];
    masked text[] := arguments[2];
    excluded text[] := arguments[3];
    captured oid := arguments[4];
    numbers int[] := arguments[5];
    context text := current_setting('auditx.context', true);
    before jsonb;
    after jsonb;
    identified jsonb;
    place int := 0;
    is_renamed boolean := false;
    row_key text;
    differs text[] := '{}';
    name text;
BEGIN
    BEGIN
        IF current_setting('bytea_output') = 'hex' AND current_setting('extra_float_digits')::int > 0
            AND current_setting('datestyle') ^@ 'ISO' AND current_setting('intervalstyle') = 'postgres' THEN
            IF op <> 'INSERT' THEN before := to_jsonb(old); END IF;
            IF op <> 'DELETE' THEN after := to_jsonb(new); END IF;
        ELSE
            IF op <> 'INSERT' THEN before := auditx.uniform(old); END IF;
            IF op <> 'DELETE' THEN after := auditx.uniform(new); END IF;
        END IF;
    EXCEPTION WHEN OTHERS THEN
        IF op <> 'INSERT' THEN before := auditx.each_column(old, relation); END IF;
        IF op <> 'DELETE' THEN after := auditx.each_column(new, relation); END IF;
    END;
    -- If an update changes the key, that is a change of the row with the old one.
    identified := coalesce(before, after);
    FOREACH name IN ARRAY keys || masked || excluded LOOP
        place := place + 1;
        -- Reads a cache; a query of pg_attribute would cost four times as much.
        is_renamed := is_renamed OR (pg_identify_object_as_address(1259, captured, numbers[place]))
            .object_names[3] IS DISTINCT FROM name;
    END LOOP;
    IF is_renamed THEN
        -- A masked or excluded column stays so under its new name, and so does another that got the old one.
        excluded := excluded || auditx.present_names(excluded, numbers[cardinality(keys || masked) + 1 :],
            captured, relation);
        masked := masked || auditx.present_names(masked,
            numbers[cardinality(keys) + 1 : cardinality(keys || masked)], captured, relation);
        keys := auditx.present_names(keys, numbers[: cardinality(keys)], captured, relation);
    END IF;
    row_key := identified ->> keys[1];
    FOREACH name IN ARRAY keys[2 :] LOOP
        row_key := concat(row_key, ',', identified ->> name);
    END LOOP;
    FOREACH name IN ARRAY masked LOOP
        IF identified ? name AND before -> name IS DISTINCT FROM after -> name THEN
            differs := differs || name;
        END IF;
    END LOOP;
    before := before - (masked || excluded);
    after := after - (masked || excluded);
    IF before = after AND differs = '{}' THEN
        RETURN;
    END IF;
    IF pg_column_size(before) > 4096 OR pg_column_size(after) > 4096 THEN
        SELECT s.before, s.after INTO before, after FROM auditx.shortened(before, after, relation) s;
    END IF;
    IF octet_length(context) > 65536 THEN
        context := NULL;
    END IF;
    INSERT INTO auditx.row_change (settings, op, versions, key, masked, context)
        VALUES (arguments[0], op::"char", json_build_array(before, after), coalesce(row_key, ''), differs,
            context);
END $$;

-- The trigger of rows, for tables whose key is one column and all of whose columns are noted. Its arguments:
-- the settings as JSON, for people and the collector; columns of the key; masked columns; excluded columns;
-- the table; the numbers of the columns of the key, masked and excluded; the first of them; its name; the
-- names of all of them; masked and excluded columns without those of the key.
--
-- In a transaction that changes one row, an expression of this function costs more to prepare than to
-- evaluate, so an ordinary change has three statements, and all others are left to another function. SET
-- search_path would cost as much as one of them. Without it, names are searched in the schemas of the
-- session, so each function, type and operator is written with its schema, and nothing is written that has an
-- operator but does not show it: no IN, BETWEEN, NULLIF, IS DISTINCT FROM, and no CASE with an operand.
CREATE FUNCTION auditx.note_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    versions pg_catalog.json;
BEGIN
    BEGIN
        versions := pg_catalog.json_build_array(OLD, NEW);
    EXCEPTION WHEN OTHERS THEN
        versions := NULL;
    END;
    -- As auditx.wake_collector() does: a trigger of its own would cost more.
    IF (pg_catalog.pg_try_advisory_xact_lock_shared(1635083380, 2) OR auditx.wake())
        AND pg_catalog.pg_column_size(versions) OPERATOR(pg_catalog.<=) 8192
        AND coalesce(pg_catalog.octet_length(pg_catalog.current_setting('auditx.context', true))
            OPERATOR(pg_catalog.<=) 65536, true)
        AND pg_catalog.current_setting('bytea_output') OPERATOR(pg_catalog.=) 'hex'
        AND pg_catalog.current_setting('extra_float_digits') OPERATOR(pg_catalog.>=) '1'
        AND pg_catalog.current_setting('datestyle') OPERATOR(pg_catalog.^@) 'ISO'
        AND pg_catalog.current_setting('intervalstyle') OPERATOR(pg_catalog.=) 'postgres'
        -- Reads a cache. A query of pg_attribute would cost as much as the rest of this function.
        AND (pg_catalog.pg_identify_object_as_address(1259, TG_ARGV[4]::pg_catalog.oid,
            TG_ARGV[6]::pg_catalog.int4)).object_names[3] OPERATOR(pg_catalog.=) TG_ARGV[7] THEN
        INSERT INTO auditx.row_change (settings, op, versions, context) VALUES (TG_ARGV[0],
            TG_OP::pg_catalog."char", versions, pg_catalog.current_setting('auditx.context', true));
    ELSE
        PERFORM auditx.note_with_care(TG_OP, TG_RELID, TG_ARGV, OLD, NEW);
    END IF;
    RETURN NULL;
END $$;

-- The trigger of rows for all other tables. What is said above is true here too.
CREATE FUNCTION auditx.note_part_of_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    before pg_catalog.jsonb;
    after pg_catalog.jsonb;
    is_ordinary boolean;
    place pg_catalog.int4 := 0;
    name pg_catalog.text;
    masked pg_catalog.text[];
    hidden pg_catalog.text[];
BEGIN
    BEGIN
        before := pg_catalog.to_jsonb(OLD);
        after := pg_catalog.to_jsonb(NEW);
    EXCEPTION WHEN OTHERS THEN
        before := NULL;
        after := NULL;
    END;
    is_ordinary := (pg_catalog.pg_try_advisory_xact_lock_shared(1635083380, 2) OR auditx.wake())
        AND coalesce(before, after) IS NOT NULL
        AND coalesce(pg_catalog.pg_column_size(before), 0) OPERATOR(pg_catalog.<=) 8192
        AND coalesce(pg_catalog.pg_column_size(after), 0) OPERATOR(pg_catalog.<=) 8192
        AND coalesce(pg_catalog.octet_length(pg_catalog.current_setting('auditx.context', true))
            OPERATOR(pg_catalog.<=) 65536, true)
        AND pg_catalog.current_setting('bytea_output') OPERATOR(pg_catalog.=) 'hex'
        AND pg_catalog.current_setting('extra_float_digits') OPERATOR(pg_catalog.>=) '1'
        AND pg_catalog.current_setting('datestyle') OPERATOR(pg_catalog.^@) 'ISO'
        AND pg_catalog.current_setting('intervalstyle') OPERATOR(pg_catalog.=) 'postgres';
    FOREACH name IN ARRAY TG_ARGV[8]::pg_catalog.text[] LOOP
        place := place OPERATOR(pg_catalog.+) 1;
        is_ordinary := is_ordinary AND coalesce((pg_catalog.pg_identify_object_as_address(1259,
            TG_ARGV[4]::pg_catalog.oid, (TG_ARGV[5]::pg_catalog.int4[])[place])).object_names[3]
            OPERATOR(pg_catalog.=) name, false);
    END LOOP;
    IF NOT is_ordinary THEN
        PERFORM auditx.note_with_care(TG_OP, TG_RELID, TG_ARGV, OLD, NEW);
        RETURN NULL;
    END IF;
    FOREACH name IN ARRAY TG_ARGV[2]::pg_catalog.text[] LOOP
        IF coalesce((before OPERATOR(pg_catalog.->) name) OPERATOR(pg_catalog.<>)
            (after OPERATOR(pg_catalog.->) name), true) THEN
            masked := pg_catalog.array_append(masked, name);
        END IF;
    END LOOP;
    hidden := TG_ARGV[9];
    IF masked IS NULL AND (before OPERATOR(pg_catalog.-) hidden) OPERATOR(pg_catalog.=)
        (after OPERATOR(pg_catalog.-) hidden) THEN
        RETURN NULL;
    END IF;
    INSERT INTO auditx.row_change (settings, op, versions, masked, context) VALUES (TG_ARGV[0],
        TG_OP::pg_catalog."char", pg_catalog.json_build_array(before OPERATOR(pg_catalog.-) hidden,
        after OPERATOR(pg_catalog.-) hidden), masked, pg_catalog.current_setting('auditx.context', true));
    RETURN NULL;
END $$;

-- The trigger of TRUNCATE, with the same arguments.
CREATE FUNCTION auditx.note_truncate() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog AS $$
DECLARE
    settings jsonb := TG_ARGV[0];
BEGIN
    INSERT INTO auditx.outbox (id, change) VALUES (gen_random_uuid(), jsonb_build_object(
        'module', settings ->> 'module', 'table', settings ->> 'table', 'key', '', 'op', 'T',
        -- The partitions of a table have triggers of their own, since they can be truncated alone.
        'old', CASE WHEN TG_RELID = TG_ARGV[4]::oid THEN '{}'
            ELSE jsonb_build_object('partition', TG_TABLE_NAME) END,
        'new', '{}'::jsonb, 'user', session_user, 'context', auditx.context()));
    RETURN NULL;
END $$;

-- To become the owner of a function in the schema, a role must be allowed to create there.
GRANT USAGE, CREATE ON SCHEMA auditx TO auditx_trigger;
ALTER FUNCTION auditx.note_change() OWNER TO auditx_trigger;
ALTER FUNCTION auditx.note_part_of_change() OWNER TO auditx_trigger;
ALTER FUNCTION auditx.note_truncate() OWNER TO auditx_trigger;
ALTER FUNCTION auditx.note_with_care(text, oid, text[], anyelement, anyelement) OWNER TO auditx_owner;
REVOKE CREATE ON SCHEMA auditx FROM auditx_trigger;
ALTER FUNCTION auditx.short_value(jsonb, boolean) OWNER TO auditx_owner;
ALTER FUNCTION auditx.short_values(jsonb, oid) OWNER TO auditx_owner;
ALTER FUNCTION auditx.uniform(anyelement) OWNER TO auditx_owner;
ALTER FUNCTION auditx.each_column(anyelement, oid) OWNER TO auditx_owner;
ALTER FUNCTION auditx.present_names(text[], int[], oid, oid) OWNER TO auditx_owner;
ALTER FUNCTION auditx.shortened(jsonb, jsonb, oid) OWNER TO auditx_owner;
ALTER FUNCTION auditx.context() OWNER TO auditx_owner;
ALTER TABLE auditx.row_change OWNER TO auditx_owner;
ALTER VIEW auditx.waiting OWNER TO auditx_owner;
GRANT USAGE ON SEQUENCE auditx.outbox_seq_seq TO auditx_trigger;
GRANT INSERT (settings, op, versions, key, masked, context) ON auditx.row_change TO auditx_trigger;
GRANT INSERT (id, change) ON auditx.outbox TO auditx_trigger;
GRANT SELECT, DELETE ON auditx.row_change TO auditx_collect;
GRANT SELECT ON auditx.waiting TO auditx_collect;
-- A user who may put the triggers on a table can write anything into the outbox.
REVOKE ALL ON FUNCTION auditx.note_change(), auditx.note_part_of_change(), auditx.note_truncate()
    FROM PUBLIC;
