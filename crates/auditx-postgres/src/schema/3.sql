-- Capture by trigger. The functions below run with the rights of auditx_trigger, which may only add to the
-- outbox: to_jsonb calls the casts to json of a table's column types, and these belong to the owner of the
-- table.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'auditx_trigger') THEN
        CREATE ROLE auditx_trigger NOLOGIN;
    END IF;
END $$;

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
-- the escape \u0000. Each column stands for itself: what cannot be noted as JSON is noted as text, as length
-- and hash, as length alone where there is not enough memory for the hash, or as the SQLSTATE of the refusal.
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
            -- The time makes it differ from another value that cannot be read: an update is noted that
            -- changed nothing rather than one missed.
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

-- The trigger. Its arguments: all settings as JSON, for people; module; name of the table; columns of the
-- key; masked columns; excluded columns; the table; the numbers of the columns of the key, masked and
-- excluded.
CREATE FUNCTION auditx.note_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog AS $$
DECLARE
    keys text[] := TG_ARGV[3];
    masked text[] := TG_ARGV[4];
    excluded text[] := TG_ARGV[5];
    before jsonb;
    after jsonb;
    identified jsonb;
    captured oid := TG_ARGV[6];
    numbers int[] := TG_ARGV[7];
    position int := 0;
    is_renamed boolean := false;
    row_key text := '';
    context jsonb := '{}';
    name text;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        -- The partitions of a table have triggers of their own, since they can be truncated alone.
        IF TG_RELID <> captured THEN
            before := jsonb_build_object('partition', TG_TABLE_NAME);
        END IF;
    ELSE
        BEGIN
            IF current_setting('bytea_output') = 'hex' AND current_setting('extra_float_digits')::int > 0
                AND current_setting('datestyle') ^@ 'ISO'
                AND current_setting('intervalstyle') = 'postgres' THEN
                IF TG_OP <> 'INSERT' THEN before := to_jsonb(OLD); END IF;
                IF TG_OP <> 'DELETE' THEN after := to_jsonb(NEW); END IF;
            ELSE
                IF TG_OP <> 'INSERT' THEN before := auditx.uniform(OLD); END IF;
                IF TG_OP <> 'DELETE' THEN after := auditx.uniform(NEW); END IF;
            END IF;
        EXCEPTION WHEN OTHERS THEN
            IF TG_OP <> 'INSERT' THEN before := auditx.each_column(OLD, TG_RELID); END IF;
            IF TG_OP <> 'DELETE' THEN after := auditx.each_column(NEW, TG_RELID); END IF;
        END;
        -- If an update changes the key, that is a change of the row with the old one.
        identified := coalesce(before, after);
        FOREACH name IN ARRAY keys || masked || excluded LOOP
            position := position + 1;
            -- Reads a cache; a query of pg_attribute for each row would cost more than all the rest.
            is_renamed := is_renamed OR (pg_identify_object_as_address(1259, captured, numbers[position]))
                .object_names[3] IS DISTINCT FROM name;
        END LOOP;
        IF is_renamed THEN
            -- A masked or excluded column stays so under its new name, and so does another that got the old
            -- one.
            excluded := excluded || auditx.present_names(excluded,
                numbers[cardinality(keys || masked) + 1 :], captured, TG_RELID);
            masked := masked || auditx.present_names(masked,
                numbers[cardinality(keys) + 1 : cardinality(keys || masked)], captured, TG_RELID);
            keys := auditx.present_names(keys, numbers[: cardinality(keys)], captured, TG_RELID);
        END IF;
        row_key := identified ->> keys[1];
        FOREACH name IN ARRAY keys[2:] LOOP
            row_key := concat(row_key, ',', identified ->> name);
        END LOOP;
        IF excluded <> '{}' THEN
            before := before - excluded;
            after := after - excluded;
        END IF;
        IF TG_OP = 'UPDATE' THEN
            SELECT jsonb_object_agg(field.key, field.value), jsonb_object_agg(field.key, after -> field.key)
                INTO before, after
                FROM jsonb_each(before) field WHERE field.value <> after -> field.key;
            IF before IS NULL THEN
                RETURN NULL;
            END IF;
        END IF;
        FOREACH name IN ARRAY masked LOOP
            IF before ? name THEN before := before || jsonb_build_object(name, '[REDACTED]'); END IF;
            IF after ? name THEN after := after || jsonb_build_object(name, '[REDACTED]'); END IF;
        END LOOP;
        IF pg_column_size(before) > 4096 THEN before := auditx.short_values(before, TG_RELID); END IF;
        IF pg_column_size(after) > 4096 THEN after := auditx.short_values(after, TG_RELID); END IF;
    END IF;
    IF current_setting('auditx.context', true) <> '' THEN
        context := auditx.context();
    END IF;
    INSERT INTO auditx.outbox (id, change) VALUES (gen_random_uuid(), jsonb_build_object(
        'module', TG_ARGV[1], 'table', TG_ARGV[2], 'key', coalesce(row_key, ''), 'op', left(TG_OP, 1),
        'old', coalesce(before, '{}'), 'new', coalesce(after, '{}'), 'user', session_user,
        'context', context));
    RETURN NULL;
END $$;

-- To become the owner of a function in the schema, a role must be allowed to create there.
GRANT USAGE, CREATE ON SCHEMA auditx TO auditx_trigger;
ALTER FUNCTION auditx.note_change() OWNER TO auditx_trigger;
REVOKE CREATE ON SCHEMA auditx FROM auditx_trigger;
ALTER FUNCTION auditx.short_value(jsonb, boolean) OWNER TO auditx_owner;
ALTER FUNCTION auditx.short_values(jsonb, oid) OWNER TO auditx_owner;
ALTER FUNCTION auditx.uniform(anyelement) OWNER TO auditx_owner;
ALTER FUNCTION auditx.each_column(anyelement, oid) OWNER TO auditx_owner;
ALTER FUNCTION auditx.present_names(text[], int[], oid, oid) OWNER TO auditx_owner;
ALTER FUNCTION auditx.context() OWNER TO auditx_owner;
GRANT INSERT (id, change) ON auditx.outbox TO auditx_trigger;
-- A user who may put the trigger on a table can write anything into the outbox.
REVOKE ALL ON FUNCTION auditx.note_change() FROM PUBLIC;
