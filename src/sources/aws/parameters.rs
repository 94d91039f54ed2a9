//! Source `parameters`: what somebody set in a parameter group, of the parameters that matter; once for each group, however
//! many instances have it. One that is refused is missing where it is used and nowhere else, and is not asked again at once: there
//! may be a group for each of hundreds of instances.

use std::collections::{BTreeSet, HashMap};

use super::foreign;
use super::rds::PAGE;
use crate::clients::aws::{Account, Action, AwsError};
use crate::domain::facts::cloud::Parameters;
use crate::domain::observed::Trouble;

/// So many that are refused, and none that is not, tell that none may be read.
const ALL: usize = 3;

/// One that may not be read is asked for again after so many rounds: somebody may allow it.
const REST: u32 = 8;

/// What is remembered of one round to the next.
#[derive(Debug, Default)]
pub struct Book {
    /// Groups that may not be read, why, and for how many rounds they are left alone.
    refused: HashMap<String, (Trouble, u32)>,
}

/// What came of a round.
#[derive(Debug, Default)]
pub struct Answer {
    /// Of each group what is set, or why that is not known.
    pub groups: HashMap<String, Result<Parameters, Trouble>>,
    /// Whether something was refused that is no better if it is asked soon.
    pub pressed: bool,
}

impl Book {
    /// Asks for these. What the next one would meet as well ends the round.
    pub async fn ask(&mut self, account: &Account, names: BTreeSet<&str>) -> Answer {
        let mut answer = Answer::default();
        let (mut told, mut refused) = (0, 0);
        let mut ended: Option<Trouble> = None;
        self.refused.retain(|name, _| names.contains(name.as_str()));
        for name in names {
            if let Some((trouble, rounds)) = self.refused.get_mut(name).filter(|(_, rounds)| *rounds > 0) {
                *rounds -= 1;
                answer.groups.insert(name.to_owned(), Err(trouble.clone()));
                continue;
            }
            let said = match &ended {
                Some(trouble) => Err(trouble.clone()),
                None => group(account, name).await.map_err(|error| {
                    let trouble = error.trouble();
                    if error.is_denied() {
                        refused += 1;
                        self.refused.insert(name.to_owned(), (trouble.clone(), REST));
                    }
                    if error.is_throttled() || error.is_about_credentials() || (told == 0 && refused >= ALL) {
                        ended = Some(trouble.clone());
                    }
                    trouble
                }),
            };
            if said.is_ok() {
                told += 1;
                self.refused.remove(name);
            }
            answer.groups.insert(name.to_owned(), said);
        }
        answer.pressed = ended.is_some();
        answer
    }
}

/// Asks for one group.
pub async fn group(account: &Account, name: &str) -> Result<Parameters, AwsError> {
    let clients = account.clients().await;
    let question = clients.rds.describe_db_parameters().db_parameter_group_name(name).source("user");
    let mut pages = question.max_records(PAGE).into_paginator().send();
    let mut found = Parameters::default();
    while let Some(page) = account.page(Action::DescribeDbParameters, pages.next()).await? {
        for parameter in page.parameters() {
            if let (Some(name), Some(value)) = (parameter.parameter_name(), parameter.parameter_value())
                && Parameters::WANTED.contains(&name)
            {
                found.values.insert(name.to_owned(), foreign(Some(value)));
            }
        }
    }
    Ok(found)
}
