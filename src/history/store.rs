//! The file: minutes of now, hours of a day by minute, and quarters of hours as long as is kept; each a packed block.
//!
//! A minute is one block of everybody, so that writing is one small transaction. When an hour is over its minutes are turned
//! round into blocks of few tenants each, so that reading one tenant's day touches little.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use redb::{
    Builder, ConcurrencyMode, Database, DatabaseError, ReadOnlyDatabase, ReadTransaction, ReadableDatabase,
    ReadableTable, TableDefinition, WriteTransaction,
};

use super::columns::{expand, pack, squeeze, unpack};
use super::diary::Episode;
use super::minute::{COLUMNS, Minute, minute_of};
use crate::domain::history::{Measure, Reading, Stretch, Whose};
use crate::domain::{InstanceName, TenantId};

/// Written into every file; another number is another layout.
const LAYOUT: u32 = 1;

/// What redb may keep in memory.
const CACHE: usize = 4 << 20;

/// Rows of one block of an hour, and of one of its quarters.
const HOUR_ROWS: usize = 64;
const QUARTER_ROWS: usize = 256;

/// Minutes of an hour, and of one quarter.
const HOUR: usize = 60;
const QUARTER: usize = 15;
const QUARTERS: usize = HOUR / QUARTER;

/// Hours that are kept by the minute.
const FINE_HOURS: u32 = 25;

/// Episodes that are kept at most.
const EPISODES_MOST: u64 = 50_000;

/// Of these the greatest minute of a quarter is kept beside the mean.
const PEAKS: [Measure; 5] =
    [Measure::Connections, Measure::Active, Measure::Waiting, Measure::RowsWritten, Measure::NoiseScore];

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const SUBJECTS: TableDefinition<'_, &str, (u32, u32)> = TableDefinition::new("subjects");
const MINUTES: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("minutes");
const HOURS: TableDefinition<'_, (u32, u32), &[u8]> = TableDefinition::new("hours");
const QUARTER_BLOCKS: TableDefinition<'_, (u32, u32), &[u8]> = TableDefinition::new("quarters");
const LEDGER: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("ledger");
const EPISODES: TableDefinition<'_, (i64, u32), &[u8]> = TableDefinition::new("episodes");

/// What went wrong with the file.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    /// Somebody else writes it.
    #[error("another console writes the history")]
    Taken,
    /// It cannot be what we wrote.
    #[error("{0}")]
    Foreign(String),
    /// The disk, or rights.
    #[error("{0}")]
    Disk(String),
}

impl StoreError {
    fn of(error: impl Into<redb::Error>) -> Self {
        match error.into() {
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => Self::Taken,
            redb::Error::Io(error)
                if matches!(error.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof) =>
            {
                Self::Foreign(format!("it is not a history file: {error}"))
            }
            redb::Error::Io(error) => Self::Disk(error.to_string()),
            error @ (redb::Error::Corrupted(_)
            | redb::Error::UpgradeRequired(_)
            | redb::Error::TableTypeMismatch { .. }
            | redb::Error::TableIsMultimap(_)
            | redb::Error::TypeDefinitionChanged { .. }) => Self::Foreign(error.to_string()),
            error => Self::Disk(error.to_string()),
        }
    }
}

type Result<T> = std::result::Result<T, StoreError>;

/// The rows and their last minutes.
pub(super) type Stored = Vec<(Whose, u32)>;

/// Sums over the stored history of one row.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Total {
    pub rows: f64,
    pub seconds: f64,
    /// The first hour in which anything was counted.
    pub first: Option<u32>,
    /// The greatest of the hours that were watched for at least half, in rows a second.
    pub busiest: f64,
}

/// The file, to write or only to read.
pub(super) enum Store {
    Writes(Database),
    Reads(ReadOnlyDatabase),
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE).set_concurrency_mode(ConcurrencyMode::SingleWriter);
    builder
}

