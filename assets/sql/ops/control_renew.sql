-- A control schema that an earlier version made, as it is now. Works twice.
ALTER TABLE tierdeck.operation
    ADD COLUMN IF NOT EXISTS subjects text[] NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS refused_since timestamptz,
    ADD COLUMN IF NOT EXISTS refused_budget float8,
    ADD COLUMN IF NOT EXISTS in_force boolean NOT NULL DEFAULT false;
-- What operations hold that are under way: it is known here, and only not told yet.
UPDATE tierdeck.operation o
SET subjects = (SELECT array_agg(h.subject ORDER BY h.subject) FROM tierdeck.hold h WHERE h.operation = o.id)
WHERE o.subjects = '{}' AND EXISTS (SELECT FROM tierdeck.hold h WHERE h.operation = o.id);
-- A row a line of an audit log, where there was one a log.
ALTER TABLE tierdeck.audit_head DROP CONSTRAINT audit_head_pkey, ADD PRIMARY KEY (chain, seq);
