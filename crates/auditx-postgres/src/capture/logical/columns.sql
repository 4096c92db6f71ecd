-- Returns the numbers of columns, one that does not exist, and whether the table has partitions and no
-- primary key. $1: the table; $2: the columns.
SELECT coalesce(array_agg(a.attnum::int ORDER BY named.position), '{}'),
    min(named.name) FILTER (WHERE a.attnum IS NULL),
    (SELECT c.relkind = 'p' AND NOT EXISTS (
            SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)
        FROM pg_class c WHERE c.oid = $1::oid)
FROM unnest($2::text[]) WITH ORDINALITY named (name, position)
LEFT JOIN pg_attribute a ON a.attrelid = $1::oid AND a.attname = named.name AND a.attnum > 0
    AND NOT a.attisdropped
