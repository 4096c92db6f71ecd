-- Returns the statements that take a table out of the publication, and give it and its partitions back what
-- identified their rows. $1: the table.
SELECT format('ALTER PUBLICATION auditx DROP TABLE %I.%I', n.nspname, c.relname)
FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid JOIN pg_class c ON c.oid = r.prrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE p.pubname = 'auditx' AND c.oid = $1::oid
UNION ALL
SELECT format('ALTER TABLE %I.%I REPLICA IDENTITY %s', n.nspname, c.relname, i.identity)
FROM auditx.logical_identity i JOIN pg_class c ON c.oid = i.relation
    JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE i.captured = $1::oid
    -- An index that was dropped since cannot identify them again.
    AND (i.identity NOT LIKE 'USING INDEX %' OR EXISTS (SELECT FROM pg_index x JOIN pg_class index
        ON index.oid = x.indexrelid WHERE x.indrelid = c.oid
        AND i.identity = format('USING INDEX %I', index.relname)))
