//! `autovacuum-debt`: tables with many times more dead rows than autovacuum would let stand. One finding a tenant,
//! about its worst table; tables of nobody each have their own.

use std::collections::BTreeMap;

use crate::domain::facts::{Source, TableDebt};
use crate::domain::quantity::{count, plural};
use crate::domain::{Evidence, Signal, Subject, SubjectKind, TenantId, Unit};

use super::words::quoted;
use super::xmin_horizon::{InTheWay, in_the_way};
use super::{Check, Place, Raised, Scene, Tour, Verdicts};

/// The check.
#[derive(Debug)]
pub(super) struct AutovacuumDebt;

impl Check for AutovacuumDebt {
    fn signal(&self) -> Signal {
        Signal::AutovacuumDebt
    }

    fn about(&self) -> &'static str {
        "Dead rows pile up: 2× a table's autovacuum threshold (10k rows at least); critical at 10×"
    }

    fn subjects(&self) -> &'static [SubjectKind] {
        &[SubjectKind::Tenant, SubjectKind::Table]
    }

    fn check(&self, scene: &Scene<'_>, places: &[Place<'_>], verdicts: &mut Verdicts) {
        for place in places {
            let instance = place.instance;
            let Some(debt) = verdicts.seen(self.signal(), place, Source::Debt, &instance.debt, scene.now) else {
                continue;
            };
            let tour = Tour { seen: debt.seen, of: debt.of, closed: &debt.closed, every: instance.debt.every };
            verdicts.partly_seen(self.signal(), place, Source::Debt, &tour, scene.now);
            let mut debtors: BTreeMap<Subject, (Option<TenantId>, Vec<&TableDebt>)> = BTreeMap::new();
            for table in &debt.tables {
                let small = (table.dead_tuples as f64) < scene.thresholds.autovacuum_min_dead;
                if small || scene.thresholds.autovacuum_debt.rung(table.ratio()).is_none() {
                    continue;
                }
                let owner = place.owner(&table.database, &table.schema);
                let subject = owner.as_ref().map_or_else(
                    || {
                        let name = format!("{}.{}", table.schema.raw(), table.table.raw());
                        place.within(SubjectKind::Table, &table.database, &name)
                    },
                    |tenant| place.about(SubjectKind::Tenant, tenant.as_str()),
                );
                debtors.entry(subject).or_insert_with(|| (owner, Vec::new())).1.push(table);
            }
            for (subject, (owner, tables)) in debtors {
                verdicts.raised.extend(raise(scene, place, subject, owner, &tables));
            }
        }
    }
}

fn raise(
    scene: &Scene<'_>,
    place: &Place<'_>,
    subject: Subject,
    owner: Option<TenantId>,
    tables: &[&TableDebt],
) -> Option<Raised> {
    let worst = tables.iter().copied().max_by(|a, b| a.ratio().total_cmp(&b.ratio()).then(b.table.cmp(&a.table)))?;
    let (severity, _) = scene.thresholds.autovacuum_debt.rung(worst.ratio())?;
    let dead = worst.dead_tuples as f64;
    let whose = owner.as_ref().map_or_else(|| subject.id.clone(), |tenant| format!("{tenant}: {}", worst.table));
    let everywhere = !worst.autovacuum && !worst.off_by_itself;
    let off = match worst.autovacuum {
        true => "",
        false if everywhere => ", autovacuum is switched off on the whole server",
        false => ", autovacuum is switched off on it",
    };
    let more =
        if tables.len() > 1 { format!("; {} like it", plural(tables.len() - 1, "more table")) } else { String::new() };
    let name = format!("{}.{}", quoted(worst.schema.raw()), quoted(worst.table.raw()));
    let database = &worst.database;
    let (advice, statement) = if worst.autovacuum {
        let advice = format!("Vacuum it in {database}: nobody holds that back that we know of.");
        (advice, format!("VACUUM (ANALYZE) {name};"))
    } else if everywhere {
        let advice = format!(
            "Switch autovacuum on for the server again (autovacuum = on and a reload; on RDS in the parameter group), then \
             vacuum it in {database}: others follow by themselves."
        );
        (advice, format!("VACUUM (ANALYZE) {name};"))
    } else {
        let advice = format!("Switch autovacuum on for it again and vacuum it, in {database}.");
        let reset = "RESET (autovacuum_enabled, toast.autovacuum_enabled)";
        (advice, format!("ALTER TABLE {name} {reset}; VACUUM (ANALYZE) {name};"))
    };
    // While somebody might still want to see them, no vacuum removes them: that goes first.
    let (advice, statement) = match in_the_way(scene, place, database) {
        Some(InTheWay { who, advice: first, statement }) => {
            let then = if worst.autovacuum { String::new() } else { format!(" Then: {advice}") };
            (format!("{who}, so VACUUM removes nothing that died since. {first}{then}"), statement)
        }
        None => (advice, place.instance.pasted(database, statement)),
    };
    Some(Raised {
        severity,
        subject,
        summary: format!(
            "{whose} on {} has {:.1}× the dead rows that autovacuum allows ({} dead{off}){more}",
            place.name(),
            worst.ratio(),
            count(dead)
        ),
        evidence: vec![
            Evidence::on(
                "dead rows as a multiple of the table's threshold",
                worst.ratio(),
                scene.thresholds.autovacuum_debt,
                Unit::Ratio,
            ),
            Evidence::against("dead rows", dead, scene.thresholds.autovacuum_min_dead, Unit::Rows),
            Evidence::fact("dead rows at which autovacuum acts", worst.threshold, Unit::Rows),
            Evidence::fact(
                if worst.measured { "size of the table" } else { "size of the table (~)" },
                worst.bytes as f64,
                Unit::Bytes,
            ),
        ],
        advice,
        statement,
        since: None,
        culprits: owner.into_iter().collect(),
        victims: Vec::new(),
        rests_on: vec![Source::Debt],
    })
}
