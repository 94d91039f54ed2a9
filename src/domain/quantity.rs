//! Numbers as people read them: bytes, counts, durations, ratios. Fixed widths, so that columns do not jump.

/// Bytes of a MiB.
pub const MIB: f64 = 1_048_576.0;

/// Bytes of a GiB.
pub const GIB: f64 = 1_073_741_824.0;

/// `812 B`, `9.4 KiB`, `118 GiB`.
pub fn bytes(value: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if value < 1024 {
        return format!("{value} B");
    }
    let mut scaled = value as f64;
    let mut unit = "B";
    for next in UNITS {
        if scaled < 1023.5 {
            break;
        }
        scaled /= 1024.0;
        unit = next;
    }
    if scaled < 9.95 { format!("{scaled:.1} {unit}") } else { format!("{scaled:.0} {unit}") }
}

/// `7`, `812`, `4.1k`, `212k`, `4.1M`.
pub fn count(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude < 999.5 {
        return if magnitude > 0.0 && magnitude < 9.95 && value.fract().abs() > 0.049 {
            format!("{value:.1}")
        } else {
            format!("{value:.0}")
        };
    }
    let mut scaled = value;
    let mut unit = "";
    for next in ["k", "M", "G", "T", "P"] {
        if scaled.abs() < 999.5 {
            break;
        }
        scaled /= 1000.0;
        unit = next;
    }
    if scaled.abs() < 9.95 { format!("{scaled:.1}{unit}") } else { format!("{scaled:.0}{unit}") }
}

/// `7`, `1,204`, `2,147,483,647`.
pub fn exact(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = if value < 0.0 { "-".to_owned() } else { String::new() };
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Seconds as `0.4s`, `12s`, `3m 20s`, `2h 05m`, `4d 02h`.
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "0s".to_owned();
    }
    if seconds < 9.95 {
        return format!("{seconds:.1}s");
    }
    let whole = seconds.round() as u64;
    match whole {
        0..=59 => format!("{whole}s"),
        60..=3_599 => format!("{}m {:02}s", whole / 60, whole % 60),
        3_600..=86_399 => format!("{}h {:02}m", whole / 3_600, whole % 3_600 / 60),
        _ => format!("{}d {:02}h", whole / 86_400, whole % 86_400 / 3_600),
    }
}

/// A time in the digits that matter, where there is little room: `45s`, `4m`, `3h`, `12d`. No longer than it is.
pub fn short(seconds: f64) -> String {
    match seconds.max(0.0).floor() as u64 {
        seconds @ 0..=99 => format!("{seconds}s"),
        seconds @ 100..=5_999 => format!("{}m", seconds / 60),
        seconds @ 6_000..=172_799 => format!("{}h", seconds / 3_600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

/// Seconds as they are for storage: `90 µs`, `0.6 ms`, `12 ms`.
pub fn latency(seconds: f64) -> String {
    match seconds * 1_000.0 {
        none if none <= 0.0 => "0 ms".to_owned(),
        little if little < 0.1 => format!("{:.0} µs", (little * 1_000.0).max(1.0)),
        short if short < 10.0 => format!("{short:.1} ms"),
        long => format!("{long:.0} ms"),
    }
}

/// Milliseconds as `12.3`, `0.4`, `<0.1`: what took no time at all is not known of.
pub fn milliseconds(value: f64) -> String {
    if value > 0.0 && value < 0.05 { "<0.1".to_owned() } else { format!("{value:.1}") }
}

/// A moment to come, no earlier than it is: `2026-11-23 08:10Z`.
pub fn minute(at: jiff::Timestamp) -> String {
    let up = jiff::TimestampRound::new().smallest(jiff::Unit::Minute).mode(jiff::RoundMode::Ceil);
    at.round(up).unwrap_or(at).strftime("%Y-%m-%d %H:%MZ").to_string()
}

/// A ratio of 0 to 1 as `71%`.
pub fn percent(ratio: f64) -> String {
    format!("{:.0}%", ratio * 100.0)
}

/// `1 tenant`, `6 tenants`.
pub fn plural(count: usize, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

/// `1st`, `2nd`, `3rd`, `4th`, `11th`.
pub fn ordinal(count: usize) -> String {
    let teens = (11..=13).contains(&(count % 100));
    let ending = match count % 10 {
        1 if !teens => "st",
        2 if !teens => "nd",
        3 if !teens => "rd",
        _ => "th",
    };
    format!("{count}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_digit_that_counts_and_none_that_does_not() {
        assert_eq!(
            [0.0, 999.0, 1_000.0, 2_147_483_647.0, -12_345.0].map(exact),
            ["0", "999", "1,000", "2,147,483,647", "-12,345"]
        );
        assert_eq!([0.0, 0.004, 0.05, 12.34].map(milliseconds), ["0.0", "<0.1", "0.1", "12.3"]);
    }

    #[test]
    fn times_are_short_and_of_storage_shorter() {
        assert_eq!(
            [4.0, 99.0, 240.0, 7_200.0, 86_400.0, 1_209_600.0].map(short),
            ["4s", "99s", "4m", "2h", "24h", "14d"]
        );
        assert_eq!([0.0, 0.000_09, 0.000_6, 0.012].map(latency), ["0 ms", "90 µs", "0.6 ms", "12 ms"]);
    }

    #[test]
    fn numbers_read_well_at_every_size() {
        assert_eq!(
            [bytes(0), bytes(1023), bytes(1024), bytes(10 * 1024), bytes(126_701_535_232)],
            ["0 B", "1023 B", "1.0 KiB", "10 KiB", "118 GiB"]
        );
        assert_eq!(bytes(1024 * 1024 - 1), "1.0 MiB");
        assert_eq!(
            [count(0.0), count(0.25), count(7.0), count(999.0), count(1_000.0), count(212_345.0), count(4_100_000.0)],
            ["0", "0.2", "7", "999", "1.0k", "212k", "4.1M"]
        );
        assert_eq!(
            [duration(0.0), duration(9.96), duration(200.0), duration(7_500.0), duration(352_800.0)],
            ["0.0s", "10s", "3m 20s", "2h 05m", "4d 02h"]
        );
        assert_eq!(duration(-3.0), "0s");
        assert_eq!([1, 2, 3, 4, 11, 23].map(ordinal), ["1st", "2nd", "3rd", "4th", "11th", "23rd"]);
        assert_eq!(
            (percent(0.71), plural(1, "tenant"), plural(6, "tenant")),
            ("71%".into(), "1 tenant".into(), "6 tenants".into())
        );
    }
}
