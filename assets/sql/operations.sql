-- Operations as every console is told of them: what is not over or still in force first, then the newest.
-- Cost: under 1 ms (a few hundred rows). Privilege: SELECT on these columns, which the control schema grants to the monitoring login.
SELECT id, kind, summary, state, operator, host, began, heartbeat, clock_timestamp() AS now, subjects,
       refused_since, refused_budget, in_force
FROM tierdeck.operation
ORDER BY (state IN ('running', 'paused') OR in_force OR refused_since IS NOT NULL) DESC, id DESC
LIMIT 300
