-- What all tenants' sessions touch, and so where they get in each other's way.
CREATE TABLE job_queue (
    id bigint PRIMARY KEY, queue text NOT NULL, run_at timestamptz NOT NULL DEFAULT now(), locked_by text,
    attempts integer NOT NULL DEFAULT 0);
CREATE TABLE feature_flags (name text PRIMARY KEY, enabled boolean NOT NULL, updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE tenant_registry (tenant text PRIMARY KEY, plan text NOT NULL, created_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE usage_counters (name text PRIMARY KEY, value bigint NOT NULL DEFAULT 0);
INSERT INTO job_queue SELECT i, (ARRAY['mail', 'invoice', 'export'])[1 + i % 3] FROM generate_series(1, 500) AS i;
INSERT INTO feature_flags SELECT 'flag-' || i, i % 2 = 0 FROM generate_series(1, 20) AS i;
INSERT INTO usage_counters SELECT unnest(ARRAY['requests', 'logins', 'exports', 'mails']);