impl Store {
    /// Opens it for writing, or makes it. Every page is checked first: a damaged file must not be found out later.
    pub fn write(path: &Path) -> Result<Self> {
        let database = builder()
            .set_check_integrity_on_open(true)
            .create(path)
            .map_err(|error: DatabaseError| StoreError::of(error))?;
        let store = Self::Writes(database);
        store.change(|change| {
            {
                let mut meta = change.open_table(META).map_err(StoreError::of)?;
                let found = meta.get("layout").map_err(StoreError::of)?.map(|found| found.value().to_vec());
                match found {
                    None => {
                        meta.insert("layout", LAYOUT.to_le_bytes().as_slice()).map_err(StoreError::of)?;
                    }
                    Some(layout) if layout == LAYOUT.to_le_bytes() => {}
                    Some(_) => {
                        return Err(StoreError::Foreign("it was written by another version of tierdeck".to_owned()));
                    }
                }
            }
            // So that reading never meets a table that is not there.
            change.open_table(SUBJECTS).map_err(StoreError::of)?;
            change.open_table(MINUTES).map_err(StoreError::of)?;
            change.open_table(HOURS).map_err(StoreError::of)?;
            change.open_table(QUARTER_BLOCKS).map_err(StoreError::of)?;
            change.open_table(LEDGER).map_err(StoreError::of)?;
            change.open_table(EPISODES).map_err(StoreError::of)?;
            Ok(())
        })?;
        Ok(store)
    }

    /// Opens it for reading, while somebody else writes it.
    pub fn read(path: &Path) -> Result<Self> {
        builder().open_read_only(path).map(Self::Reads).map_err(StoreError::of)
    }

    pub fn writes(&self) -> bool {
        matches!(self, Self::Writes(_))
    }

    fn look(&self) -> Result<ReadTransaction> {
        match self {
            Self::Writes(database) => database.begin_read(),
            Self::Reads(database) => database.begin_read(),
        }
        .map_err(StoreError::of)
    }

    fn change(&self, act: impl FnOnce(&WriteTransaction) -> Result<()>) -> Result<()> {
        let Self::Writes(database) = self else { return Err(StoreError::Taken) };
        let change = database.begin_write().map_err(StoreError::of)?;
        act(&change)?;
        change.commit().map_err(StoreError::of)
    }

    /// Who has a row.
    pub fn subjects(&self) -> Result<Stored> {
        let look = self.look()?;
        let table = look.open_table(SUBJECTS).map_err(StoreError::of)?;
        let mut found = Vec::new();
        for entry in table.iter().map_err(StoreError::of)? {
            let (key, value) = entry.map_err(StoreError::of)?;
            found.extend(whose(key.value()).map(|whose| (whose, value.value().0)));
        }
        Ok(found)
    }

    /// What was true when it was written last.
    pub fn standing(&self) -> Result<Vec<Episode>> {
        let look = self.look()?;
        let meta = look.open_table(META).map_err(StoreError::of)?;
        let text = meta.get("standing").map_err(StoreError::of)?;
        Ok(text.and_then(|text| serde_json::from_slice(text.value()).ok()).unwrap_or_default())
    }

    /// Writes a minute and what is true at its end, in one step.
    pub fn minute(
        &self,
        minute: Option<&Minute>,
        names: &[(Whose, u32)],
        open: &[&Episode],
        ended: &[Episode],
    ) -> Result<()> {
        self.change(|change| {
            if let Some(minute) = minute {
                let mut minutes = change.open_table(MINUTES).map_err(StoreError::of)?;
                minutes.insert(minute.at, pack(&minute.values, usize::MAX).as_slice()).map_err(StoreError::of)?;
                let mut subjects = change.open_table(SUBJECTS).map_err(StoreError::of)?;
                for (whose, row) in names {
                    subjects.insert(key(whose).as_str(), (*row, minute.at)).map_err(StoreError::of)?;
                }
            }
            let text = serde_json::to_vec(open).unwrap_or_default();
            change
                .open_table(META)
                .map_err(StoreError::of)?
                .insert("standing", text.as_slice())
                .map_err(StoreError::of)?;
            let mut episodes = change.open_table(EPISODES).map_err(StoreError::of)?;
            for (at, episode) in ended.iter().enumerate() {
                let text = serde_json::to_vec(episode).unwrap_or_default();
                let when = episode.last.as_millisecond();
                episodes.insert((when, at as u32), text.as_slice()).map_err(StoreError::of)?;
            }
            Ok(())
        })
    }

    /// Hours that are over and still lie about in minutes.
    pub fn unrolled(&self, now: u32) -> Result<Vec<u32>> {
        let look = self.look()?;
        let minutes = look.open_table(MINUTES).map_err(StoreError::of)?;
        let mut hours = Vec::new();
        for entry in minutes.range(..now - now % 60).map_err(StoreError::of)? {
            let hour = entry.map_err(StoreError::of)?.0.value() / 60;
            if hours.last() != Some(&hour) {
                hours.push(hour);
            }
        }
        Ok(hours)
    }

