-- Returns the settings of a table whose changes are read from the log. $1: the table.
SELECT l.entity_type, l.module, l.key, l.mask, l.exclude,
    -- The present names of these columns; a null for one that was dropped.
    ARRAY(
        SELECT CASE WHEN l.numbered = $1::oid THEN a.attname::text ELSE stored.name END
        FROM unnest(l.key || l.mask || l.exclude, l.numbers) WITH ORDINALITY stored (name, number, position)
        LEFT JOIN pg_attribute a ON a.attrelid = $1::oid AND a.attnum = stored.number AND NOT a.attisdropped
        ORDER BY stored.position),
    ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = $1::oid AND attnum > 0 AND NOT attisdropped)
FROM auditx.logical l WHERE l.relation = $1::oid
