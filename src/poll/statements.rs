//! Statements per tenant: whose the entries of `pg_stat_statements` are, and what they came to over the last minute.
//!
//! What a tenant's own login did, or what was done in its own database, is its own: those sums are complete. Of the shared
//! account's statements each is somebody's only by [`Evidence`]; the rest is nobody's, and as long as there is a rest,
//! nobody of whom nothing was found is said to have done nothing.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;

use super::evidence::{Evidence, tells_schemas_apart};
use super::window::SPAN;
use crate::attribution::{Directory, named_in};
use crate::domain::facts::{Statement, StatementCounters, StatementKey, Statements};
use crate::domain::session::Rank;
use crate::domain::statement::TOP;
use crate::domain::{Session, TenantId, TenantStatements, TopStatement};

/// The part of the server's WAL that may stay nobody's before those of whom nothing was found become unknown.
const NEGLIGIBLE: f64 = 0.01;

const BLOCK: f64 = 8_192.0;

/// More evidence waits so many seconds for company before everything is worked out anew.
const REST: f64 = 2.0;

/// The most texts of which is remembered whose schema they name.
const MOST_CLAIMS: usize = 5_000;

/// What one tenant's statements came to.
#[derive(Debug, Default)]
struct Sum<'a> {
    strong: StatementCounters,
    /// Its entries in each of the answers, the oldest first, for the list.
    entries: Vec<(Rank, &'a Statement)>,
}

/// The answers of the last minute and what follows from them.
#[derive(Debug, Clone, Default)]
pub(super) struct StatementWindow {
    evidence: Evidence,
    /// Whose schema the texts of the shared account's statements name.
    claims: HashMap<StatementKey, Option<TenantId>>,
    version: u32,
    /// When everything was worked out last, and whether there is more evidence since.
    added: Option<Timestamp>,
    outdated: bool,
    answers: VecDeque<Arc<Statements>>,
    tenants: HashMap<TenantId, Arc<TenantStatements>>,
    seconds: f64,
    /// WAL and blocks read in all, where that is known and may be trusted.
    wal: Option<f64>,
    blocks: Option<f64>,
    /// WAL of statements that are nobody's.
    adrift: f64,
}

impl StatementWindow {
    /// Takes one poll's sessions, attributed: evidence of whose statements are whose. Says whether all was worked out anew.
    pub fn sessions(&mut self, directory: &Directory, version: u32, sessions: &[Session]) -> bool {
        self.version = version;
        self.outdated |= self.evidence.take(directory, version, sessions);
        let now = sessions.first().map(|session| session.server_now).filter(|_| self.outdated);
        let rested =
            |now: &Timestamp| self.added.is_none_or(|added| now.duration_since(added).as_secs_f64().abs() >= REST);
        let Some(now) = now.filter(rested) else { return false };
        self.add_up(directory, now);
        true
    }

    /// Takes one answer.
    pub fn take(&mut self, directory: &Directory, answer: Arc<Statements>) {
        let now = answer.server_now;
        if answer.before.is_none() || self.answers.back().is_some_and(|last| last.server_now > now) {
            self.answers.clear();
        }
        self.answers.push_back(answer);
        let old = |answer: &Arc<Statements>| now.duration_since(answer.server_now).as_secs_f64() >= SPAN.as_secs_f64();
        while self.answers.len() > 1 && self.answers.front().is_some_and(old) {
            self.answers.pop_front();
        }
        self.add_up(directory, now);
    }

    /// Forgets what was counted: the server was restarted. Whose a statement is stays true.
    pub fn clear(&mut self) {
        let (evidence, version) = (std::mem::take(&mut self.evidence), self.version);
        *self = Self { evidence, version, ..Self::default() };
    }

    /// What the statements of those cost of whom any are known.
    pub fn all(&self) -> impl Iterator<Item = (&TenantId, &Arc<TenantStatements>)> {
        self.tenants.iter()
    }

    /// The part of the server's WAL that a tenant wrote, from what is known of its statements; `None` where that cannot be
    /// said. `complete`: it has no other statements than those of its own login or database.
    pub fn wal_share(&self, own: Option<&TenantStatements>, complete: bool) -> Option<f64> {
        let all = self.wal?;
        let own = own.map_or(0.0, |known| known.wal_bytes * self.seconds);
        let known = own > 0.0 || complete || self.adrift <= all * NEGLIGIBLE;
        known.then(|| if all > 0.0 { (own / all).min(1.0) } else { 0.0 })
    }

    /// The part of all blocks read by statements that a tenant's read.
    pub fn blocks_share(&self, own: Option<&TenantStatements>) -> Option<f64> {
        let all = self.blocks.filter(|all| *all > 0.0)?;
        let own = own?;
        (own.distrusted.is_none() && own.blocks_read > 0.0).then(|| (own.blocks_read * self.seconds / all).min(1.0))
    }