    /// Turns the minutes of an hour round.
    pub fn roll(&self, hour: u32) -> Result<()> {
        let mut minutes = vec![Vec::new(); HOUR];
        {
            let look = self.look()?;
            let table = look.open_table(MINUTES).map_err(StoreError::of)?;
            for entry in table.range(hour * 60..(hour + 1) * 60).map_err(StoreError::of)? {
                let (at, block) = entry.map_err(StoreError::of)?;
                minutes[(at.value() % 60) as usize] = unpack_minute(block.value());
            }
        }
        let rows = minutes.iter().map(|values| values.len() / COLUMNS).max().unwrap_or(0);
        let value = |minute: usize, column: usize, row: usize| -> Option<f32> {
            let values: &Vec<u16> = minutes.get(minute)?;
            let rows = values.len() / COLUMNS;
            (row < rows).then(|| values.get(column * rows + row).copied()).flatten().and_then(expand)
        };
        self.change(|change| {
            let mut hours = change.open_table(HOURS).map_err(StoreError::of)?;
            for group in 0..rows.div_ceil(HOUR_ROWS) {
                let mut block = Vec::with_capacity(Measure::ALL.len() * HOUR_ROWS * HOUR);
                for column in 0..Measure::ALL.len() {
                    for row in group * HOUR_ROWS..(group + 1) * HOUR_ROWS {
                        block.extend((0..HOUR).map(|minute| squeeze(value(minute, column, row))));
                    }
                }
                hours.insert((hour, group as u32), pack(&block, HOUR).as_slice()).map_err(StoreError::of)?;
            }
            let mut quarters = change.open_table(QUARTER_BLOCKS).map_err(StoreError::of)?;
            for group in 0..rows.div_ceil(QUARTER_ROWS) {
                let mut block = Vec::with_capacity((Measure::ALL.len() + PEAKS.len()) * QUARTER_ROWS * QUARTERS);
                let mut fill = |column: usize, of: fn(&[f32]) -> Option<f32>| {
                    for row in group * QUARTER_ROWS..(group + 1) * QUARTER_ROWS {
                        for quarter in 0..QUARTERS {
                            let span = quarter * QUARTER..(quarter + 1) * QUARTER;
                            let known: Vec<f32> = span.filter_map(|minute| value(minute, column, row)).collect();
                            block.push(squeeze(of(&known)));
                        }
                    }
                };
                for column in 0..Measure::ALL.len() {
                    fill(column, mean);
                }
                for measure in PEAKS {
                    fill(measure as usize, most);
                }
                quarters.insert((hour, group as u32), pack(&block, QUARTERS).as_slice()).map_err(StoreError::of)?;
            }
            let mut ledger = change.open_table(LEDGER).map_err(StoreError::of)?;
            let mut sums = Vec::with_capacity(rows * 8);
            for row in 0..rows {
                let (mut written, mut seconds) = (0.0f32, 0.0f32);
                for minute in 0..HOUR {
                    let watched = value(minute, COLUMNS - 1, row).unwrap_or(0.0);
                    if let Some(rate) = value(minute, Measure::RowsWritten as usize, row) {
                        written += rate * watched;
                        seconds += watched;
                    }
                }
                sums.extend(written.to_le_bytes());
                sums.extend(seconds.to_le_bytes());
            }
            ledger.insert(hour, sums.as_slice()).map_err(StoreError::of)?;
            let mut old = change.open_table(MINUTES).map_err(StoreError::of)?;
            old.retain_in(hour * 60..(hour + 1) * 60, |_, _| false).map_err(StoreError::of)
        })
    }

    /// Throws away what is too old, and much earlier where there is too much of it; says which rows nothing is left of.
    pub fn expire(&self, now: u32, keep: Duration, crowded: bool) -> Result<Vec<u32>> {
        let hour = now / 60;
        let part = if crowded { 3 } else { 1 };
        let kept = (u32::try_from(keep.as_secs() / 3_600).unwrap_or(u32::MAX) / part).max(1);
        let mut gone = Vec::new();
        self.change(|change| {
            let fine = (hour.saturating_sub((FINE_HOURS / part).min(kept)), 0);
            change
                .open_table(HOURS)
                .map_err(StoreError::of)?
                .retain_in(..fine, |_, _| false)
                .map_err(StoreError::of)?;
            let old = hour.saturating_sub(kept);
            let mut quarters = change.open_table(QUARTER_BLOCKS).map_err(StoreError::of)?;
            quarters.retain_in(..(old, 0), |_, _| false).map_err(StoreError::of)?;
            change
                .open_table(LEDGER)
                .map_err(StoreError::of)?
                .retain_in(..old, |_, _| false)
                .map_err(StoreError::of)?;
            let mut episodes = change.open_table(EPISODES).map_err(StoreError::of)?;
            episodes.retain_in(..(i64::from(old) * 3_600_000, 0), |_, _| false).map_err(StoreError::of)?;
            let surplus =
                redb::ReadableTableMetadata::len(&episodes).map_err(StoreError::of)?.saturating_sub(EPISODES_MOST);
            for _ in 0..surplus {
                episodes.pop_first().map_err(StoreError::of)?;
            }
            let mut subjects = change.open_table(SUBJECTS).map_err(StoreError::of)?;
            subjects
                .retain(|_, (row, last)| {
                    let stays = last / 60 >= old;
                    if !stays {
                        gone.push(row);
                    }
                    stays
                })
                .map_err(StoreError::of)
        })?;
        Ok(gone)
    }

