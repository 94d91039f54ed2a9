//! Source `statements`: by how much the entries of `pg_stat_statements` grew. The book remembers what they were, so that
//! only what changed is told, and knows when a difference would lie.

pub mod setup;

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tokio_postgres::Row;

use super::desk::Desk;
use super::text::Text;
use crate::clients::postgres::QueryError;
use crate::domain::Foreign;
use crate::domain::facts::{Account, Statement, StatementCounters, StatementKey, Statements, Wal};

/// How many entries are told of each of: the most WAL, the most time, the most blocks read, the most temporary blocks.
const DEAREST: usize = 400;

/// Texts that are fetched at once, and how often that may be: it reads all of them from a file.
const TEXTS: usize = 600;
const TEXTS_EVERY: Duration = Duration::from_secs(15);

/// Texts that are remembered.
const REMEMBERED: usize = 4 * TEXTS;

/// The oldest version of the extension that counts WAL and says what it threw out.
const VERSION: (u32, u32) = (1, 9);

/// One entry as it was read.
#[derive(Debug, Clone)]
struct Entry {
    key: StatementKey,
    role: Foreign,
    database: Foreign,
    counters: StatementCounters,
}

/// All that one look saw.
#[derive(Debug, Clone, Default)]
struct Look {
    now: Timestamp,
    entries: Vec<Entry>,
    evictions: u64,
    since: Option<Timestamp>,
    wal: Wal,
}

/// What was seen before, and the texts that were fetched. Kept across connections.
#[derive(Debug, Default)]
pub struct Book {
    last: Option<Seen>,
    texts: HashMap<StatementKey, Foreign>,
    fetched: Option<Instant>,
}

#[derive(Debug)]
struct Seen {
    now: Timestamp,
    counters: HashMap<StatementKey, StatementCounters>,
    evictions: u64,
    since: Option<Timestamp>,
    wal: Wal,
}

impl Book {
    /// Reads the counters and says by how much they grew since they were read before.
    pub async fn ask(&mut self, desk: &Desk) -> Result<Statements, QueryError> {
        let place = Place::find(desk).await?;
        let look = place.look(desk).await?;
        let mut statements = self.take(look);
        (statements.most, statements.query_ids) = (place.most, place.query_ids);
        // Another module may give ids instead: then something grows.
        if !place.query_ids && statements.before.is_some() && statements.entries.is_empty() {
            let reason = "compute_query_id is off: pg_stat_statements counts nothing; set it to auto".to_owned();
            return Err(QueryError::Absent { reason });
        }
        self.fetch_texts(desk, &place, &statements).await?;
        for statement in &mut statements.entries {
            statement.text = self.texts.get(&statement.key).cloned();
        }
        Ok(statements)
    }

    /// Compares with the look before.
    fn take(&mut self, look: Look) -> Statements {
        let Look { now, entries, evictions, since, wal } = look;
        let mut statements =
            Statements { server_now: now, known: entries.len() as u32, evictions, since, ..Statements::default() };
        let counters = entries.iter().map(|entry| (entry.key, entry.counters)).collect();
        let last = self.last.replace(Seen { now, counters, evictions, since, wal });
        let Some(last) = last.filter(|last| now > last.now) else { return statements };
        statements.before = Some(last.now);
        statements.wal_bytes = wal.grew(last.wal);
        let mut doubts = String::new();
        if since != last.since {
            // What was counted from the reset on is not what was done since the look before.
            doubts.push_str("the counters of pg_stat_statements were reset a moment ago");
            statements.distrusted = Some(doubts.into());
            return statements;
        }
        if evictions > last.evictions {
            let _ = write!(
                doubts,
                "pg_stat_statements throws entries out to make room (dealloc grew by {}): raise pg_stat_statements.max",
                evictions - last.evictions
            );
        }
        let mut fell = 0_u32;
        let mut grown = Vec::new();
        for Entry { key, role, database, counters } in entries {
            let before = last.counters.get(&key).copied().unwrap_or_default();
            match counters.since(&before) {
                Some(grew) if grew == StatementCounters::default() => {}
                Some(grew) => grown.push(Statement { key, role, database, text: None, grew }),
                None => fell += 1,
            }
        }
        if fell > 0 && doubts.is_empty() {
            let _ = write!(doubts, "{fell} entries of pg_stat_statements were reset a moment ago");
        }
        statements.distrusted = (!doubts.is_empty()).then(|| Arc::from(doubts));
        statements.accounts = accounts(&grown);
        statements.entries = dearest(grown);
        statements
    }

