//! Source `parameters`: what somebody set in a parameter group, of the parameters that matter; once for each group, however
//! many instances have it.

use super::foreign;
use super::rds::PAGE;
use crate::clients::aws::{Account, Action, AwsError};
use crate::domain::facts::cloud::Parameters;

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
