//! The keys of `[thresholds]`: every number that a signal compares with.

use super::field::{Field, Scale, Slot, Table};
use crate::domain::Thresholds;

impl Table for Thresholds {
    #[expect(clippy::too_many_lines, reason = "one table of keys; cut in two it would be harder to read")]
    fn fields(&mut self) -> Vec<Field<'_>> {
        use Scale::{Amount, Seconds, Share};
        use Slot::{Ladder, Number};
        // Taken apart so that a new threshold without a key does not compile.
        let Self {
            noisy_share,
            noisy_fair_shares,
            noisy_pressure,
            noisy_victims,
            noisy_victim_seconds,
            connections,
            role_limit,
            query_seconds,
            idle_in_transaction_seconds,
            lock_wait_seconds,
            lock_victims,
            autovacuum_debt,
            autovacuum_min_dead,
            xid_age_info,
            xid_age,
            deadlocks_per_minute,
            bloat_share,
            bloat_min_bytes,
            temp_bytes_per_second,
            slot_share,
            slot_bytes,
            replication_lag_seconds,
            replication_lag_bytes,
            xmin_age,
            xmin_seconds,
            xmin_least_age,
            prepared_seconds,
            sequence_used,
            restart_warning_seconds,
            restart_info_seconds,
            operation_silent_seconds,
            operation_paused_seconds,
            tier_rows_shared,
            tier_rows_dedicated,
            tier_spikiness,
            tier_noisy_times,
            tier_size_bytes,
            tier_watched_seconds,
            cpu,
            memory,
            storage,
            storage_warning_seconds,
            storage_critical_seconds,
            latency_seconds,
            latency_least_iops,
            iops,
            credits_used,
            credits_empty_seconds,
            metric_seconds,
            backup_rpo,
            backup_pitr,
            certificate_warning_seconds,
            certificate_critical_seconds,
            maintenance_seconds,
            hold_seconds,
            clear_after_seconds,
        } = self;
        vec![
            Field::new(
                "noisy_share",
                "noisy-neighbour, temp-spill: the least share of a resource that one tenant must take",
                Number(noisy_share, Share),
            ),
            Field::new(
                "noisy_fair_shares",
                "noisy-neighbour: how many times its fair share it must take as well",
                Number(noisy_fair_shares, Amount),
            ),
            Field::new(
                "noisy_pressure",
                "noisy-neighbour: how near the instance must be to its limit of that resource",
                Ladder(noisy_pressure, Share),
            ),
            Field::new(
                "noisy_victims",
                "noisy-neighbour: how many other tenants must suffer",
                Number(noisy_victims, Amount),
            ),
            Field::new(
                "noisy_victim_seconds",
                "noisy-neighbour: a tenant suffers when it had to wait this long within a minute",
                Number(noisy_victim_seconds, Amount),
            ),
            Field::new(
                "connections",
                "connection-saturation: used share of the connections that clients may have",
                Ladder(connections, Share),
            ),
            Field::new(
                "role_limit",
                "role-limit-saturation: used share of a role's CONNECTION LIMIT",
                Ladder(role_limit, Share),
            ),
            Field::new("query_seconds", "long-running-query: age of a statement", Ladder(query_seconds, Seconds)),
            Field::new(
                "idle_in_transaction_seconds",
                "idle-in-transaction: time since the last statement of an open transaction",
                Ladder(idle_in_transaction_seconds, Seconds),
            ),
            Field::new(
                "lock_wait_seconds",
                "lock-chain: how long the oldest victim has waited",
                Ladder(lock_wait_seconds, Seconds),
            ),
            Field::new(
                "lock_victims",
                "lock-chain: this many victims are critical whatever they waited",
                Number(lock_victims, Amount),
            ),
            Field::new(
                "autovacuum_debt",
                "autovacuum-debt: dead rows as a multiple of the table's own threshold",
                Ladder(autovacuum_debt, Amount),
            ),
            Field::new(
                "autovacuum_min_dead",
                "autovacuum-debt: tables with fewer dead rows are left alone",
                Number(autovacuum_min_dead, Amount),
            ),
            Field::new(
                "xid_age_info",
                "wraparound: the age at which it is worth knowing",
                Number(xid_age_info, Amount),
            ),
            Field::new("xid_age", "wraparound: age in transaction ids, or in multixacts", Ladder(xid_age, Amount)),
            Field::new("deadlocks_per_minute", "deadlocks: how many a minute", Ladder(deadlocks_per_minute, Amount)),
            Field::new(
                "bloat_share",
                "bloat: the least share of a table or index that is wasted",
                Number(bloat_share, Share),
            ),
            Field::new(
                "bloat_min_bytes",
                "bloat: tables and indexes that waste fewer bytes are left alone",
                Number(bloat_min_bytes, Amount),
            ),
            Field::new(
                "temp_bytes_per_second",
                "temp-spill: bytes a second that go to temporary files",
                Ladder(temp_bytes_per_second, Amount),
            ),
            Field::new(
                "slot_share",
                "inactive-slot: WAL kept for a slot as a share of max_slot_wal_keep_size",
                Ladder(slot_share, Share),
            ),
            Field::new(
                "slot_bytes",
                "inactive-slot: bytes of WAL kept for a slot where nothing bounds them",
                Ladder(slot_bytes, Amount),
            ),
            Field::new(
                "replication_lag_seconds",
                "replication-lag: how far a standby is behind, in time",
                Ladder(replication_lag_seconds, Seconds),
            ),
            Field::new(
                "replication_lag_bytes",
                "replication-lag: how far a standby is behind, in bytes of WAL",
                Ladder(replication_lag_bytes, Amount),
            ),
            Field::new(
                "xmin_age",
                "xmin-horizon: transaction ids that passed since what is held",
                Ladder(xmin_age, Amount),
            ),
            Field::new("xmin_seconds", "xmin-horizon: how long it has been held", Ladder(xmin_seconds, Seconds)),
            Field::new(
                "xmin_least_age",
                "xmin-horizon: where fewer transaction ids passed meanwhile, time does not count",
                Number(xmin_least_age, Amount),
            ),
            Field::new(
                "prepared_seconds",
                "prepared-transactions: time since PREPARE TRANSACTION",
                Ladder(prepared_seconds, Seconds),
            ),
            Field::new(
                "sequence_used",
                "sequence-exhaustion: used share of a sequence's values",
                Ladder(sequence_used, Share),
            ),
            Field::new(
                "restart_warning_seconds",
                "restart: a server that was started anew while we watch is a warning for so long",
                Number(restart_warning_seconds, Seconds),
            ),
            Field::new(
                "restart_info_seconds",
                "restart: a server that started is worth knowing for so long",
                Number(restart_info_seconds, Seconds),
            ),
            Field::new(
                "operation_silent_seconds",
                "operation-stalled: who carries one out has not been heard of for so long",
                Ladder(operation_silent_seconds, Seconds),
            ),
            Field::new(
                "operation_paused_seconds",
                "operation-stalled: it has waited for an operator for so long, and holds its tenant",
                Ladder(operation_paused_seconds, Seconds),
            ),
            Field::new(
                "tier_rows_shared",
                "tier-misfit: a dedicated tenant that writes fewer rows a day would fit a shared instance",
                Number(tier_rows_shared, Amount),
            ),
            Field::new(
                "tier_rows_dedicated",
                "tier-misfit: a tenant that writes more rows a day wants an instance of its own",
                Number(tier_rows_dedicated, Amount),
            ),
            Field::new(
                "tier_spikiness",
                "tier-misfit: rows written in the busiest hour as a multiple of the mean hour",
                Number(tier_spikiness, Amount),
            ),
            Field::new(
                "tier_noisy_times",
                "tier-misfit: how often it was a noisy neighbour",
                Number(tier_noisy_times, Amount),
            ),
            Field::new(
                "tier_size_bytes",
                "tier-misfit: bytes that no maintenance window moves",
                Number(tier_size_bytes, Amount),
            ),
            Field::new(
                "tier_watched_seconds",
                "tier-misfit: who was watched for less is not judged",
                Number(tier_watched_seconds, Seconds),
            ),
            Field::new("cpu", "cpu: used share of the CPU, by CloudWatch", Ladder(cpu, Share)),
            Field::new("memory", "memory: used share of the class's memory, by CloudWatch", Ladder(memory, Share)),
            Field::new(
                "storage",
                "storage: used share of what it has, or of what it may grow to by itself",
                Ladder(storage, Share),
            ),
            Field::new(
                "storage_warning_seconds",
                "storage: full within this, as fast as it grows, is a warning",
                Number(storage_warning_seconds, Seconds),
            ),
            Field::new(
                "storage_critical_seconds",
                "storage: full within this, as fast as it grows, is critical",
                Number(storage_critical_seconds, Seconds),
            ),
            Field::new(
                "latency_seconds",
                "latency: time that a read or a write takes",
                Ladder(latency_seconds, Seconds),
            ),
            Field::new(
                "latency_least_iops",
                "latency: with fewer reads (writes) a second their time says nothing",
                Number(latency_least_iops, Amount),
            ),
            Field::new(
                "iops",
                "iops: used share of the reads and writes a second that storage and class give",
                Ladder(iops, Share),
            ),
            Field::new("credits_used", "burst-credits, iops: used share of credits", Ladder(credits_used, Share)),
            Field::new(
                "credits_empty_seconds",
                "burst-credits: empty within this, as fast as they go, is a warning",
                Number(credits_empty_seconds, Seconds),
            ),
            Field::new(
                "metric_seconds",
                "cpu, memory, latency, iops: what is judged is the mean of so long",
                Number(metric_seconds, Seconds),
            ),
            Field::new(
                "backup_rpo",
                "backup-stale: age of the newest backup as a multiple of policy.backup.rpo",
                Ladder(backup_rpo, Amount),
            ),
            Field::new(
                "backup_pitr",
                "backup-stale: age of the newest moment that can be restored, as a multiple of policy.backup.rpo.pitr",
                Ladder(backup_pitr, Amount),
            ),
            Field::new(
                "certificate_warning_seconds",
                "restart: a certificate of RDS that ends within this is a warning",
                Number(certificate_warning_seconds, Seconds),
            ),
            Field::new(
                "certificate_critical_seconds",
                "restart: a certificate of RDS that ends within this is critical",
                Number(certificate_critical_seconds, Seconds),
            ),
            Field::new(
                "maintenance_seconds",
                "restart: maintenance of RDS that comes within this is worth knowing",
                Number(maintenance_seconds, Seconds),
            ),
            Field::new(
                "hold_seconds",
                "how long something must be true before it is a finding",
                Number(hold_seconds, Seconds),
            ),
            Field::new(
                "clear_after_seconds",
                "how long it must be untrue before the finding goes",
                Number(clear_after_seconds, Seconds),
            ),
        ]
    }
}
