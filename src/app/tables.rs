//! Screen 5: the worst tables of all tenants, put together from what several sources say of each.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::list::Keyed;
use super::table::{Column, Value};
use crate::domain::facts::{BloatEstimate, Holder, HolderKind, TableDebt, Vacuum};
use crate::domain::identifier::in_quotes;
use crate::domain::{Foreign, Instance, InstanceName, Layout, Snapshot, Tenant, TenantId};

/// Rows of all instances together, more or less: with hundreds of instances only the worst of each are shown.
const MOST: usize = 4_000;

/// From this age on a table of the system's own catalogue is worth a row: autovacuum should have come by then.
const OLD: u32 = 150_000_000;

/// Below this age no vacuum would freeze anything (`vacuum_freeze_min_age`): alone it makes no table one of the worst.
const YOUNG: u32 = 50_000_000;

/// Before a statement about a table in a database whose name cannot be printed as it is: nothing happens.
const UNPASTED: &str = "-- the database's name cannot be pasted: ";

/// What identifies a table: instance, then database, schema and table.
pub type TableId = (InstanceName, Arc<[Foreign; 3]>);

/// One table with everything that is known of it.
#[derive(Debug, Clone)]
pub struct TableRow {
    /// Where.
    pub instance: InstanceName,
    /// Database, schema, table.
    pub name: Arc<[Foreign; 3]>,
    /// Whose; `None`: nobody's that we know.
    pub tenant: Option<TenantId>,
    /// Beside its autovacuum threshold; `None`: not among the most indebted.
    pub debt: Option<TableDebt>,
    /// Its own estimated bloat; `None`: not known, or not among the worst.
    pub bloat: Option<BloatEstimate>,
    /// That of its indexes.
    pub indexes: Vec<BloatEstimate>,
    /// Age of its oldest unfrozen transaction id.
    pub xid_age: Option<u32>,
    /// Age of its oldest multixact.
    pub multixact_age: Option<u32>,
    /// The vacuum that runs on it.
    pub vacuum: Option<Vacuum>,
    /// What stands before a statement about it: how to get to its database, where tenants have databases.
    lead: Arc<str>,
}

impl TableRow {
    fn named(instance: &Instance, database: &Foreign, schema: &Foreign, table: &Foreign) -> Self {
        let lead = instance.pasted(database, String::new());
        Self {
            instance: instance.name.clone(),
            lead: lead.map_or_else(|| Arc::from(UNPASTED), Arc::from),
            name: Arc::new([database.clone(), schema.clone(), table.clone()]),
            tenant: None,
            debt: None,
            bloat: None,
            indexes: Vec::new(),
            xid_age: None,
            multixact_age: None,
            vacuum: None,
        }
    }

    /// Its database.
    pub fn database(&self) -> &Foreign {
        &self.name[0]
    }

    /// Its schema.
    pub fn schema(&self) -> &Foreign {
        &self.name[1]
    }

    /// Its name in the schema.
    pub fn table(&self) -> &Foreign {
        &self.name[2]
    }

    /// `schema.table`, safe to print.
    pub fn shown(&self) -> String {
        format!("{}.{}", self.schema(), self.table())
    }

    /// The same as it stands in SQL.
    pub fn quoted(&self) -> String {
        format!("{}.{}", quoted(self.schema()), quoted(self.table()))
    }

    /// Dead rows as a multiple of the threshold.
    pub fn ratio(&self) -> Option<f64> {
        self.debt.as_ref().map(TableDebt::ratio)
    }

    /// Bytes with indexes and TOAST; only of the table itself where no more is known.
    pub fn bytes(&self) -> Option<u64> {
        self.debt.as_ref().map(|debt| debt.bytes).or(self.bloat.as_ref().map(|bloat| bloat.bytes))
    }

