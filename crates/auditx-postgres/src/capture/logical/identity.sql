-- Notes what identifies the rows of a table and of its partitions. Returns the statements after which the log
-- has their old values. $1: the table.
WITH relations AS (
    SELECT $1::oid AS oid UNION SELECT relid FROM pg_partition_tree($1::oid)
), found AS (
    SELECT c.oid, n.nspname, c.relname, CASE c.relreplident
        WHEN 'd' THEN 'DEFAULT'
        WHEN 'n' THEN 'NOTHING'
        WHEN 'f' THEN 'FULL'
        ELSE (SELECT format('USING INDEX %I', i.relname)
            FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
            WHERE x.indrelid = c.oid AND x.indisreplident) END AS identity
    FROM relations JOIN pg_class c USING (oid) JOIN pg_namespace n ON n.oid = c.relnamespace
), noted AS (
    INSERT INTO auditx.logical_identity (relation, captured, identity)
    SELECT oid, $1::oid, identity FROM found
    ON CONFLICT DO NOTHING
)
SELECT format('ALTER TABLE %I.%I REPLICA IDENTITY FULL', nspname, relname) FROM found WHERE identity <> 'FULL'
