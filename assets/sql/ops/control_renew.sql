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
