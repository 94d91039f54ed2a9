//! Whose a secret is: what somebody writes while we do stays theirs, and what deletes itself one day is not deleted yet.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use tierdeck::clients::vault::{Expected, Fields, Vault, VersionState};
use tierdeck::ops::journal::Event;
use tierdeck::ops::plan::Plan;
use tierdeck::ops::{Ended, Operations, Progress, TakeOver, Way};

use super::tenancy::{Town, by_hand, deprovision, provision};
use super::world::{Machine, new_id};
use crate::support::bao::{Bao, ROOT};
use crate::support::skipped::skipped;

const PATH: &str = "tenants/hooli/db";

/// When something happens to an operation.
#[derive(Clone, Copy, PartialEq)]
enum When {
    /// It has looked, and does it next.
    Looked(usize),
    /// It has done it, and has not written that down.
    Done(usize),
}

impl When {
    fn is(self, progress: &Progress) -> bool {
        match (self, progress) {
            (Self::Looked(at), Progress::Journal(entry)) => {
                matches!(&entry.event, Event::Started { step, .. } if *step == at)
            }
            (Self::Done(at), Progress::Effect { step }) => *step == at,
            _ => false,
        }
    }
}

/// Cut off at that moment: nothing more is written or done. Its memory is what a process leaves behind that was killed.
async fn cut_off(machine: &Machine, own: bool, when: When) -> Plan {
    let operations = machine.operations(true, move |progress| {
        if when.is(progress) {
            std::panic::resume_unwind(Box::new("cut off"));
        }
    });
    let plan = operations.plan(&provision("hooli", own), new_id()).await.unwrap();
    let run = plan.clone();
    let ended = tokio::spawn(async move { operations.start(&run, "hooli").await.map_err(|error| error.to_string()) });
    assert!(ended.await.unwrap_err().is_panic(), "it was cut off");
    plan
}

async fn theirs(vault: &Vault, fields: &Fields) {
    vault.write(PATH, fields, Expected::Nothing).await.unwrap();
    vault.describe(PATH, &BTreeMap::from([("by".to_owned(), "terraform".to_owned())])).await.unwrap();
}