    /// What stands before its size: `~` unless that was measured.
    pub fn size_mark(&self) -> &'static str {
        if self.debt.as_ref().is_some_and(|debt| debt.measured) { "" } else { "~" }
    }

    /// Estimated bytes that it and its indexes take without need, and of how many.
    pub fn wasted(&self) -> Option<(u64, u64)> {
        let known = || self.bloat.iter().chain(&self.indexes);
        known().next()?;
        Some((known().map(|part| part.wasted).sum(), known().map(|part| part.bytes).sum()))
    }

    /// What gives its dead rows' space back for use.
    pub fn vacuum_statement(&self) -> String {
        self.pasted(&format!("VACUUM (VERBOSE, ANALYZE) {};", self.quoted()))
    }

    fn pasted(&self, statement: &str) -> String {
        format!("{}{statement}", self.lead)
    }

    /// What can be done about it, in the order in which it should be.
    pub fn remedies(&self) -> Vec<Remedy> {
        let remedy = |words, statement: String, sure| Remedy { words, statement: self.pasted(&statement), sure };
        let mut remedies = Vec::new();
        if self.debt.as_ref().is_some_and(|debt| debt.off_by_itself) {
            let reset = format!("ALTER TABLE {} RESET (autovacuum_enabled, toast.autovacuum_enabled);", self.quoted());
            remedies.push(remedy("let autovacuum see to it again", reset, true));
        }
        let statement = self.vacuum_statement();
        remedies.push(Remedy { words: "remove its dead rows now (nobody waits for that)", statement, sure: true });
        // The system's own indexes cannot be made anew that way.
        if self.schema().raw() == "pg_catalog" {
            return remedies;
        }
        for index in &self.indexes {
            let name = index.index.as_ref().map(quoted).unwrap_or_default();
            let reindex = format!("REINDEX INDEX CONCURRENTLY {}.{name};", quoted(self.schema()));
            remedies.push(remedy("make the index anew (takes its space twice meanwhile)", reindex, true));
        }
        if self.indexes.is_empty() {
            let reindex = format!("REINDEX TABLE CONCURRENTLY {};", self.quoted());
            remedies.push(remedy("make its indexes anew, if they turn out to be bloated", reindex, false));
        }
        remedies
    }
}

/// Something that can be done about a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remedy {
    /// What for.
    pub words: &'static str,
    /// The statement.
    pub statement: String,
    /// Whether what is known calls for it; otherwise it is only offered.
    pub sure: bool,
}

/// A quoted identifier that is safe on a clipboard.
fn quoted(name: &Foreign) -> String {
    in_quotes(name.raw())
}

impl Keyed for TableRow {
    type Key = TableId;
    fn key(&self) -> TableId {
        (self.instance.clone(), Arc::clone(&self.name))
    }
    fn is(&self, key: &TableId) -> bool {
        self.name == key.1 && self.instance == key.0
    }
}

/// What the tables' table can be sorted and filtered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the keys say it")]
pub enum TableColumn {
    Debt,
    Tenant,
    Instance,
    Database,
    Table,
    Dead,
    Threshold,
    Live,
    /// Seconds since anything vacuumed it.
    Vacuumed,
    Autovacuum,
    /// Share of its bytes that is bloat.
    Bloat,
    Wasted,
    Size,
    Xid,
    Multixact,
}

impl Column for TableColumn {
    type Row = TableRow;
    /// The moment that the screen shows.
    type Context = jiff::Timestamp;
    const ALL: &'static [Self] = &[
        Self::Debt,
        Self::Tenant,
        Self::Instance,
        Self::Database,
        Self::Table,
        Self::Dead,
        Self::Threshold,
        Self::Live,
        Self::Vacuumed,
        Self::Autovacuum,
        Self::Bloat,
        Self::Wasted,
        Self::Size,
        Self::Xid,
        Self::Multixact,
    ];

    const SHOWN: &'static [Self] = &[
        Self::Tenant,
        Self::Instance,
        Self::Table,
        Self::Debt,
        Self::Dead,
        Self::Threshold,
        Self::Live,
        Self::Vacuumed,
        Self::Autovacuum,
        Self::Bloat,
        Self::Wasted,
        Self::Size,
        Self::Xid,
        Self::Multixact,
    ];

    fn is_fixed(self) -> bool {
        self == Self::Table
    }

    fn is_estimated(self, row: &TableRow) -> bool {
        match self {
            Self::Dead | Self::Live | Self::Debt | Self::Size => row.debt.is_some(),
            Self::Bloat | Self::Wasted => row.wasted().is_some(),
            _ => false,
        }
    }

    fn key(self) -> &'static str {
        match self {
            Self::Debt => "debt",
            Self::Tenant => "tenant",
            Self::Instance => "instance",
            Self::Database => "db",
            Self::Table => "table",
            Self::Dead => "dead",
            Self::Threshold => "threshold",
            Self::Live => "live",
            Self::Vacuumed => "vacuumed",
            Self::Autovacuum => "autovacuum",
            Self::Bloat => "bloat",
            Self::Wasted => "wasted",
            Self::Size => "size",
            Self::Xid => "xid",
            Self::Multixact => "mxid",
        }
    }

    fn aliases(self) -> &'static [&'static str] {
        match self {
            Self::Autovacuum => &["auto"],
            Self::Multixact => &["multixact", "mxid-age"],
            Self::Xid => &["xid-age", "age"],
            _ => &[],
        }
    }

    fn exact(self, number: f64) -> String {
        match self {
            Self::Debt => format!("{number:.2}"),
            Self::Bloat => format!("{number:.1}%"),
            _ => format!("{number:.0}"),
        }
    }

    fn is_number(self) -> bool {
        !matches!(self, Self::Tenant | Self::Instance | Self::Database | Self::Table | Self::Autovacuum)
    }

    fn value<'a>(self, row: &'a TableRow, moment: &jiff::Timestamp) -> Value<'a> {
        let debt = row.debt.as_ref();
        let counted = |count: Option<u64>| Value::number(count.map(|count| count as f64));
        match self {
            Self::Debt => Value::number(row.ratio()),
            Self::Tenant => {
                row.tenant.as_ref().map_or(Value::Missing, |tenant| Value::Text(Cow::Borrowed(tenant.as_str())))
            }
            Self::Instance => Value::Text(Cow::Borrowed(row.instance.as_str())),
            Self::Database => Value::Text(row.database().shown()),
            Self::Table => Value::Text(Cow::Owned(row.shown())),
            Self::Dead => counted(debt.map(|debt| debt.dead_tuples)),
            Self::Threshold => Value::number(debt.map(|debt| debt.threshold)),
            Self::Live => counted(debt.map(|debt| debt.live_tuples)),
            Self::Vacuumed => Value::number(vacuumed(row, *moment)),
            Self::Autovacuum => debt
                .map_or(Value::Missing, |debt| Value::Text(Cow::Borrowed(if debt.autovacuum { "on" } else { "off" }))),
            Self::Bloat => Value::number(share(row).map(|share| share * 100.0)),
            Self::Wasted => counted(row.wasted().map(|(wasted, _)| wasted)),
            Self::Size => counted(row.bytes()),
            Self::Xid => Value::number(row.xid_age),
            Self::Multixact => Value::number(row.multixact_age),
        }
    }
}

