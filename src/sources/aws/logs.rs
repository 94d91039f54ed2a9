//! An instance's PostgreSQL log, followed: from CloudWatch Logs where it is exported there, else as RDS hands out its files.
//!
//! Each look costs few calls and holds few lines, however much was written: of what is too much the newest is told. An error loses
//! neither the place nor what was read before it. What the lines mean is in [`mod@entries`].

mod entries;

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

use aws_sdk_cloudwatchlogs::types::FilteredLogEvent;
use jiff::{SignedDuration, Timestamp};

pub use entries::entries;

use crate::clients::aws::{Account, Action, AwsError, Fault};
use crate::domain::facts::cloud::LogEntry;

/// The most lines of one look; of the older ones nobody hears.
const MOST: usize = 2_000;

/// The most of one line, in bytes.
const LONGEST: usize = 16 << 10;

/// The most answers of one look, of 1 MB each at most; the next look goes on.
const PAGES: usize = 5;

/// Events come late, and out of order.
const OVERLAP: SignedDuration = SignedDuration::from_secs(60);

/// The first look begins so many minutes ago, and further back only where little was written: events come oldest first.
const BACK: [i64; 4] = [1, 5, 20, 60];

/// So many lines are enough for a first look.
const ENOUGH: usize = 200;

/// Who is further behind than this leaves out what is in between.
const BEHIND: SignedDuration = SignedDuration::from_mins(5);

/// Reads on where it stopped.
#[derive(Debug)]
pub struct Follower {
    identifier: Arc<str>,
    exported: bool,
    /// From when on.
    since: Timestamp,
    /// Lines that were read and not told yet.
    lines: Lines,
    /// Events.
    events: Option<Events>,
    /// The file that is read, and how far.
    file: Option<(String, Option<String>)>,
}

/// How far events were read.
#[derive(Debug)]
struct Events {
    /// Since when they are asked.
    since: Timestamp,
    /// Where in the answer to that the next look goes on.
    token: Option<String>,
    newest: Timestamp,
    /// Those of the overlap that were told.
    known: BTreeMap<String, Timestamp>,
}

/// The newest lines.
#[derive(Debug, Default)]
struct Lines(VecDeque<String>);

impl Lines {
    fn take(&mut self, text: &str) {
        for line in text.lines() {
            if self.0.len() == MOST {
                self.0.pop_front();
            }
            self.0.push_back(line[..line.floor_char_boundary(LONGEST)].to_owned());
        }
    }
}

impl Follower {
    /// Of an instance, from a moment on.
    pub fn new(identifier: Arc<str>, exported: bool, since: Timestamp) -> Self {
        // The server's clock in a log has no more than seconds.
        let since = Timestamp::from_second(since.as_second()).unwrap_or(since);
        Self { identifier, exported, since, lines: Lines::default(), events: None, file: None }
    }

    /// What was written since the last look.
    pub async fn next(&mut self, account: &Account) -> Result<Vec<LogEntry>, AwsError> {
        if self.exported {
            self.read_events(account, Timestamp::now()).await?;
        } else {
            self.read_files(account).await?;
        }
        let lines = std::mem::take(&mut self.lines.0);
        let mut told = entries(lines.iter().map(String::as_str));
        // A file's end reaches further back than was asked for; what has no time of its own goes with what is before it.
        let first = told.iter().position(|entry| entry.at.is_some_and(|at| at >= self.since));
        let old = told.iter().any(|entry| entry.at.is_some_and(|at| at < self.since));
        if old {
            told.drain(..first.unwrap_or(told.len()));
        }
        Ok(told)
    }

    async fn read_events(&mut self, account: &Account, now: Timestamp) -> Result<(), AwsError> {
        let mut events = match self.events.take() {
            // Far behind: who looks wants to see what is written now.
            Some(events) if events.token.is_some() && now.duration_since(events.newest) > BEHIND => {
                Events { since: before(now, OVERLAP), token: None, newest: before(now, OVERLAP), ..events }
            }
            Some(events) => events,
            None => return self.first_events(account, now).await,
        };
        let result = self.pages(account, &mut events).await;
        self.events = Some(events);
        result
    }

    /// Further and further back, until there is something to see.
    async fn first_events(&mut self, account: &Account, now: Timestamp) -> Result<(), AwsError> {
        for (at, minutes) in BACK.iter().enumerate() {
            let last = at + 1 == BACK.len();
            let since =
                if last { self.since } else { before(now, SignedDuration::from_mins(*minutes)).max(self.since) };
            let mut events = Events { since, token: None, newest: since, known: BTreeMap::new() };
            self.lines = Lines::default();
            self.pages(account, &mut events).await?;
            if self.lines.0.len() >= ENOUGH || events.token.is_some() || since <= self.since {
                self.events = Some(events);
                break;
            }
        }
        Ok(())
    }

