-- Prepared transactions, the oldest first, with the schemas of the relations that they hold locks on in our database. Nobody's
-- pid stands at those locks: they are found by the lock on the transaction id itself.
-- Cost: under 1 ms without any; with some, one look at pg_locks (2 ms). Privilege: none.
SELECT x.gid, pg_get_userbyid(x.ownerid)::text AS owner, d.datname::text AS database, x.prepared,
       age(x.transaction) AS xid_age,
       ARRAY(
           SELECT DISTINCT n.nspname::text
           FROM pg_locks own
           JOIN pg_locks l ON l.virtualtransaction = own.virtualtransaction AND l.pid IS NULL
           JOIN pg_class c ON c.oid = l.relation AND c.oid >= 16384
           JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE own.locktype = 'transactionid' AND own.transactionid = x.transaction AND own.pid IS NULL
             AND l.locktype = 'relation' AND l.database = x.dbid AND d.datname = current_database()
           ORDER BY 1
           LIMIT 20
       ) AS schemas
FROM pg_prepared_xact() x
JOIN pg_database d ON d.oid = x.dbid
ORDER BY xid_age DESC
LIMIT 50
