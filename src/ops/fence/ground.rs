//! What a fence stands on, before it is raised: what is there, who gets past it, what stops working behind it, and what we may
//! not touch.

use super::Around;
use super::image::{Image, image};
use crate::clients::postgres::QueryError;
use crate::ops::act::may_not_alter;
use crate::ops::hands::Eyes;
use crate::ops::plan::Target;
use crate::ops::step::StepError;

/// See the module.
#[derive(Debug, Clone)]
pub(in crate::ops) struct Ground {
    pub(super) image: Image,
    pub(super) fingerprint: String,
    /// `(what, name, more)`
    pub(super) seen: Vec<(String, String, String)>,
}

/// Looks; `None`: there is no such schema.
pub(in crate::ops) async fn look(around: &Around, eyes: &mut Eyes) -> Result<Option<Ground>, StepError> {
    let Around { schema, logins, service, target, .. } = around;
    let Some(image) = image(schema, logins, *target, eyes).await? else { return Ok(None) };
    let desk = eyes.desk(*target).await?;
    let quoted = postgres_protocol::escape::escape_identifier(schema);
    let rows = desk.rows(include_str!("../../../assets/sql/ops/fence_fingerprint.sql"), &[&quoted, logins]).await?;
    let row = rows.first().ok_or_else(|| QueryError::Answer { reason: "no row".to_owned() })?;
    let fingerprint = row.try_get(0).map_err(QueryError::from)?;
    let ground = concat!(
        include_str!("../../../assets/sql/ops/may_alter.sql"),
        include_str!("../../../assets/sql/ops/fence_ground.sql")
    );
    let rows = desk.rows(ground, &[schema, logins, service]).await?;
    let seen = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)));
    let seen = seen.collect::<Result<_, tokio_postgres::Error>>().map_err(QueryError::from)?;
    Ok(Some(Ground { image, fingerprint, seen }))
}

impl Ground {
    fn all(&self, what: &str) -> impl Iterator<Item = (&str, &str)> {
        let of = self.seen.iter().filter(move |(it, _, _)| it == what);
        of.map(|(_, name, more)| (name.as_str(), more.as_str()))
    }

    fn names(&self, what: &str) -> Option<String> {
        let names: Vec<&str> = self.all(what).map(|(name, _)| name).collect();
        (!names.is_empty()).then(|| names.join(", "))
    }

    fn pairs(&self, what: &str) -> Option<String> {
        let pairs: Vec<_> = self.all(what).map(|(name, more)| format!("{name} ({more})")).collect();
        (!pairs.is_empty()).then(|| pairs.join(", "))
    }

    /// What is there.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// The tenant's own logins that may log in as it is.
    pub fn barred(&self) -> Vec<&str> {
        self.image.logins.iter().filter(|(_, may)| **may).map(|(login, _)| login.as_str()).collect()
    }

    /// Whether what most tenants log in as may use the schema.
    pub fn is_served(&self) -> bool {
        self.all("service").any(|(_, more)| !more.is_empty())
    }

    /// The roles as whom a write may be tried.
    pub(super) fn may_try(&self, role: &str) -> bool {
        self.all("may try").any(|(name, _)| name == role)
    }

    /// Who, beside the tenant's own logins, acts with an owner's rights: then what has no ACL has to be given one.
    pub(super) fn others_act_as_owner(&self) -> Vec<String> {
        let mut who: Vec<String> = Vec::new();
        who.extend(self.all("member").map(|(role, owner)| format!("{role} may act as {owner}")));
        who.extend(self.all("definer").map(|(function, owner)| format!("{function} runs as {owner}")));
        who.extend(
            self.all("foreign key out")
                .map(|(key, tables)| format!("the foreign key {key} ({tables}) changes rows here")),
        );
        who.extend(self.all("rule").map(|(view, table)| format!("{view}, outside of the schema, reaches {table}")));
        who
    }

    /// Why the fence cannot be raised, or would not hold.
    pub(super) fn refusals(&self, target: &Target) -> Vec<String> {
        let mut refusals = Vec::new();
        let admin = &target.login;
        let newer =
            target.server_version.split('.').next().and_then(|it| it.parse().ok()).is_some_and(|it: u32| it >= 16);
        let with = if newer { " WITH SET TRUE, INHERIT TRUE" } else { "" };
        for (role, _) in self.all("not ours") {
            let grant = format!("GRANT {role} TO {admin}{with}");
            refusals
                .push(format!("{admin} may not act as {role}, whose things these are; as somebody who may: {grant}"));
        }
        for (role, _) in self.all("grantor") {
            let grant = format!("GRANT {role} TO {admin}{with}");
            refusals.push(format!(
                "{role} has handed privileges on, which only {role} can give back exactly, and {admin} may not act as {role}: {grant}"
            ));
        }
        if let Some(names) = self.names("no lock") {
            refusals.push(format!("{admin} may not lock {names}: not even the owner may write there, by its ACL"));
        }
        for (role, _) in self.all("login") {
            refusals.push(may_not_alter(admin, role));
        }
        for (gid, _) in self.all("prepared").filter(|(_, more)| *more == "here") {
            refusals.push(format!("the prepared transaction {gid:?} has written here and waits: COMMIT PREPARED or ROLLBACK PREPARED first"));
        }
        for (name, parent) in self.all("parent") {
            refusals.push(format!(
                "{name} is a part of {parent}, which is outside of the schema: through that it would be written to"
            ));
        }
        let tables = self.image.relations.iter().filter(|it| it.is_table()).count();
        let free: i64 = self.all("locks").find_map(|(free, _)| free.parse().ok()).unwrap_or(i64::MAX);
        if i64::try_from(tables).unwrap_or(i64::MAX) > free / 2 {
            refusals.push(format!(
                "{tables} tables are locked at once, and the server has room for about {free} more locks: raise max_locks_per_transaction"
            ));
        }
        refusals
    }

    /// What the operator should know.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let mut say = |what: Option<String>, words: &str| {
            warnings.extend(what.map(|what| words.replace("{}", &what)));
        };
        say(self.pairs("bypass"), "who gets past every fence, and has to be asked: {}");
        say(self.pairs("member"), "who acts with an owner's rights, and could give itself everything back: {}");
        say(self.pairs("owner"), "not the tenant's own role owns: {}");
        say(self.pairs("definer past"), "functions with the rights of somebody who gets past it: {}");
        say(self.names("subscription"), "a subscription writes, and is not stopped: {}");
        say(self.names("child"), "parts of these lie outside of the schema, with ACLs of their own: {}");
        say(self.names("foreign table"), "the rows are on another server, where others may write: {}");
        say(self.pairs("foreign key in"), "rows that refer to this schema from outside can no longer be written: {}");
        say(self.pairs("foreign key out"), "changes outside that would change rows here fail: {}");
        say(self.names("extension"), "extensions live here, with what is their own: {}");
        say(self.pairs("event trigger"), "event triggers hear of every GRANT, and may refuse it: {}");
        // No reason not to shut everything else: what is waited for then is an outage of others.
        say(
            self.pairs("large object"),
            "large objects lie in no schema, and these are not shut, for whoever owns them: {}",
        );
        say(self.names("large column"), "these may name large objects, which are not shut: {}");
        let elsewhere: Vec<_> = self.all("prepared").filter(|(_, more)| *more != "here").map(|(gid, _)| gid).collect();
        say((!elsewhere.is_empty()).then(|| elsewhere.join(", ")), "prepared transactions that hold nothing here: {}");
        warnings
    }
}
