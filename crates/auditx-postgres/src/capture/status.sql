-- Returns the captured tables with their settings. $1: one of them, or NULL for all.
SELECT n.nspname || '.' || c.relname, settings ->> 'table', settings ->> 'module',
    ARRAY(SELECT jsonb_array_elements_text(settings -> 'key')),
    ARRAY(SELECT jsonb_array_elements_text(settings -> 'mask')),
    ARRAY(SELECT jsonb_array_elements_text(settings -> 'exclude')),
    t.tgenabled <> 'D'
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace,
    -- Each argument ends with a zero byte.
    LATERAL (SELECT substring(t.tgargs FOR position('\x00'::bytea IN t.tgargs) - 1)) first (argument),
    LATERAL (SELECT convert_from(first.argument, 'UTF8')::jsonb) s (settings)
WHERE t.tgfoid IN (to_regprocedure('auditx.note_change()'), to_regprocedure('auditx.note_part_of_change()'))
AND t.tgname = 'auditx_change' AND t.tgparentid = 0
AND ($1::oid IS NULL OR c.oid = $1)
ORDER BY 1
