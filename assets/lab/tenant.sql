-- What every tenant has. Run by the owner with the search path on the tenant's schema; {orders} is how many it begins with.
CREATE TABLE customers (
    id bigint PRIMARY KEY, name text NOT NULL, country char(2) NOT NULL, created_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer_id bigint NOT NULL,
    placed_at timestamptz NOT NULL DEFAULT now(), status text NOT NULL DEFAULT 'new', total_cents bigint NOT NULL,
    note text);
CREATE TABLE events (at timestamptz NOT NULL DEFAULT now(), kind text NOT NULL, payload text NOT NULL);
INSERT INTO customers SELECT i, 'customer ' || i, (ARRAY['DE', 'FR', 'NL', 'SE', 'US'])[1 + i % 5]
    FROM generate_series(1, 2 + {orders} / 10) AS i;
INSERT INTO orders (customer_id, placed_at, status, total_cents, note)
    SELECT 1 + i % (2 + {orders} / 10), now() - i * interval '1 minute', 'paid', 500 + i * 7919 % 90000,
           CASE WHEN i % 7 = 0 THEN repeat('please ring twice; ', 6) END
    FROM generate_series(1, {orders}) AS i;
INSERT INTO events SELECT now() - i * interval '20 seconds', 'order.placed', md5(i::text)
    FROM generate_series(1, 2 * {orders}) AS i;
