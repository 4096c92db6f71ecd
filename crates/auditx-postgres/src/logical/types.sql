-- Returns the base types of types, and the types of the elements of arrays; 0 if there are none. $1: the
-- types.
WITH RECURSIVE base AS (
    SELECT oid AS of, oid, typtype, typbasetype, typelem, typcategory FROM pg_type WHERE oid = ANY($1::oid[])
    UNION ALL
    SELECT base.of, t.oid, t.typtype, t.typbasetype, t.typelem, t.typcategory
    FROM base JOIN pg_type t ON base.typtype = 'd' AND t.oid = base.typbasetype
)
SELECT of, oid, CASE WHEN typcategory = 'A' THEN typelem ELSE 0::oid END FROM base WHERE typtype <> 'd'
