-- Capture of commands (DDL), roles and rights, while the table auditx.guard has its row. Event triggers note
-- the commands, if a superuser created them. Roles fire no event triggers: the collector compares their
-- present state with the stored one.
CREATE TABLE auditx.guard (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    -- Whether event triggers were created.
    has_triggers boolean NOT NULL,
    -- When the collector compared last.
    compared_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The state that was noted last.
CREATE TABLE auditx.guarded (
    kind text NOT NULL,
    oid oid NOT NULL,
    name text NOT NULL,
    state jsonb NOT NULL,
    PRIMARY KEY (kind, oid)
);

-- The present state of all roles, of captured tables and of the event triggers. A password is in none of it.
CREATE VIEW auditx.guardable (kind, oid, name, state) AS
SELECT 'role', r.oid, r.rolname::text, jsonb_build_object('name', r.rolname, 'superuser', r.rolsuper,
    'inherit', r.rolinherit, 'create_role', r.rolcreaterole, 'create_db', r.rolcreatedb,
    'login', r.rolcanlogin, 'replication', r.rolreplication, 'bypass_row_security', r.rolbypassrls,
    'connection_limit', r.rolconnlimit, 'settings', r.rolconfig,
    -- The state must not depend on the time zone of a session.
    'valid_until_utc', r.rolvaliduntil AT TIME ZONE 'UTC',
    'member_of', ARRAY(
        SELECT g.rolname || CASE WHEN bool_or(m.admin_option) THEN ' with admin option' ELSE '' END
        FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid
        GROUP BY g.rolname ORDER BY g.rolname))
FROM pg_roles r WHERE NOT r.rolname ^@ 'pg_'
UNION ALL
SELECT 'table', c.oid, n.nspname || '.' || c.relname, jsonb_build_object(
    'owner', pg_get_userbyid(c.relowner),
    'rights', ARRAY(SELECT item::text FROM unnest(coalesce(c.relacl, acldefault('r', c.relowner))) item
        ORDER BY item::text),
    'column_rights', coalesce((SELECT jsonb_object_agg(a.attname, a.attacl::text[]) FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attacl IS NOT NULL), '{}'))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid IN (SELECT t.tgrelid FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
    WHERE t.tgname IN ('auditx_change', 'auditx_truncate') AND p.pronamespace = 'auditx'::regnamespace)
UNION ALL
SELECT 'event trigger', oid, evtname::text, jsonb_build_object('enabled', evtenabled <> 'D')
FROM pg_event_trigger WHERE evtname IN ('auditx_ddl', 'auditx_drop');

-- Stores the present state of these kinds, or only of these objects of them. Returns what differs from the
-- stored one: the members of old and new state that do. If several sessions call this at the same time, a
-- difference is returned to one of them.
CREATE FUNCTION auditx.differences(wanted text[], objects oid[])
    RETURNS TABLE (kind text, oid oid, name text, op text, old jsonb, new jsonb) LANGUAGE sql
    SET search_path = pg_catalog AS $$
    WITH found AS MATERIALIZED (
        SELECT kind, oid, coalesce(p.name, s.name) AS name, s.state AS old, p.state AS new
        FROM (SELECT * FROM auditx.guardable WHERE kind = ANY (wanted)) p
        FULL JOIN (SELECT * FROM auditx.guarded WHERE kind = ANY (wanted)) s USING (kind, oid)
        WHERE s.state IS DISTINCT FROM p.state AND (objects IS NULL OR oid = ANY (objects))
    ), stored AS (
        INSERT INTO auditx.guarded AS g SELECT kind, oid, name, new FROM found WHERE new IS NOT NULL
        ON CONFLICT (kind, oid) DO UPDATE SET name = excluded.name, state = excluded.state
            WHERE g.state IS DISTINCT FROM excluded.state
        RETURNING g.kind, g.oid
    ), removed AS (
        DELETE FROM auditx.guarded g USING found f
        WHERE f.new IS NULL AND g.kind = f.kind AND g.oid = f.oid
        RETURNING g.kind, g.oid
    )
    SELECT kind, oid, name, CASE WHEN old IS NULL THEN 'I' WHEN new IS NULL THEN 'D' ELSE 'U' END,
        coalesce((SELECT jsonb_object_agg(key, value) FROM jsonb_each(old)
            WHERE new IS NULL OR value IS DISTINCT FROM new -> key), '{}'),
        coalesce((SELECT jsonb_object_agg(key, value) FROM jsonb_each(new)
            WHERE old IS NULL OR value IS DISTINCT FROM old -> key), '{}')
    FROM found JOIN (SELECT * FROM stored UNION ALL SELECT * FROM removed) own USING (kind, oid)
$$;

-- Notes in the outbox what differs from the stored state. Who made a change is not known, only that it was
-- after the comparison before. Called by the collector.
CREATE FUNCTION auditx.compare() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog AS $$
DECLARE
    started timestamptz := clock_timestamp();
    since timestamptz;
BEGIN
    SELECT compared_at INTO since FROM auditx.guard FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    INSERT INTO auditx.outbox (id, change)
    SELECT gen_random_uuid(), jsonb_build_object(
        'module', CASE kind WHEN 'role' THEN 'auth' ELSE 'system' END, 'table', kind, 'key', name,
        -- A table is there or not because triggers were created or removed: it has not been.
        'op', CASE WHEN kind = 'table' THEN 'U' ELSE op END,
        'old', CASE WHEN kind = 'table' AND op <> 'U' THEN jsonb_build_object('captured', op = 'D')
            ELSE old END,
        'new', CASE WHEN kind = 'table' AND op <> 'U' THEN jsonb_build_object('captured', op = 'I')
            ELSE new END || jsonb_build_object('unchanged_until', to_jsonb(since)),
        'user', '', 'context', '{}'::jsonb)
    FROM auditx.differences('{role,table,event trigger}', NULL) ORDER BY kind, name;
    UPDATE auditx.guard SET compared_at = started;
END $$;

-- Returns the text that the client sent, of at most 8 KiB. It may hold other commands as well: if one of them
-- may have a password, nothing of it is returned.
CREATE FUNCTION auditx.command_text() RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
    SELECT CASE
        WHEN query ~* 'passw|secret|token|credential|api_?key|private_?key' THEN '[REDACTED]'
        WHEN octet_length(left(query, 8192)) <= 8192 THEN left(query, 8192)
        ELSE left(query, 2048)
    END FROM current_query() query
$$;

-- Returns what the commands that just ended did to captured tables and to the schema auditx: the type and
-- name of an entity, the operation, and old and new values.
CREATE FUNCTION auditx.commands(tag text) RETURNS TABLE (kind text, name text, op text, old jsonb, new jsonb)
    LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    RETURN QUERY
    WITH captured AS MATERIALIZED (
        SELECT g.oid, g.name FROM auditx.guardable g WHERE g.kind = 'table'
    ), command AS MATERIALIZED (
        SELECT DISTINCT c.command_tag, c.object_type, c.object_identity, c.schema_name, CASE c.classid
            WHEN 'pg_class'::regclass THEN c.objid
            WHEN 'pg_trigger'::regclass THEN (SELECT t.tgrelid FROM pg_trigger t WHERE t.oid = c.objid)
            WHEN 'pg_policy'::regclass THEN (SELECT p.polrelid FROM pg_policy p WHERE p.oid = c.objid)
            WHEN 'pg_rewrite'::regclass THEN (SELECT r.ev_class FROM pg_rewrite r WHERE r.oid = c.objid)
        END AS relation
        FROM pg_event_trigger_ddl_commands() c
    ), differs AS MATERIALIZED (
        SELECT d.oid, d.name, d.old, d.new FROM auditx.differences('{table}',
            -- Which tables these are about is visible in the rights only.
            CASE WHEN tag NOT IN ('GRANT', 'REVOKE', 'DROP OWNED')
                THEN ARRAY(SELECT relation FROM command WHERE relation IS NOT NULL) END) d
        WHERE d.op = 'U'
    )
    SELECT 'table', t.name, 'U', coalesce(d.old, '{}'), coalesce(d.new, '{}') || jsonb_build_object(
        'command', c.command_tag, 'object', c.object_type || ' ' || c.object_identity)
    FROM command c JOIN captured t ON t.oid = c.relation LEFT JOIN differs d ON d.oid = t.oid
    UNION ALL
    SELECT c.object_type, c.object_identity, 'U', '{}', jsonb_build_object('command', c.command_tag)
    FROM command c WHERE c.schema_name = 'auditx'
        AND NOT EXISTS (SELECT FROM captured t WHERE t.oid = c.relation)
    UNION ALL
    SELECT 'table', d.name, 'U', d.old, d.new || jsonb_build_object('command', tag)
    FROM differs d WHERE NOT EXISTS (SELECT FROM command c WHERE c.relation = d.oid);
END $$;

-- Returns the same of what was dropped.
CREATE FUNCTION auditx.drops(tag text) RETURNS TABLE (kind text, name text, op text, old jsonb, new jsonb)
    LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    RETURN QUERY
    WITH dropped AS MATERIALIZED (SELECT * FROM pg_event_trigger_dropped_objects()),
    captured AS MATERIALIZED (SELECT g.oid, g.name FROM auditx.guarded g WHERE g.kind = 'table'),
    gone AS (
        SELECT t.oid, t.name FROM captured t JOIN dropped d
            ON d.classid = 'pg_class'::regclass AND d.objid = t.oid AND d.objsubid = 0
    )
    SELECT 'table', g.name, 'D', '{}'::jsonb, jsonb_build_object('command', tag) FROM gone g
    UNION ALL
    SELECT 'table', t.name, 'U', '{}', jsonb_build_object('command', tag,
        'object', d.object_type || ' ' || d.object_identity)
    FROM dropped d JOIN captured t ON t.name = d.address_names[1] || '.' || d.address_names[2]
    WHERE d.object_type IN ('trigger', 'policy', 'rule')
        AND NOT EXISTS (SELECT FROM gone g WHERE g.oid = t.oid)
    UNION ALL
    SELECT d.object_type, d.object_identity, 'D', '{}', jsonb_build_object('command', tag)
    FROM dropped d WHERE d.schema_name = 'auditx' AND d.original;
    DELETE FROM auditx.guarded g USING pg_event_trigger_dropped_objects() d
    WHERE g.kind = 'table' AND d.classid = 'pg_class'::regclass AND d.objid = g.oid AND d.objsubid = 0;
END $$;

-- The event trigger. Like the trigger of tables, it makes a command fail only if the outbox cannot be
-- written.
CREATE FUNCTION auditx.note_command() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog AS $$
DECLARE
    notes jsonb;
    text_of text;
    context jsonb := '{}';
BEGIN
    BEGIN
        IF tg_event = 'sql_drop' THEN
            SELECT jsonb_agg(to_jsonb(d)) INTO notes FROM auditx.drops(tg_tag) d;
        ELSE
            SELECT jsonb_agg(to_jsonb(c)) INTO notes FROM auditx.commands(tg_tag) c;
        END IF;
        text_of := auditx.command_text();
    EXCEPTION WHEN OTHERS THEN
        notes := jsonb_build_array(jsonb_build_object('kind', 'command', 'name', tg_tag, 'op', 'U',
            'old', '{}'::jsonb, 'new', jsonb_build_object('error', SQLSTATE)));
    END;
    IF notes IS NULL THEN
        RETURN;
    END IF;
    IF current_setting('auditx.context', true) <> '' THEN
        context := auditx.context();
    END IF;
    INSERT INTO auditx.outbox (id, change)
    SELECT gen_random_uuid(), jsonb_build_object('module', 'system', 'table', note -> 'kind',
        'key', note -> 'name', 'op', note -> 'op', 'old', note -> 'old',
        'new', (note -> 'new') || jsonb_build_object('sql', text_of),
        'user', session_user, 'context', context)
    FROM jsonb_array_elements(notes) note;
END $$;

ALTER TABLE auditx.guard OWNER TO auditx_owner;
ALTER TABLE auditx.guarded OWNER TO auditx_owner;
ALTER VIEW auditx.guardable OWNER TO auditx_owner;
ALTER FUNCTION auditx.differences(text[], oid[]) OWNER TO auditx_owner;
ALTER FUNCTION auditx.command_text() OWNER TO auditx_owner;
ALTER FUNCTION auditx.commands(text) OWNER TO auditx_owner;
ALTER FUNCTION auditx.drops(text) OWNER TO auditx_owner;
-- To become the owner of a function in the schema, a role must be allowed to create there.
GRANT CREATE ON SCHEMA auditx TO auditx_trigger;
ALTER FUNCTION auditx.compare() OWNER TO auditx_trigger;
ALTER FUNCTION auditx.note_command() OWNER TO auditx_trigger;
REVOKE CREATE ON SCHEMA auditx FROM auditx_trigger;
GRANT SELECT, UPDATE ON auditx.guard TO auditx_trigger;
GRANT SELECT, INSERT, UPDATE, DELETE ON auditx.guarded TO auditx_trigger;
GRANT SELECT ON auditx.guardable TO auditx_trigger;
REVOKE ALL ON FUNCTION auditx.compare() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION auditx.compare() TO auditx_collect;
