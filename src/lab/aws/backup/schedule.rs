//! When a plan's rule makes backups.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// What AWS Backup goes by where a rule says nothing.
const USUAL: &str = "cron(0 5 ? * * *)";

/// At what a calendar says, in UTC.
#[derive(Debug)]
pub struct Schedule(Cron);

impl Schedule {
    /// Of a `ScheduleExpression`. That is cron alone: its reference knows no rates, and who tried was refused. Whether AWS Backup
    /// takes what comes more often than every hour is not known; here it does.
    pub fn read(text: Option<&str>) -> Option<Self> {
        let text = text.unwrap_or(USUAL);
        let fields: Vec<&str> = text.strip_prefix("cron(")?.strip_suffix(')')?.split_whitespace().collect();
        // Minute, hour, day of the month, month, day of the week, year: the days are told by one of the two.
        if fields.len() != 6 || (fields[2] == "?") == (fields[4] == "?") {
            return None;
        }
        let parser = CronParser::builder().seconds(Seconds::Required).year(Year::Required);
        // 1 is Sunday, and `0/15` is every quarter of an hour.
        let parser = parser.alternative_weekdays(true).sloppy_ranges(true).build();
        parser.parse(&format!("0 {}", fields.join(" "))).ok().map(Self)
    }

    /// The newest moment of it that is after one and not after another.
    pub fn newest(&self, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let civil = |at: Timestamp| Timestamp::from_second(at.as_second()).map(|at| TimeZone::UTC.to_datetime(at)).ok();
        let moment = |at: DateTime| TimeZone::UTC.to_timestamp(at).ok();
        let first = moment(self.0.find_next_occurrence(&civil(after)?, false).ok()?)?;
        if first > until {
            return None;
        }
        moment(self.0.find_previous_occurrence(&civil(until)?, true).ok()?).filter(|at| *at > after && *at <= until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn newest(text: &str, after: &str, until: &str) -> Option<String> {
        let schedule = Schedule::read(Some(text)).unwrap();
        schedule.newest(after.parse().unwrap(), until.parse().unwrap()).map(|at| at.to_string())
    }

    #[test]
    fn a_schedule_has_its_moments_and_each_counts_once() {
        let daily = "cron(0 3 * * ? *)";
        assert_eq!(newest(daily, "2026-11-22T02:59:59.5Z", "2026-11-22T02:59:59.9Z"), None);
        assert_eq!(newest(daily, "2026-11-22T03:00:00Z", "2026-11-22T23:00:00Z"), None, "it was then");
        for (text, after, until, at) in [
            (daily, "2026-11-22T02:59:59.5Z", "2026-11-22T03:00:00Z", "2026-11-22T03:00:00Z"),
            // Whoever sleeps through several finds one.
            (daily, "2026-11-20T11:00:00Z", "2026-11-23T12:00:00Z", "2026-11-23T03:00:00Z"),
            ("cron(30 1 ? * 1 *)", "2026-11-21T00:00:00Z", "2026-11-23T00:00:00Z", "2026-11-22T01:30:00Z"),
            ("cron(0/15 * * * ? *)", "2026-11-22T00:01:00Z", "2026-11-22T00:20:00.7Z", "2026-11-22T00:15:00Z"),
            ("cron(0 0 L * ? *)", "2026-11-22T00:00:00Z", "2026-12-02T00:00:00Z", "2026-11-30T00:00:00Z"),
            ("cron(0 9 ? * 2#1 *)", "2026-11-22T00:00:00Z", "2026-12-31T00:00:00Z", "2026-12-07T09:00:00Z"),
        ] {
            assert_eq!(newest(text, after, until).as_deref(), Some(at), "{text}");
        }
        assert_eq!(newest("cron(0 0 1 1 ? 2020)", "2026-11-22T00:00:00Z", "2026-12-02T00:00:00Z"), None);
    }

    #[test]
    fn what_is_no_schedule_is_none() {
        for text in [
            "",
            "daily",
            "rate(1 day)",
            "cron(0 3 * * *)",
            "cron(0 3 * * * *)",
            "cron(0 3 ? * ? *)",
            "cron(61 3 * * ? *)",
            "cron(x 3 * * ? *)",
            "cron(0 3 * * ? *",
        ] {
            assert!(Schedule::read(Some(text)).is_none(), "{text}");
        }
        assert!(Schedule::read(None).is_some(), "AWS Backup's own");
    }
}
