-- Stores the settings of a table. $1: the table; $2: type of the entities; $3: module; $4: key; $5: masked
-- columns; $6: excluded columns; $7: their numbers.
INSERT INTO auditx.logical (relation, is_active, entity_type, module, key, mask, exclude, numbers, numbered)
VALUES ($1::oid, true, $2, $3, $4, $5, $6, $7, $1::oid)
ON CONFLICT (relation) DO UPDATE SET is_active = true, entity_type = excluded.entity_type,
    module = excluded.module, key = excluded.key, mask = excluded.mask, exclude = excluded.exclude,
    numbers = excluded.numbers, numbered = excluded.numbered
