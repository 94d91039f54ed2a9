-- What every third tenant has as well.
CREATE TABLE sessions (token text PRIMARY KEY, customer_id bigint NOT NULL, seen_at timestamptz NOT NULL DEFAULT now());
INSERT INTO sessions SELECT md5(i::text), i FROM generate_series(1, 2 + {orders} / 20) AS i;
