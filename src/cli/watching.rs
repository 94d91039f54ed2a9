//! Asks AWS while somebody looks: figures of longer than is kept, and a log that is followed. In tasks of their own; of each
//! kind one at a time.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::app::Report;
use crate::clients::aws::Account;
use crate::config::Config;
use crate::domain::watching::{FigureInquiry, LogInquiry};
use crate::poll::tail;
use crate::sources::aws::history;

/// See the module.
pub(super) struct Lookout {
    /// Accounts with what CloudWatch may cost an hour.
    accounts: Vec<(Account, f64)>,
    reports: mpsc::Sender<Report>,
    figures: Option<JoinHandle<()>>,
    log: Option<JoinHandle<()>>,
}

impl Lookout {
    /// Knows whom to ask.
    pub fn new(config: &Config, reports: mpsc::Sender<Report>) -> Self {
        let accounts = config.aws.iter().map(|aws| (aws.account.clone(), aws.max_usd_per_hour));
        Self { accounts: accounts.collect(), reports, figures: None, log: None }
    }

    /// Asks for figures; returns at once. Whoever asks anew looks elsewhere: the question before it is dropped.
    pub fn figures(&mut self, inquiry: FigureInquiry) {
        stop(&mut self.figures);
        let (found, reports) = (self.account(&inquiry.of.account), self.reports.clone());
        self.figures = Some(tokio::spawn(async move {
            let answer = match found {
                Some((account, ceiling)) => {
                    history::ask(&account, &inquiry, ceiling).await.map(Arc::new).map_err(|error| error.to_string())
                }
                None => Err(unconfigured(&inquiry.of.account)),
            };
            // Nobody listens any more: the console is gone.
            let _ = reports.send(Report::Figures(inquiry, answer)).await;
        }));
    }

    /// Follows this log and no other; returns at once.
    pub fn follow(&mut self, inquiry: Option<LogInquiry>) {
        stop(&mut self.log);
        let Some(inquiry) = inquiry else { return };
        let (found, reports) = (self.account(&inquiry.of.account), self.reports.clone());
        self.log = Some(tokio::spawn(async move {
            let of = inquiry.of.clone();
            let wrap = move |said| Report::Log(of.clone(), said);
            match found {
                Some((account, _)) => tail::follow(account, inquiry, reports, wrap).await,
                None => drop(reports.send(wrap(Err(unconfigured(&inquiry.of.account)))).await),
            }
        }));
    }

    fn account(&self, name: &str) -> Option<(Account, f64)> {
        self.accounts.iter().find(|(account, _)| *account.place().name == *name).cloned()
    }
}

impl Drop for Lookout {
    fn drop(&mut self) {
        stop(&mut self.figures);
        stop(&mut self.log);
    }
}

fn stop(running: &mut Option<JoinHandle<()>>) {
    if let Some(before) = running.take() {
        before.abort();
    }
}

fn unconfigured(account: &str) -> String {
    format!("there is no [aws.{account}] in the configuration")
}
