-- Returns the tables that are captured from the log, with their settings.
SELECT n.nspname || '.' || c.relname, l.entity_type, l.module, l.key, l.mask, l.exclude,
    EXISTS (SELECT FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid
        WHERE p.pubname = 'auditx' AND r.prrelid = c.oid)
    AND NOT EXISTS (SELECT FROM pg_class leaf WHERE leaf.relreplident <> 'f' AND leaf.relkind = 'r'
        AND (leaf.oid = c.oid OR leaf.oid IN (SELECT relid FROM pg_partition_tree(c.oid))))
FROM auditx.logical l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE l.is_active ORDER BY 1
