-- Returns the statement that publishes a table, if it is not published. $1: the table.
SELECT format(CASE WHEN EXISTS (SELECT FROM pg_publication WHERE pubname = 'auditx')
    THEN 'ALTER PUBLICATION auditx ADD TABLE %I.%I'
    ELSE 'CREATE PUBLICATION auditx FOR TABLE %I.%I WITH (publish_via_partition_root = true)' END,
    n.nspname, c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = $1::oid AND NOT EXISTS (
    SELECT FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid
    WHERE p.pubname = 'auditx' AND r.prrelid = c.oid)