    /// A few pages of what was written since; what was read of them is kept, whatever becomes of the next.
    async fn pages(&mut self, account: &Account, events: &mut Events) -> Result<(), AwsError> {
        let clients = account.clients().await;
        let group = format!("/aws/rds/instance/{}/postgresql", self.identifier);
        for _ in 0..PAGES {
            let question = clients.logs.filter_log_events().log_group_name(&group);
            let question = question.start_time(events.since.as_millisecond()).set_next_token(events.token.clone());
            let page = account.ask(Action::FilterLogEvents, Box::pin(question.send())).await?;
            events.token = page.next_token().map(str::to_owned);
            self.take(events, page.events());
            if events.token.is_none() {
                events.since = before(events.newest, OVERLAP).max(events.since);
                break;
            }
        }
        Ok(())
    }

    fn take(&mut self, events: &mut Events, page: &[FilteredLogEvent]) {
        let mut new = Vec::new();
        for event in page {
            let at = event.timestamp().and_then(|at| Timestamp::from_millisecond(at).ok()).unwrap_or(events.since);
            events.newest = events.newest.max(at);
            if events.known.insert(event.event_id().unwrap_or_default().to_owned(), at).is_none() {
                new.push((at, event.message().unwrap_or_default()));
            }
        }
        new.sort_by_key(|(at, _)| *at);
        for (_, text) in new {
            self.lines.take(text);
        }
        // The next question begins no earlier than that.
        let oldest = before(events.newest, OVERLAP);
        events.known.retain(|_, at| *at >= oldest);
    }

    async fn read_files(&mut self, account: &Account) -> Result<(), AwsError> {
        let files = self.files(account).await?;
        for _ in 0..PAGES {
            let next = match &self.file {
                // From its end: what was written before nobody asked for.
                None => files.last().map(|name| (name.clone(), None)),
                Some(_) => self.rest(account).await?.then(|| self.after(&files)).flatten(),
            };
            match next {
                Some(next) => self.file = Some(next),
                None => break,
            }
        }
        Ok(())
    }

    /// The text logs that were written to, the newest last. Where a log is written as CSV as well, that is the same once more.
    async fn files(&self, account: &Account) -> Result<Vec<String>, AwsError> {
        let clients = account.clients().await;
        let question = clients.rds.describe_db_log_files().db_instance_identifier(&*self.identifier);
        let question = question.filename_contains("error/postgresql").file_last_written(self.since.as_millisecond());
        let mut pages = question.into_paginator().send();
        let mut files: Vec<(i64, String)> = Vec::new();
        while let Some(page) = account.page(Action::DescribeDbLogFiles, pages.next()).await? {
            let named = page.describe_db_log_files().iter();
            files.extend(named.filter_map(|file| Some((file.last_written()?, file.log_file_name()?.to_owned()))));
        }
        let is_csv = |name: &str| Path::new(name).extension().is_some_and(|kind| kind.eq_ignore_ascii_case("csv"));
        files.retain(|(_, name)| name.starts_with("error/postgresql") && !is_csv(name));
        files.sort();
        Ok(files.into_iter().map(|(_, name)| name).collect())
    }

    /// The file after the one that was read to its end, from its beginning.
    fn after(&self, files: &[String]) -> Option<(String, Option<String>)> {
        let (name, _) = self.file.as_ref()?;
        let next = match files.iter().position(|file| file == name) {
            Some(place) => files.get(place + 1),
            // Removed meanwhile.
            None => files.last(),
        };
        next.map(|next| (next.clone(), Some("0".to_owned())))
    }

    /// A few portions of the file that is read; whether that is all there is of it.
    async fn rest(&mut self, account: &Account) -> Result<bool, AwsError> {
        let clients = account.clients().await;
        let Some((name, marker)) = &mut self.file else { return Ok(true) };
        for _ in 0..PAGES {
            let question = clients.rds.download_db_log_file_portion().db_instance_identifier(&*self.identifier);
            let question = question.log_file_name(&*name).set_marker(marker.clone());
            let newest = if marker.is_none() { i32::try_from(MOST).ok() } else { None };
            let question = question.set_number_of_lines(newest);
            let part = match account.ask(Action::DownloadDbLogFilePortion, Box::pin(question.send())).await {
                Ok(part) => part,
                Err(AwsError { fault: Fault::Gone(_), .. }) => return Ok(true),
                Err(error) => return Err(error),
            };
            self.lines.take(part.log_file_data().unwrap_or_default());
            let more = part.additional_data_pending().unwrap_or_default() && part.marker() != marker.as_deref();
            if let Some(next) = part.marker() {
                *marker = Some(next.to_owned());
            }
            if !more {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn before(moment: Timestamp, by: SignedDuration) -> Timestamp {
    moment.checked_sub(by).unwrap_or(moment)
}