/// It is named, going back leaves it, and nobody wrote into what is said of it.
async fn is_left(operations: &Operations, plan: &Plan, vault: &Vault, fields: &Fields) {
    match operations.go_on(&plan.id, Way::Forward, TakeOver::No).await {
        Ok(Ended::Paused(why)) => {
            assert!(
                why.contains("a secret secret/tenants/hooli/db (version 1) that this operation did not write"),
                "{why}"
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(operations.go_on(&plan.id, Way::Back, TakeOver::No).await.unwrap(), Ended::RolledBack);
    let now = vault.read(PATH).await.unwrap().unwrap();
    assert_eq!((now.version, &now.fields), (1, fields));
    assert_eq!(now.custom, BTreeMap::from([("by".to_owned(), "terraform".to_owned())]));
}

/// The steps that write the tenant's secret and that describe it.
fn steps(own: bool) -> (usize, usize) {
    if own { (4, 5) } else { (2, 3) }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_writes_while_we_do_stays_theirs() {
    let town = Town::start().await;
    let home = tempfile::tempdir().unwrap();
    let vault = town.vault(home.path());
    let start = town.image(home.path()).await;
    for own in [false, true] {
        let (write, _) = steps(own);
        let machine = town.machine(home.path(), &format!("laptop-{own}"));
        // Between our look and our write.
        let (writer, handle) = (Arc::clone(&vault), tokio::runtime::Handle::current());
        let operations = machine.operations(true, move |progress| {
            if When::Looked(write).is(progress) {
                let fields = by_hand("tenant_hooli");
                tokio::task::block_in_place(|| handle.block_on(theirs(&writer, &fields)));
            }
        });
        let plan = operations.plan(&provision("hooli", own), new_id()).await.unwrap();
        match operations.start(&plan, "hooli").await {
            Ok(Ended::Paused(why)) => assert!(why.contains("somebody else wrote it"), "{why}"),
            other => panic!("{other:?}"),
        }
        is_left(&machine.quiet(), &plan, &vault, &by_hand("tenant_hooli")).await;
        vault.remove(PATH).await.unwrap();
        assert_eq!(town.image(home.path()).await, start);
        // After we were cut off before it, and with all that ours would have had but the password.
        let plan = cut_off(&machine, own, When::Looked(write)).await;
        let mut fields = Fields::default().with("host", "db.internal").with("port", 5432).with("database", "portarium");
        fields = fields.with("schema", "tenant_hooli");
        fields = if own {
            fields.with("username", "role_hooli").with("password", "another one of thirty-two letter")
        } else {
            fields.with("username", "somebody")
        };
        theirs(&vault, &fields).await;
        is_left(&machine.quiet(), &plan, &vault, &fields).await;
        vault.remove(PATH).await.unwrap();
        assert_eq!(town.image(home.path()).await, start);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_we_wrote_and_were_cut_off_from_is_known_as_ours() {
    let town = Town::start().await;
    let home = tempfile::tempdir().unwrap();
    let vault = town.vault(home.path());
    let start = town.image(home.path()).await;
    for own in [false, true] {
        let (write, describe) = steps(own);
        for (number, when) in [When::Done(write), When::Looked(describe), When::Done(describe)].into_iter().enumerate()
        {
            let machine = town.machine(home.path(), &format!("laptop-{own}-{number}"));
            let plan = cut_off(&machine, own, when).await;
            let now = vault.read(PATH).await.unwrap().unwrap();
            assert_eq!(now.custom.is_empty(), when != When::Done(describe), "{:?}", now.custom);
            // Forward it is described, back it is removed.
            assert_eq!(machine.quiet().go_on(&plan.id, Way::Forward, TakeOver::No).await.unwrap(), Ended::Succeeded);
            let now = vault.read(PATH).await.unwrap().unwrap();
            assert_eq!((now.version, now.custom["tierdeck-operation"].as_str()), (1, plan.id.as_str()));
            assert_eq!(machine.quiet().go_on(&plan.id, Way::Back, TakeOver::No).await.unwrap(), Ended::RolledBack);
            assert_eq!(town.image(home.path()).await, start);
            let plan = cut_off(&machine, own, when).await;
            assert_eq!(machine.quiet().go_on(&plan.id, Way::Back, TakeOver::No).await.unwrap(), Ended::RolledBack);
            assert_eq!(town.image(home.path()).await, start);
        }
    }
    // What somebody wrote over it is nobody's to remove, and nothing else is undone for it.
    let operations = town.machine(home.path(), "laptop").quiet();
    let plan = operations.plan(&provision("hooli", true), new_id()).await.unwrap();
    assert_eq!(operations.start(&plan, "hooli").await.unwrap(), Ended::Succeeded);
    vault.write(PATH, &by_hand("tenant_hooli"), Expected::Version(1)).await.unwrap();
    let made = town.image(home.path()).await;
    let refused = operations.go_on(&plan.id, Way::Back, TakeOver::No).await.unwrap_err();
    assert!(refused.is_refusal() && refused.to_string().contains("somebody wrote it meanwhile"), "{refused}");
    assert_eq!(town.image(home.path()).await, made);
}

/// What whoever keeps the secret may have asked of Vault, and no client of ours ever does.
fn delete_after_an_hour(url: &str) {
    let address = url.strip_prefix("http://").unwrap();
    let body = r#"{"delete_version_after":"1h"}"#;
    let mut line = TcpStream::connect(address).unwrap();
    write!(
        line,
        "POST /v1/secret/metadata/{PATH} HTTP/1.1\r\nHost: {address}\r\nX-Vault-Token: {ROOT}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    line.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
}

/// A secret whose versions delete themselves one day is deleted when a tenant goes, at this Vault.
async fn goes_with_its_tenant(town: &Town, folder: &Path, url: &str) {
    let machine = Machine { vault: Some(url.to_owned()), ..town.machine(folder, &format!("at-{}", &url[7..])) };
    let operations = machine.quiet();
    let vault = machine.vault().unwrap();
    town.world.forget().await;
    let plan = operations.plan(&provision("hooli", false), new_id()).await.unwrap();
    assert_eq!(operations.start(&plan, "hooli").await.unwrap(), Ended::Succeeded);
    delete_after_an_hour(url);
    let fields = vault.read(PATH).await.unwrap().unwrap().fields;
    assert_eq!(vault.write(PATH, &fields, Expected::Version(1)).await, Ok(2));
    let known = vault.metadata(PATH).await.unwrap().unwrap();
    assert_eq!((known.delete_version_after.as_str(), known.versions[&2]), ("1h0m0s", VersionState::There), "{url}");
    let refused = operations.plan(&provision("hooli", false), new_id()).await.unwrap_err().to_string();
    assert!(refused.contains("(version 2); it is never overwritten"), "{url}: {refused}");
    let gone = operations.plan(&deprovision("hooli"), new_id()).await.unwrap();
    assert!(!gone.text().contains("undone by vault kv undelete"), "no rollback does that");
    assert_eq!(operations.start(&gone, "hooli").await.unwrap(), Ended::Succeeded, "{url}");
    assert!(vault.read(PATH).await.unwrap().is_none());
    let known = vault.metadata(PATH).await.unwrap().unwrap();
    assert_eq!((known.delete_version_after.as_str(), known.versions[&2]), ("1h0m0s", VersionState::Deleted), "{url}");
    // One that has deleted itself is not there; what it is, its Vault says.
    vault.undelete(PATH, 2).await.unwrap();
    assert_eq!(vault.read(PATH).await.unwrap().unwrap().version, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_deletes_itself_one_day_is_there_until_then() {
    let town = Town::start().await;
    let home = tempfile::tempdir().unwrap();
    goes_with_its_tenant(&town, home.path(), &town.stand.url()).await;
    match Bao::start() {
        Some(bao) => goes_with_its_tenant(&town, home.path(), &bao.url()).await,
        None => skipped("a secret that deletes itself, at OpenBao: no bao on PATH (make install-test fetches one)"),
    }
}
