//! All tables of the tenant that is looked at: what is polled are the worst of everybody's, so these are asked while its page
//! of tables is open.

use super::message::Effect;
use super::model::{Kept, Model, TenantTab, View};
use super::tables::{TableRow, add};
use crate::domain::facts::TableDebt;
use crate::domain::inspection::{Answer, HomeInquiry};
use crate::domain::{Foreign, Instance, Snapshot};

/// What was asked about the tables of one tenant.
#[derive(Debug, Default)]
pub struct HomeTables {
    /// Of whom, and in which minute: a page that stays open is asked for once a minute.
    asked: Option<(HomeInquiry, i64)>,
    /// Of whom the answer is.
    of: Option<HomeInquiry>,
    /// What they are.
    pub answer: Answer<Vec<TableDebt>>,
}

impl HomeTables {
    /// Puts those that are not among the worst beside the rows.
    pub(super) fn fill(&self, rows: &mut Vec<TableRow>, shown: &Snapshot) {
        let (Answer::Told(tables), Some(of)) = (&self.answer, &self.of) else { return };
        let instance: Option<&Instance> = shown.instances.iter().find(|instance| instance.name == of.instance);
        if let Some(instance) = instance {
            add(rows, instance, &of.tenant, tables);
        }
    }
}

impl Model {
    /// Whose tables are on the screen.
    fn home_looked_at(&self) -> Option<HomeInquiry> {
        let here = matches!(self.view, View::Tenant(_)) && self.page.tab == TenantTab::Tables;
        let Kept { value: tenant, .. } = self.tenant.as_ref().filter(|kept| here && !kept.gone)?;
        let (schema, database) = (tenant.schema.as_deref(), tenant.database.as_deref());
        // Without either nothing of it is there.
        schema.or(database)?;
        Some(HomeInquiry {
            instance: tenant.instance.clone(),
            tenant: tenant.id.clone(),
            database: database.map_or_else(Foreign::default, Foreign::from),
            schema: schema.filter(|_| database.is_none()).map(Foreign::from),
        })
    }

    /// Asks for them when the page opens, and again each minute.
    pub(super) fn want_tables(&mut self) {
        let Some(inquiry) = self.home_looked_at() else { return };
        let asked = (inquiry, self.moment().as_second().div_euclid(60));
        if self.homes.asked.as_ref() == Some(&asked) {
            return;
        }
        if self.homes.of.as_ref() != Some(&asked.0) {
            self.homes.of = Some(asked.0.clone());
            self.homes.answer = Answer::Asked;
        }
        self.asks.push(Effect::Tables(asked.0.clone()));
        self.homes.asked = Some(asked);
    }

    /// An answer came; one about a tenant that was left meanwhile is dropped.
    pub(super) fn tables_told(&mut self, of: &HomeInquiry, answer: Result<Vec<TableDebt>, String>) {
        if self.homes.of.as_ref() == Some(of) {
            self.homes.answer = answer.map_or_else(Answer::Failed, Answer::Told);
            self.refill_trees_and_tables();
        }
    }
}