    /// Works everything out anew: there is more evidence or another answer.
    fn add_up(&mut self, directory: &Directory, now: Timestamp) {
        (self.added, self.outdated) = (Some(now), false);
        self.read_claims(directory);
        let counted: Vec<&Arc<Statements>> = self.answers.iter().filter(|answer| answer.before.is_some()).collect();
        let seconds: f64 = counted
            .iter()
            .filter_map(|answer| Some(answer.server_now.duration_since(answer.before?).as_secs_f64()))
            .sum();
        let distrusted = counted.iter().rev().find_map(|answer| answer.distrusted.clone());
        // Thousands of entries share a few accounts.
        let mut owners: HashMap<(&str, &str), Option<TenantId>> = HashMap::new();
        let mut owner = |role, database| -> Option<TenantId> {
            owners.entry((role, database)).or_insert_with(|| directory.by_account(role, database)).clone()
        };
        let mut sums: HashMap<TenantId, Sum<'_>> = HashMap::new();
        let (mut all, mut own) = (StatementCounters::default(), StatementCounters::default());
        for answer in &counted {
            for account in &answer.accounts {
                all.add(&account.grew);
                if let Some(tenant) = owner(account.role.raw(), account.database.raw()) {
                    own.add(&account.grew);
                    sums.entry(tenant).or_default().strong.add(&account.grew);
                }
            }
            for entry in &answer.entries {
                let account = owner(entry.role.raw(), entry.database.raw());
                let by_account = account.is_some();
                let whose = account.map(|tenant| (tenant, Rank::Strong)).or_else(|| self.whose(entry));
                let Some((tenant, rank)) = whose else { continue };
                let sum = sums.entry(tenant).or_default();
                if rank == Rank::Strong && !by_account {
                    sum.strong.add(&entry.grew);
                    own.add(&entry.grew);
                }
                sum.entries.push((rank, entry));
            }
        }
        self.tenants = if seconds > 0.0 {
            let all = all.temp_blocks;
            let shown = |sum| Arc::new(shown(sum, all, seconds, distrusted.clone()));
            sums.into_iter().map(|(id, sum)| (id, shown(sum))).collect()
        } else {
            HashMap::new()
        };
        let server: Option<u64> = counted.iter().map(|answer| answer.wal_bytes).sum();
        let trusted = seconds > 0.0 && distrusted.is_none();
        self.seconds = seconds;
        self.wal = server.filter(|_| trusted).map(|server| server.max(all.wal_bytes) as f64);
        self.blocks = trusted.then_some(all.blocks_read as f64);
        self.adrift = all.wal_bytes.saturating_sub(own.wal_bytes) as f64;
    }

    /// The tenant of a shared account's statement, and how sure that is.
    fn whose(&self, entry: &Statement) -> Option<(TenantId, Rank)> {
        if let Some(tenant) = self.evidence.tenant(&entry.database, entry.key.query) {
            return Some((tenant.clone(), Rank::Strong));
        }
        // Where all tenants' statements are one, its text is that of whoever came first.
        let claimed = self.claims.get(&entry.key).filter(|_| tells_schemas_apart(self.version))?;
        Some((claimed.clone()?, Rank::Claimed))
    }

    /// Reads the texts that were not read yet.
    fn read_claims(&mut self, directory: &Directory) {
        if self.claims.len() > MOST_CLAIMS {
            self.claims.clear();
        }
        for entry in self.answers.iter().flat_map(|answer| &answer.entries) {
            if let Some(text) = &entry.text {
                self.claims.entry(entry.key).or_insert_with(|| named_in(directory, text.raw()));
            }
        }
    }
}

fn shown(mut sum: Sum<'_>, all_temp: u64, seconds: f64, distrusted: Option<Arc<str>>) -> TenantStatements {
    sum.entries.sort_by_key(|(_, entry)| entry.key);
    let one = |alike: &[(Rank, &Statement)]| {
        let (rank, first) = *alike.first()?;
        let mut grew = StatementCounters::default();
        for (_, entry) in alike {
            grew.add(&entry.grew);
        }
        Some(TopStatement {
            query: first.key.query,
            text: alike.iter().rev().find_map(|(_, entry)| entry.text.clone()),
            rank,
            calls: grew.calls as f64 / seconds,
            milliseconds: grew.milliseconds / seconds,
            mean_milliseconds: grew.milliseconds / grew.calls.max(1) as f64,
            rows: grew.rows as f64 / seconds,
            blocks_read: grew.blocks_read as f64 / seconds,
            wal_bytes: grew.wal_bytes as f64 / seconds,
            temp_bytes: grew.temp_blocks as f64 * BLOCK / seconds,
        })
    };
    let mut top: Vec<TopStatement> =
        sum.entries.chunk_by(|(_, one), (_, other)| one.key == other.key).filter_map(one).collect();
    let sum = &sum.strong;
    // What part of the tenant's own use of anything it is.
    let weight = |it: &TopStatement| {
        let part = |one: f64, all: f64| if all > 0.0 { one * seconds / all } else { 0.0 };
        part(it.milliseconds, sum.milliseconds)
            .max(part(it.wal_bytes, sum.wal_bytes as f64))
            .max(part(it.blocks_read, sum.blocks_read as f64))
            .max(part(it.temp_bytes / BLOCK, sum.temp_blocks as f64))
    };
    top.sort_by(|a, b| b.rank.cmp(&a.rank).then(weight(b).total_cmp(&weight(a))).then(a.query.cmp(&b.query)));
    top.truncate(TOP);
    TenantStatements {
        top,
        calls: sum.calls as f64 / seconds,
        milliseconds: sum.milliseconds / seconds,
        blocks_read: sum.blocks_read as f64 / seconds,
        wal_bytes: sum.wal_bytes as f64 / seconds,
        temp_share: (all_temp > 0 && distrusted.is_none()).then(|| sum.temp_blocks as f64 / all_temp as f64),
        distrusted,
    }
}

#[cfg(test)]
mod tests;
