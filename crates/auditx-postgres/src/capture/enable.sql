-- Returns the statements that create the triggers of a table and its partitions, or the columns that do not
-- exist. $1: the table; $2: module; $3: type of the entities; $4: key; $5: masked columns; $6: excluded
-- columns.
WITH named AS (
    SELECT name, position, a.attnum::int AS number
    FROM unnest($4::text[] || $5::text[] || $6::text[]) WITH ORDINALITY named (name, position)
    LEFT JOIN pg_attribute a ON a.attrelid = $1::oid AND a.attname = named.name AND a.attnum > 0
        AND NOT a.attisdropped
), arguments AS (
    -- The id tells the changes of this database from those of others.
    SELECT format('%L, %L, %L, %L, %L, %L, %L, %L, %L, %L', jsonb_build_object('id', gen_random_uuid(),
        'table', $3::text, 'module', $2::text, 'key', $4, 'mask', $5, 'exclude', $6), $4, $5, $6, $1,
        array_agg(number ORDER BY position), min(number) FILTER (WHERE position = 1), $4[1],
        array_agg(name ORDER BY position),
        -- The collector needs the key, and then removes it if it is excluded.
        ARRAY(SELECT unnest($5::text[] || $6::text[]) EXCEPT SELECT unnest($4::text[]))) AS list,
        CASE count(*) WHEN 1 THEN 'note_change' ELSE 'note_part_of_change' END AS function
    FROM named
), relations AS (
    SELECT $1 AS oid, 0 AS level
    UNION ALL SELECT relid, level FROM pg_partition_tree($1::oid) WHERE relid <> $1
)
SELECT '' AS statement, name AS missing FROM named WHERE number IS NULL
UNION ALL
SELECT format('CREATE OR REPLACE TRIGGER auditx_change AFTER INSERT OR UPDATE OR DELETE ON %I.%I '
    'FOR EACH ROW EXECUTE FUNCTION auditx.%I(%s)', n.nspname, c.relname, function, list), NULL
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, arguments WHERE c.oid = $1
UNION ALL
-- Partitions get the triggers of rows from the table, but not those of statements.
SELECT format('CREATE OR REPLACE TRIGGER auditx_truncate AFTER TRUNCATE ON %I.%I '
    'EXECUTE FUNCTION auditx.note_truncate(%s)', n.nspname, c.relname, list), NULL
FROM relations JOIN pg_class c ON c.oid = relations.oid
    JOIN pg_namespace n ON n.oid = c.relnamespace, arguments
WHERE c.relkind IN ('r', 'p')