    /// Fetches the texts that are missing, when that is due.
    async fn fetch_texts(&mut self, desk: &Desk, place: &Place, statements: &Statements) -> Result<(), QueryError> {
        let missing = statements.entries.iter().filter(|statement| !self.texts.contains_key(&statement.key));
        let wanted: Vec<i64> = missing.map(|statement| statement.key.query).take(TEXTS).collect();
        let due = self.fetched.is_none_or(|fetched| fetched.elapsed() >= TEXTS_EVERY);
        if wanted.is_empty() || !due {
            return Ok(());
        }
        self.fetched = Some(Instant::now());
        if self.texts.len() > REMEMBERED {
            let needed: HashSet<_> = statements.entries.iter().map(|statement| statement.key).collect();
            self.texts.retain(|key, _| needed.contains(key));
        }
        let sql = include_str!("../../../assets/sql/statement_texts.sql");
        let rows = match desk.rows_in(sql, &place.schema, &[&wanted]).await {
            Ok(rows) => rows,
            Err(error) if error.is_lost() => return Err(error),
            // One text that is none in our encoding, or a file too large to be read in time: figures do without texts.
            Err(_) => return Ok(()),
        };
        for row in rows {
            if let Some(text) = row.try_get::<_, Option<Text>>("text")? {
                self.texts.insert(key(&row)?, text.into());
            }
        }
        Ok(())
    }
}

/// What each login's statements in each database came to.
fn accounts(grown: &[Statement]) -> Vec<Account> {
    let mut accounts: HashMap<(u32, u32), Account> = HashMap::new();
    for Statement { key, role, database, grew, .. } in grown {
        let account = accounts.entry((key.role, key.database)).or_insert_with(|| Account {
            role: role.clone(),
            database: database.clone(),
            grew: StatementCounters::default(),
        });
        account.grew.add(grew);
    }
    let mut accounts: Vec<_> = accounts.into_values().collect();
    accounts.sort_by(|a, b| (&a.role, &a.database).cmp(&(&b.role, &b.database)));
    accounts
}

/// Those that matter: the first by WAL, by time, by blocks read, by temporary blocks written.
fn dearest(mut grown: Vec<Statement>) -> Vec<Statement> {
    if grown.len() <= DEAREST {
        return grown;
    }
    let measures: [fn(&StatementCounters) -> f64; 4] = [
        |grew| grew.wal_bytes as f64,
        |grew| grew.milliseconds,
        |grew| grew.blocks_read as f64,
        |grew| grew.temp_blocks as f64,
    ];
    let mut kept = HashSet::new();
    for measure in measures {
        grown.sort_by(|a, b| measure(&b.grew).total_cmp(&measure(&a.grew)));
        kept.extend(grown.iter().take(DEAREST).map(|statement| statement.key));
    }
    grown.retain(|statement| kept.contains(&statement.key));
    grown
}

/// Where the extension is.
struct Place {
    schema: String,
    most: u32,
    query_ids: bool,
}

impl Place {
    /// Finds it, or says what is missing and what to do about it.
    async fn find(desk: &Desk) -> Result<Self, QueryError> {
        let rows = desk.rows(include_str!("../../../assets/sql/statements_place.sql"), &[]).await?;
        let row = rows.first().ok_or_else(|| QueryError::Answer { reason: "no row".to_owned() })?;
        let absent = |reason: String| Err(QueryError::Absent { reason });
        let (database, user) = (Foreign::from(desk.database()), Foreign::from(desk.user()));
        let most = row.try_get::<_, Option<Text>>("most")?;
        let Some(schema) = row.try_get::<_, Option<Text>>("schema")? else {
            let load = if most.is_some() { "" } else { ", and add it to shared_preload_libraries" };
            return absent(format!(
                "pg_stat_statements is not in database {database}: CREATE EXTENSION pg_stat_statements there{load}"
            ));
        };
        let Some(most) = most else {
            return absent(
                "pg_stat_statements is not loaded: add it to shared_preload_libraries and restart".to_owned(),
            );
        };
        let version = row.try_get::<_, Text>("version")?.0;
        if older(&version) {
            return absent(format!(
                "pg_stat_statements in database {database} is version {}: ALTER EXTENSION pg_stat_statements UPDATE there",
                Foreign::from(version)
            ));
        }
        if !row.try_get::<_, bool>("sees_all")? {
            return absent(format!("our login sees its own statements only: GRANT pg_read_all_stats TO {user}"));
        }
        if !row.try_get::<_, bool>("may_look")? {
            return absent(format!(
                "pg_stat_statements is in a schema that is closed to us: GRANT USAGE ON SCHEMA {} TO {user}",
                Foreign::from(schema.0)
            ));
        }
        let query_ids = row.try_get::<_, Text>("query_ids")?.0 != "off";
        Ok(Self { schema: schema.0, most: most.0.parse().unwrap_or_default(), query_ids })
    }

    async fn look(&self, desk: &Desk) -> Result<Look, QueryError> {
        let info = include_str!("../../../assets/sql/statements_info.sql");
        let info = desk.rows_in(info, &self.schema, &[]).await?;
        let info = info.first().ok_or_else(|| QueryError::Answer { reason: "no row".to_owned() })?;
        let rows = desk.rows_in(include_str!("../../../assets/sql/statements.sql"), &self.schema, &[]).await?;
        let mut names = Names::default();
        Ok(Look {
            now: info.try_get("now")?,
            entries: rows.iter().map(|row| entry(row, &mut names)).collect::<Result<_, _>>()?,
            evictions: u64::try_from(info.try_get::<_, i64>("dealloc")?).unwrap_or_default(),
            since: info.try_get("since")?,
            wal: Wal {
                bytes: u64::try_from(info.try_get::<_, i64>("wal_bytes")?).unwrap_or_default(),
                since: info.try_get("wal_since")?,
            },
        })
    }
}

