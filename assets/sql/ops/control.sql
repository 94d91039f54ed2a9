-- Where leases, mirrored journals and heads of audit chains live: a schema of the admin login's own, in the control database.
-- Made once, by the first operation. Nothing in it is a secret. The monitoring login is granted to read who works on what; plans,
-- statements and heads of audit chains are granted to nobody.
CREATE SCHEMA tierdeck;
COMMENT ON SCHEMA tierdeck IS 'tierdeck control 1';
REVOKE ALL ON SCHEMA tierdeck FROM PUBLIC;
CREATE TABLE tierdeck.operation (
    id text PRIMARY KEY,
    kind text NOT NULL,
    summary text NOT NULL,
    state text NOT NULL,
    operator text NOT NULL,
    host text NOT NULL,
    version text NOT NULL,
    -- Raised whenever somebody goes on with it: whoever holds an older one may do nothing more.
    fence bigint NOT NULL,
    heartbeat timestamptz NOT NULL,
    began timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- What it holds, or held.
    subjects text[] NOT NULL DEFAULT '{}',
    -- Since when it shuts out who wants to write, and for how many seconds it may; without these seconds: since when that is tried.
    refused_since timestamptz,
    refused_budget float8,
    -- It is done, and what it did can still be undone.
    in_force boolean NOT NULL DEFAULT false
);
-- What an unfinished operation holds. The primary key is what makes it one operation a tenant.
CREATE TABLE tierdeck.hold (
    subject text PRIMARY KEY,
    operation text NOT NULL REFERENCES tierdeck.operation
);
CREATE TABLE tierdeck.journal (
    operation text NOT NULL REFERENCES tierdeck.operation,
    seq bigint NOT NULL,
    line text NOT NULL,
    PRIMARY KEY (operation, seq)
);
-- A row a line of each audit log, never changed: a log that says otherwise was rewritten.
CREATE TABLE tierdeck.audit_head (
    chain text NOT NULL,
    seq bigint NOT NULL,
    hash text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (chain, seq)
);
REVOKE ALL ON ALL TABLES IN SCHEMA tierdeck FROM PUBLIC;