    /// What is stored of one row, up to now.
    pub fn readings(&self, row: u32, stretch: Stretch, now: Timestamp) -> Result<Vec<Reading>> {
        let look = self.look()?;
        let last = minute_of(now);
        let first = minute_of(now).saturating_sub(u32::try_from(stretch.span().as_secs() / 60).unwrap_or(0));
        let row = row as usize;
        let mut readings = Vec::new();
        let minutes = look.open_table(MINUTES).map_err(StoreError::of)?;
        let mut newest = Vec::new();
        // Only hours that are not turned round yet still lie here.
        for entry in minutes.range(first..=last).map_err(StoreError::of)? {
            let (at, block) = entry.map_err(StoreError::of)?;
            let values = unpack_minute(block.value());
            let rows = values.len() / COLUMNS;
            let value = |column: usize| (row < rows).then(|| values.get(column * rows + row).copied()).flatten();
            let mean: [Option<f32>; 8] = std::array::from_fn(|column| value(column).and_then(expand));
            newest.push(reading(at.value() + 1, mean, mean));
        }
        if stretch == Stretch::Fortnight {
            let blocks = look.open_table(QUARTER_BLOCKS).map_err(StoreError::of)?;
            for hour in first / 60..=last / 60 {
                let Some(block) = blocks.get((hour, (row / QUARTER_ROWS) as u32)).map_err(StoreError::of)? else {
                    continue;
                };
                let values = unpack(block.value(), QUARTERS).unwrap_or_default();
                let value = |column: usize, quarter: usize| {
                    let at = (column * QUARTER_ROWS + row % QUARTER_ROWS) * QUARTERS + quarter;
                    values.get(at).copied().and_then(expand)
                };
                for quarter in 0..QUARTERS {
                    let mean: [Option<f32>; 8] = std::array::from_fn(|column| value(column, quarter));
                    let mut most = mean;
                    for (place, measure) in PEAKS.into_iter().enumerate() {
                        most[measure as usize] = value(Measure::ALL.len() + place, quarter);
                    }
                    readings.push(reading(hour * 60 + ((quarter + 1) * QUARTER) as u32, mean, most));
                }
            }
            newest = in_quarters(&newest);
        } else {
            let blocks = look.open_table(HOURS).map_err(StoreError::of)?;
            for hour in first / 60..=last / 60 {
                let Some(block) = blocks.get((hour, (row / HOUR_ROWS) as u32)).map_err(StoreError::of)? else {
                    continue;
                };
                let values = unpack(block.value(), HOUR).unwrap_or_default();
                for minute in 0..HOUR {
                    let value = |column: usize| {
                        let at = (column * HOUR_ROWS + row % HOUR_ROWS) * HOUR + minute;
                        values.get(at).copied().and_then(expand)
                    };
                    let mean: [Option<f32>; 8] = std::array::from_fn(value);
                    readings.push(reading(hour * 60 + minute as u32 + 1, mean, mean));
                }
            }
        }
        readings.extend(newest);
        let begin = now - jiff::SignedDuration::try_from(stretch.span() + stretch.step()).unwrap_or_default();
        readings.retain(|reading| reading.at >= begin && reading.mean.iter().any(Option::is_some));
        Ok(readings)
    }