/// Seconds since anything vacuumed it; `None`: never, or not known.
pub fn vacuumed(row: &TableRow, moment: jiff::Timestamp) -> Option<f64> {
    let at = row.debt.as_ref()?.last_vacuum?;
    Some(moment.duration_since(at).as_secs_f64().max(0.0))
}

/// Share of what it takes that is bloat.
pub fn share(row: &TableRow) -> Option<f64> {
    let (wasted, of) = row.wasted()?;
    Some(wasted as f64 / of.max(1) as f64)
}

/// The tables of all instances, or of one tenant.
pub fn gather(snapshot: &Snapshot, of: Option<&Tenant>) -> Vec<TableRow> {
    let instances: Vec<&Instance> =
        snapshot.instances.iter().filter(|instance| of.is_none_or(|tenant| tenant.instance == instance.name)).collect();
    let most = (MOST / instances.len().max(1)).max(20);
    let mut owners: HashMap<(&str, &str), &TenantId> = HashMap::new();
    for tenant in of.map_or(snapshot.tenants.as_slice(), std::slice::from_ref) {
        if let Some(home) = tenant.database.as_deref().or(tenant.schema.as_deref()) {
            owners.insert((tenant.instance.as_str(), home), &tenant.id);
        }
    }
    let mut rows = Vec::new();
    for instance in instances {
        let mut found = Found { instance, rows: Vec::new(), places: HashMap::new() };
        found.gather(most);
        let home = match instance.layout {
            Layout::Database => 0,
            Layout::Schema => 1,
        };
        rows.extend(found.rows.into_iter().filter_map(|mut row| {
            row.tenant = owners.get(&(instance.name.as_str(), row.name[home].raw())).copied().cloned();
            (of.is_none() || row.tenant.is_some()).then_some(row)
        }));
    }
    rows
}

/// Puts a tenant's tables beside the rows, where the row of one does not say more already.
pub(super) fn add(rows: &mut Vec<TableRow>, instance: &Instance, tenant: &TenantId, tables: &[TableDebt]) {
    let known: HashMap<TableId, usize> = rows.iter().enumerate().map(|(place, row)| (row.key(), place)).collect();
    for table in tables {
        let mut row = TableRow::named(instance, &table.database, &table.schema, &table.table);
        if let Some(known) = known.get(&row.key()).and_then(|place| rows.get_mut(*place)) {
            known.debt = known.debt.take().or_else(|| Some(table.clone()));
            continue;
        }
        (row.tenant, row.debt) = (Some(tenant.clone()), Some(table.clone()));
        rows.push(row);
    }
}

