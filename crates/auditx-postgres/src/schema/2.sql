CREATE TABLE auditx.outbox (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id uuid NOT NULL UNIQUE,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    entry text,
    change jsonb,
    CHECK ((entry IS NULL) <> (change IS NULL))
);
