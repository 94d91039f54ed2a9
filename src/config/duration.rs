//! Durations as the file has them: a whole number and one unit.

use std::time::Duration;

const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// The longest: a thousand days.
const LONGEST: u64 = 1_000 * 86_400_000;

/// Reads `500ms`, `1s`, `5m`, `2h`, `14d`.
pub fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.len() - text.trim_start_matches(|char: char| char.is_ascii_digit()).len();
    let (amount, unit) = text.split_at(digits);
    let unit = UNITS.iter().find(|(name, _)| *name == unit.trim_start() && !amount.is_empty());
    let Some((_, factor)) = unit else {
        return Err(format!("{text:?} is not a duration; examples: \"500ms\", \"1s\", \"5m\", \"2h\", \"14d\""));
    };
    let milliseconds = amount.parse::<u64>().ok().and_then(|amount| amount.checked_mul(*factor));
    // The bound keeps sums of clocks from overflowing.
    milliseconds
        .filter(|milliseconds| *milliseconds <= LONGEST)
        .map(Duration::from_millis)
        .ok_or_else(|| format!("{text:?} is too long a time: 1000d at the most"))
}

/// Writes a duration so that [`parse`] reads it back; what is finer than a millisecond is lost.
pub(super) fn format(duration: Duration) -> String {
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let (unit, factor) =
        UNITS.iter().find(|(_, factor)| milliseconds != 0 && milliseconds % factor == 0).unwrap_or(&("s", 1_000));
    format!("{}{unit}", milliseconds / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_go_there_and_back() {
        for text in ["500ms", "1500ms", "1s", "90s", "5m", "2h", "14d", "0s"] {
            assert_eq!(format(parse(text).unwrap()), text);
        }
        assert_eq!(format(parse("60s").unwrap()), "1m");
        assert_eq!(parse("5 m"), Ok(Duration::from_secs(300)));
    }

    #[test]
    fn anything_else_is_refused_with_examples() {
        for text in ["", "5", "s", "-1s", "1.5s", "1S", "1 week", "1h30m", "٣s"] {
            let error = parse(text).unwrap_err();
            assert!(error.contains("\"500ms\""), "{error}");
        }
        for text in ["99999999999999999999s", "1001d"] {
            assert_eq!(parse(text).unwrap_err(), format!("{text:?} is too long a time: 1000d at the most"));
        }
    }
}