struct Found<'a> {
    instance: &'a Instance,
    rows: Vec<TableRow>,
    places: HashMap<[&'a Foreign; 3], usize>,
}

impl<'a> Found<'a> {
    fn gather(&mut self, most: usize) {
        let instance = self.instance;
        let debts = instance.debt.value.as_ref().map_or(&[][..], |debt| &debt.tables);
        for debt in debts.iter().take(most) {
            self.row([&debt.database, &debt.schema, &debt.table]).debt = Some(debt.clone());
        }
        let bloats = instance.bloat.value.as_ref().map_or(&[][..], |bloat| &bloat.worst);
        for bloat in bloats.iter().take(most) {
            let row = self.row([&bloat.database, &bloat.schema, &bloat.table]);
            if bloat.index.is_some() {
                row.indexes.push(bloat.clone());
            } else {
                row.bloat = Some(bloat.clone());
            }
        }
        let oldest = instance.freeze.value.as_ref().map_or(&[][..], |freeze| &freeze.tables);
        let matters = |schema: &str, age: u32| !matches!(schema, "pg_catalog" | "information_schema") || age >= OLD;
        // Of a database of which only the age is known there is no table to speak of.
        let named = oldest.iter().filter(|old| !old.table.is_empty() && matters(old.schema.raw(), old.xid_age));
        for old in named.take(most) {
            let name = [&old.database, &old.schema, &old.table];
            if old.xid_age.max(old.multixact_age) < YOUNG && !self.places.contains_key(&name) {
                continue;
            }
            let row = self.row(name);
            row.xid_age = Some(row.xid_age.unwrap_or(0).max(old.xid_age));
            row.multixact_age = Some(row.multixact_age.unwrap_or(0).max(old.multixact_age));
        }
        for vacuum in instance.vacuums.value.as_ref().map_or(&[][..], |vacuums| &vacuums.running) {
            if let (Some(schema), Some(table)) = (&vacuum.schema, &vacuum.table) {
                self.row([&vacuum.database, schema, table]).vacuum = Some(vacuum.clone());
            }
        }
    }

    fn row(&mut self, name: [&'a Foreign; 3]) -> &mut TableRow {
        let place = *self.places.entry(name).or_insert_with(|| {
            let [database, schema, table] = name;
            self.rows.push(TableRow::named(self.instance, database, schema, table));
            self.rows.len() - 1
        });
        &mut self.rows[place]
    }
}

/// Who keeps vacuum from removing the dead rows of a database, the oldest first.
pub fn holders<'a>(instance: &'a Instance, database: &Foreign) -> Vec<&'a Holder> {
    let holders = instance.horizon.value.as_ref().map_or(&[][..], |horizon| &horizon.holders);
    let holders = holders.iter().filter(|holder| holder.kind != HolderKind::Catalog);
    holders.filter(|holder| holder.database.as_ref().is_none_or(|held| held == database)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::facts::Debt;
    use crate::domain::{Observed, Tier};

    fn pasted(layout: Layout, database: &str) -> Vec<String> {
        let mut snapshot = Snapshot::empty(jiff::Timestamp::UNIX_EPOCH, "test");
        let mut instance = Instance::named(InstanceName::new("shared"), Tier::Shared, layout);
        let debt = TableDebt {
            database: Foreign::from(database),
            schema: Foreign::from("app"),
            table: Foreign::from("orders"),
            dead_tuples: 9,
            live_tuples: 9,
            threshold: 1.0,
            autovacuum: false,
            off_by_itself: false,
            last_vacuum: None,
            bytes: 9,
            measured: true,
        };
        instance.debt = Observed::nothing(std::time::Duration::from_secs(1));
        instance.debt.set(Arc::new(Debt { tables: vec![debt], ..Debt::default() }), jiff::Timestamp::UNIX_EPOCH);
        snapshot.instances.push(instance);
        gather(&snapshot, None)[0].remedies().into_iter().map(|remedy| remedy.statement).collect()
    }

    #[test]
    fn what_is_pasted_says_where_tenants_have_databases_and_nothing_is_reset_that_the_table_never_set() {
        let [vacuum, reindex] = &pasted(Layout::Database, "db_acme")[..] else { panic!("autovacuum is off for all") };
        assert_eq!(vacuum, "\\connect \"db_acme\"\nVACUUM (VERBOSE, ANALYZE) \"app\".\"orders\";");
        assert_eq!(reindex, "\\connect \"db_acme\"\nREINDEX TABLE CONCURRENTLY \"app\".\"orders\";");
        assert!(pasted(Layout::Database, "a\nb").iter().all(|it| it.starts_with("-- ") && !it.contains('\n')));
    }
}
