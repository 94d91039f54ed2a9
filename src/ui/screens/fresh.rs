//! Which parts of a tenant are still true: what the sources said last may be too old to say anything about now.

use crate::domain::snapshot::Reach;
use crate::domain::{Instance, Tenant};
use crate::ui::pen::Pen;

/// Whether what each source said of a tenant's instance is fresh. Nothing is, of an instance that is not reached.
#[derive(Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "one for each source, independent of each other")]
pub(super) struct Fresh {
    /// Sessions and what is counted from them.
    pub(super) activity: bool,
    /// Rows written, dead and live rows.
    pub(super) churn: bool,
    /// Sizes.
    pub(super) sizes: bool,
    /// Roles and their limits.
    pub(super) roles: bool,
    /// Tables in debt.
    pub(super) debt: bool,
    /// Oldest tables.
    pub(super) freeze: bool,
    /// Wasted space.
    pub(super) bloat: bool,
    /// Vacuums that run.
    pub(super) vacuums: bool,
    /// Counters of statements.
    pub(super) statements: bool,
}

impl Fresh {
    /// Of a tenant's instance.
    pub(super) fn of(pen: &Pen<'_>, tenant: &Tenant) -> Self {
        pen.model.shown.instance(&tenant.instance).map_or_else(Self::default, |instance| Self::on(pen, instance))
    }

    /// Of an instance.
    pub(super) fn on(pen: &Pen<'_>, instance: &Instance) -> Self {
        let moment = pen.model.moment();
        let reached = !matches!(instance.reach, Reach::Down { .. });
        Self {
            activity: reached && instance.activity.fresh(moment).is_some(),
            churn: reached && instance.churn.fresh(moment).is_some(),
            sizes: reached && instance.sizes.fresh(moment).is_some(),
            roles: reached && instance.roles.fresh(moment).is_some(),
            debt: reached && instance.debt.fresh(moment).is_some(),
            freeze: reached && instance.freeze.fresh(moment).is_some(),
            bloat: reached && instance.bloat.fresh(moment).is_some(),
            vacuums: reached && instance.vacuums.fresh(moment).is_some(),
            statements: reached && instance.statements.fresh(moment).is_some(),
        }
    }
}
