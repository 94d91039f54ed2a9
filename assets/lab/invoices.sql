-- What every other tenant has as well.
CREATE TABLE invoices (
    id bigint PRIMARY KEY, order_id bigint NOT NULL, issued_on date NOT NULL DEFAULT current_date,
    amount_cents bigint NOT NULL, paid boolean NOT NULL DEFAULT false);
INSERT INTO invoices SELECT i, i, current_date - i % 365, 500 + i * 7919 % 90000, i % 3 > 0
    FROM generate_series(1, {orders}) AS i;
