-- Returns the statements that remove the triggers of a table and its partitions. $1: the table.
SELECT format('DROP TRIGGER %I ON %I.%I', t.tgname, n.nspname, c.relname)
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE t.tgfoid IN (to_regprocedure('auditx.note_change()'), to_regprocedure('auditx.note_part_of_change()'),
    to_regprocedure('auditx.note_truncate()'))
AND t.tgparentid = 0 AND (c.oid = $1::oid OR c.oid IN (SELECT relid FROM pg_partition_tree($1)))