    /// What each row wrote, and when: over the hours that are over and the minutes since.
    pub fn totals(&self) -> Result<HashMap<u32, Total>> {
        let look = self.look()?;
        let mut totals: HashMap<u32, Total> = HashMap::new();
        let mut add = |row: u32, hour: u32, rows: f32, seconds: f32| {
            if seconds > 0.0 {
                let total = totals.entry(row).or_default();
                total.rows += f64::from(rows);
                total.seconds += f64::from(seconds);
                total.first = Some(total.first.map_or(hour, |first| first.min(hour)));
                if seconds >= 1_800.0 {
                    total.busiest = total.busiest.max(f64::from(rows / seconds));
                }
            }
        };
        let ledger = look.open_table(LEDGER).map_err(StoreError::of)?;
        for entry in ledger.iter().map_err(StoreError::of)? {
            let (hour, sums) = entry.map_err(StoreError::of)?;
            for (row, pair) in sums.value().chunks_exact(8).enumerate() {
                let number =
                    |at: usize| pair.get(at..at + 4).and_then(|it| it.try_into().ok()).map_or(0.0, f32::from_le_bytes);
                add(row as u32, hour.value(), number(0), number(4));
            }
        }
        let minutes = look.open_table(MINUTES).map_err(StoreError::of)?;
        for entry in minutes.iter().map_err(StoreError::of)? {
            let (at, block) = entry.map_err(StoreError::of)?;
            let values = unpack_minute(block.value());
            let rows = values.len() / COLUMNS;
            for row in 0..rows {
                let value = |column: usize| values.get(column * rows + row).copied().and_then(expand);
                if let (Some(rate), Some(seconds)) = (value(Measure::RowsWritten as usize), value(COLUMNS - 1)) {
                    add(row as u32, at.value() / 60, rate * seconds, seconds);
                }
            }
        }
        Ok(totals)
    }

    /// Bytes of the blocks of hours and of quarters.
    #[cfg(test)]
    pub fn measure(&self) -> (usize, usize) {
        let look = self.look().unwrap();
        let sum = |table| {
            let table: redb::ReadOnlyTable<(u32, u32), &[u8]> = look.open_table(table).unwrap();
            table.iter().unwrap().map(|entry| entry.unwrap().1.value().len()).sum::<usize>()
        };
        (sum(HOURS), sum(QUARTER_BLOCKS))
    }

    /// Every episode that is kept.
    pub fn episodes(&self) -> Result<Vec<Episode>> {
        let look = self.look()?;
        let table = look.open_table(EPISODES).map_err(StoreError::of)?;
        let mut found = Vec::new();
        for entry in table.iter().map_err(StoreError::of)? {
            let (_, text) = entry.map_err(StoreError::of)?;
            found.extend(serde_json::from_slice::<Episode>(text.value()).ok());
        }
        Ok(found)
    }
}

/// A damaged minute is a gap.
fn unpack_minute(block: &[u8]) -> Vec<u16> {
    unpack(block, usize::MAX).unwrap_or_default()
}

fn mean(known: &[f32]) -> Option<f32> {
    (!known.is_empty()).then(|| known.iter().sum::<f32>() / known.len() as f32)
}

fn most(known: &[f32]) -> Option<f32> {
    known.iter().copied().reduce(f32::max)
}

fn reading(end: u32, mean: [Option<f32>; 8], most: [Option<f32>; 8]) -> Reading {
    Reading { at: Timestamp::from_second(i64::from(end) * 60).unwrap_or_default(), mean, most }
}

/// Minutes as the quarters of hours that they lie in.
fn in_quarters(minutes: &[Reading]) -> Vec<Reading> {
    let quarter = |reading: &Reading| (reading.at.as_second() / 60 - 1).max(0) as u32 / QUARTER as u32;
    let same = |a: &Reading, b: &Reading| quarter(a) == quarter(b);
    let whole = |part: &[Reading]| {
        let of = |column: usize, fold: fn(&[f32]) -> Option<f32>| {
            fold(&part.iter().filter_map(|reading| reading.mean[column]).collect::<Vec<f32>>())
        };
        let end = part.first().map_or(0, |first| (quarter(first) + 1) * QUARTER as u32);
        reading(end, std::array::from_fn(|column| of(column, mean)), std::array::from_fn(|column| of(column, most)))
    };
    minutes.chunk_by(same).map(whole).collect()
}

/// A subject as the file names it. Neither name can hold a zero.
fn key(whose: &Whose) -> String {
    format!("{}\0{}", whose.instance, whose.tenant.as_ref().map_or("", TenantId::as_str))
}

fn whose(key: &str) -> Option<Whose> {
    let (instance, tenant) = key.split_once('\0')?;
    let tenant = if tenant.is_empty() { None } else { Some(TenantId::parse(tenant).ok()?) };
    Some(Whose { instance: InstanceName::new(instance), tenant })
}