/// Whether a version such as `1.8` is too old for what is asked.
fn older(version: &str) -> bool {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or_default());
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default()) < VERSION
}

/// Thousands of entries share a few names.
#[derive(Default)]
struct Names(HashMap<(&'static str, u32), Foreign>);

impl Names {
    fn of(&mut self, oid: u32, row: &Row, column: &'static str) -> Result<Foreign, QueryError> {
        if let Some(known) = self.0.get(&(column, oid)) {
            return Ok(known.clone());
        }
        let name = Foreign::from(row.try_get::<_, Text>(column)?);
        self.0.insert((column, oid), name.clone());
        Ok(name)
    }
}

fn key(row: &Row) -> Result<StatementKey, QueryError> {
    Ok(StatementKey { role: row.try_get("userid")?, database: row.try_get("dbid")?, query: row.try_get("queryid")? })
}

fn entry(row: &Row, names: &mut Names) -> Result<Entry, QueryError> {
    let count = |name| row.try_get::<_, i64>(name).map(|count| u64::try_from(count).unwrap_or_default());
    let key = key(row)?;
    Ok(Entry {
        key,
        role: names.of(key.role, row, "role")?,
        database: names.of(key.database, row, "database")?,
        counters: StatementCounters {
            calls: count("calls")?,
            milliseconds: row.try_get("milliseconds")?,
            rows: count("rows")?,
            blocks_read: count("blocks_read")?,
            blocks_dirtied: count("blocks_dirtied")?,
            temp_blocks: count("temp_blocks")?,
            wal_bytes: count("wal_bytes")?,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn entry(query: i64, calls: u64, wal_bytes: u64) -> Entry {
        Entry {
            key: StatementKey { role: 1, database: 2, query },
            role: Foreign::from("portarium_shared"),
            database: Foreign::from("portarium"),
            counters: StatementCounters { calls, wal_bytes, ..StatementCounters::default() },
        }
    }

    fn look(now: i64, entries: Vec<Entry>) -> Look {
        Look { now: at(now), entries, wal: Wal { bytes: 100 * now.unsigned_abs(), since: None }, ..Look::default() }
    }

    #[test]
    fn only_what_grew_is_told() {
        let mut book = Book::default();
        let first = book.take(look(10, vec![entry(1, 5, 500), entry(2, 1, 9)]));
        assert_eq!((first.before, first.entries.len(), first.known), (None, 0, 2));
        let second = book.take(look(20, vec![entry(1, 7, 900), entry(2, 1, 9), entry(3, 4, 40)]));
        assert_eq!((second.before, second.wal_bytes, second.distrusted), (Some(at(10)), Some(1_000), None));
        let grew: Vec<_> = second.entries.iter().map(|it| (it.key.query, it.grew.calls, it.grew.wal_bytes)).collect();
        assert_eq!(grew, [(1, 2, 400), (3, 4, 40)]);
        assert_eq!((second.accounts.len(), second.accounts[0].grew.wal_bytes), (1, 440));
    }

    #[test]
    fn evictions_and_resets_are_announced() {
        let mut book = Book::default();
        book.take(look(10, vec![entry(1, 5, 500)]));
        let evicted = book.take(Look { evictions: 3, ..look(20, vec![entry(1, 6, 600)]) });
        assert!(evicted.distrusted.unwrap().contains("dealloc grew by 3"));
        let calm = book.take(Look { evictions: 3, ..look(30, vec![entry(1, 6, 600)]) });
        assert_eq!((calm.distrusted, calm.entries.len()), (None, 0));
        let fell = book.take(Look { evictions: 3, ..look(40, vec![entry(1, 1, 10)]) });
        assert!(fell.distrusted.unwrap().contains("1 entries"), "one entry was reset");
        let reset = book.take(Look { since: Some(at(45)), ..look(50, vec![entry(1, 9, 90)]) });
        assert!(reset.distrusted.unwrap().contains("reset") && reset.entries.is_empty());
        // A clock that stepped back: nothing can be said until there are two looks again.
        let back = book.take(Look { since: Some(at(45)), ..look(20, vec![entry(1, 10, 99)]) });
        assert_eq!((back.before, back.entries.len()), (None, 0));
    }

    #[test]
    fn many_entries_are_cut_to_the_dearest_and_the_sums_keep_all() {
        let mut book = Book::default();
        book.take(look(10, Vec::new()));
        let many = (0..9_000).map(|query| entry(query, 1, query.unsigned_abs())).collect();
        let told = book.take(look(20, many));
        assert!(told.entries.len() <= 4 * DEAREST && told.entries.iter().any(|it| it.key.query == 8_999));
        assert_eq!((told.known, told.accounts[0].grew.calls), (9_000, 9_000));
    }

    #[test]
    fn versions() {
        assert!(older("1.8") && older("1.4") && older("") && !older("1.9") && !older("1.10") && !older("1.12"));
    }
}
