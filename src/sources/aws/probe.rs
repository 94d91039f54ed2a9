//! Which actions our policy allows: each is tried once, as cheaply as it can be, about what does not exist where it has to be
//! about something. For `doctor`, not for polling: a question about figures costs a hundredth of a cent.

use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat};
use jiff::{SignedDuration, Timestamp};

use super::backup::vaults;
use super::{DIMENSION, NAMESPACE, asked};
use crate::clients::aws::{Account, Action, AwsError, Fault};

/// Nobody's name.
const NOBODY: &str = "tierdeck-doctor-asks-about-nobody";

/// What came of trying an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leave {
    /// We were let through, whatever was there.
    Given,
    /// We may not: AWS's answer.
    Missing(AwsError),
    /// Nobody knows: why.
    Unknown(String),
}

/// Tries all actions but those that only a login can try. An error when nothing can be asked at all.
pub async fn leave(account: &Account, now: Timestamp) -> Result<Vec<(Action, Leave)>, AwsError> {
    let mut tried = Vec::new();
    for action in Action::ALL.iter().filter(|action| action.needs_leave() && **action != Action::Connect) {
        let leave = match Box::pin(try_it(account, *action, now)).await {
            Ok(Some(reason)) => Leave::Unknown(reason.to_owned()),
            Err(error) if error.is_denied() => Leave::Missing(error),
            // The same for all of them.
            Err(error) if error.is_about_credentials() => return Err(error),
            // It is not there, or is asked wrongly: that is found out behind the door.
            Ok(None) | Err(AwsError { fault: Fault::Gone(_) | Fault::Other { .. }, .. }) => Leave::Given,
            Err(error) => Leave::Unknown(error.to_string()),
        };
        tried.push((*action, leave));
    }
    Ok(tried)
}

/// Tries one; says why it cannot be tried.
async fn try_it(account: &Account, action: Action, now: Timestamp) -> Result<Option<&'static str>, AwsError> {
    let clients = account.clients().await;
    let (rds, backup) = (&clients.rds, &clients.backup);
    macro_rules! ask {
        ($question:expr) => {
            account.ask(action, $question.send()).await.map(|_| None)
        };
    }
    match action {
        Action::DescribeDbInstances => ask!(rds.describe_db_instances().max_records(20)),
        Action::DescribePendingMaintenanceActions => ask!(rds.describe_pending_maintenance_actions().max_records(20)),
        Action::DescribeDbInstanceAutomatedBackups => {
            ask!(rds.describe_db_instance_automated_backups().max_records(20))
        }
        Action::DescribeEvents => ask!(rds.describe_events().duration(1).max_records(20)),
        Action::DescribeDbSnapshots => ask!(rds.describe_db_snapshots().max_records(20)),
        Action::DescribeDbSnapshotAttributes => {
            ask!(rds.describe_db_snapshot_attributes().db_snapshot_identifier(NOBODY))
        }
        Action::DescribeDbParameters => ask!(rds.describe_db_parameters().db_parameter_group_name(NOBODY)),
        Action::DescribeDbLogFiles => ask!(rds.describe_db_log_files().db_instance_identifier(NOBODY)),
        Action::DownloadDbLogFilePortion => {
            ask!(rds.download_db_log_file_portion().db_instance_identifier(NOBODY).log_file_name("error/x"))
        }
        Action::GetMetricData => {
            let dimension = Dimension::builder().name(DIMENSION).value(NOBODY).build();
            let metric = Metric::builder().namespace(NAMESPACE).metric_name("CPUUtilization").dimensions(dimension);
            let stat = MetricStat::builder().metric(metric.build()).period(60).stat("Average").build();
            let query = MetricDataQuery::builder().id("m0").metric_stat(stat).build();
            let from = now.checked_sub(SignedDuration::from_mins(5)).unwrap_or(now);
            let question = clients.cloudwatch.get_metric_data().metric_data_queries(query);
            ask!(question.start_time(asked(from)).end_time(asked(now)))
        }
        Action::DescribeAlarms => ask!(clients.cloudwatch.describe_alarms().max_records(1)),
        Action::ListBackupPlans => ask!(backup.list_backup_plans().max_results(1)),
        Action::GetBackupPlan => ask!(backup.get_backup_plan().backup_plan_id(NOBODY)),
        Action::ListBackupSelections => ask!(backup.list_backup_selections().backup_plan_id(NOBODY)),
        Action::GetBackupSelection => {
            ask!(backup.get_backup_selection().backup_plan_id(NOBODY).selection_id(NOBODY))
        }
        Action::ListBackupVaults => ask!(backup.list_backup_vaults().max_results(1)),
        // Of a vault that is not there AWS Backup says that we may not, to everybody: a real one is asked.
        Action::ListRecoveryPoints => match vaults(account).await {
            Ok(vaults) => match vaults.first() {
                Some(vault) => {
                    ask!(backup.list_recovery_points_by_backup_vault().backup_vault_name(vault).max_results(1))
                }
                None => Ok(Some("there is no backup vault that could be asked")),
            },
            Err(error) if error.is_about_credentials() => Err(error),
            Err(_) => Ok(Some("backup vaults cannot be listed")),
        },
        Action::ListBackupJobs => ask!(backup.list_backup_jobs().max_results(1)),
        Action::ListCopyJobs => ask!(backup.list_copy_jobs().max_results(1)),
        Action::ListRestoreJobs => ask!(backup.list_restore_jobs().max_results(1)),
        Action::FilterLogEvents => {
            let group = format!("/aws/rds/instance/{NOBODY}/postgresql");
            ask!(clients.logs.filter_log_events().log_group_name(group).limit(1))
        }
        // Whether a login is let in is known when it tries; who we are may always be asked.
        Action::Connect | Action::GetCallerIdentity => Ok(Some("only a login tries it")),
    }
}
