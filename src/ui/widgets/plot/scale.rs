//! Where a chart's scale ends: at a number that is written exactly, and half of which is.

/// How numbers are round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Round {
    /// In tens.
    Decimal,
    /// As bytes are written.
    Binary,
    /// As times are.
    Time,
}

const TENS: [f64; 6] = [1.0, 2.0, 4.0, 6.0, 8.0, 10.0];

const BYTES: [f64; 25] = [
    1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 16.0, 20.0, 32.0, 40.0, 60.0, 64.0, 80.0, 100.0, 128.0, 160.0, 200.0, 256.0, 320.0,
    400.0, 512.0, 600.0, 800.0, 1_000.0, 1_024.0,
];

const TIMES: [f64; 17] = [
    1.0, 2.0, 4.0, 6.0, 10.0, 20.0, 40.0, 60.0, 120.0, 240.0, 600.0, 1_200.0, 2_400.0, 3_600.0, 7_200.0, 14_400.0,
    28_800.0,
];

impl Round {
    /// The next round number.
    pub(super) fn up(self, value: f64) -> f64 {
        if value <= 0.0 || !value.is_finite() {
            return 1.0;
        }
        let next = |steps: &[f64], unit: f64| {
            steps.iter().map(|step| step * unit).find(|round| *round >= value * (1.0 - 1e-9))
        };
        let tens = || next(&TENS, 10_f64.powf(value.log10().floor()));
        let found = match self {
            Self::Decimal => tens(),
            Self::Binary if value < 1.0 => tens(),
            Self::Binary => next(&BYTES, 1_024_f64.powf((value.ln() / 1_024_f64.ln()).floor())),
            // Beyond, whole days of which half are whole hours.
            Self::Time if value > 28_800.0 => {
                next(&TENS, 10_f64.powf((value / 86_400.0).max(1.0).log10().floor()) * 86_400.0)
            }
            Self::Time => next(&TIMES, 1.0),
        };
        found.unwrap_or(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::quantity::{bytes, count, duration};

    #[test]
    fn scales_end_at_round_numbers() {
        let round = [0.0, 0.7, 1.0, 1.1, 2.2, 5.0, 51.0, 1_000.0, 2_999.0].map(|value| Round::Decimal.up(value));
        let wanted = [1.0, 0.8, 1.0, 2.0, 4.0, 6.0, 60.0, 1_000.0, 4_000.0];
        let are = |round: &[f64], wanted: &[f64]| {
            round.len() == wanted.len() && round.iter().zip(wanted).all(|(round, wanted)| (round - wanted).abs() < 1e-9)
        };
        assert!(are(&round, &wanted), "{round:?}");
        let round = [8.0, 100.0, 3.2].map(|gib| Round::Binary.up(gib * 1_048_576.0) / 1_048_576.0);
        assert!(are(&round, &[8.0, 100.0, 4.0]), "{round:?}");
        let round = [0.3, 61.0, 30_000.0, 90_000.0].map(|value| Round::Time.up(value));
        assert!(are(&round, &[1.0, 120.0, 86_400.0, 172_800.0]), "{round:?}");
    }

    /// What a text of a figure stands for.
    fn read(words: &str) -> f64 {
        words
            .split(' ')
            .map(|part| {
                let at = part.find(|char: char| !char.is_ascii_digit() && char != '.').unwrap_or(part.len());
                let unit = match &part[at..] {
                    "k" => 1e3,
                    "M" => 1e6,
                    "G" => 1e9,
                    "m" => 60.0,
                    "h" => 3_600.0,
                    "d" => 86_400.0,
                    _ => 1.0,
                };
                part[..at].parse::<f64>().unwrap_or(0.0) * unit
            })
            .sum()
    }

    fn bytes_of(words: &str) -> f64 {
        let unit =
            ["B", "KiB", "MiB", "GiB", "TiB"].iter().position(|unit| words.ends_with(&format!(" {unit}"))).unwrap();
        read(words.split(' ').next().unwrap()) * 1_024_f64.powi(i32::try_from(unit).unwrap())
    }

    #[test]
    fn what_stands_at_a_scale_is_what_it_is() {
        for step in 0..4_000_i32 {
            let value = 1.01_f64.powi(step % 2_000) * f64::from(1 + step / 2_000);
            for share in [1.0, 0.5] {
                let (decimal, time) = (Round::Decimal.up(value) * share, Round::Time.up(value) * share);
                assert!((read(&count(decimal)) - decimal).abs() <= decimal * 1e-6 || decimal > 1e11, "{decimal}");
                assert!((read(&duration(time)) - time).abs() <= time * 1e-6 || time > 1e11, "{time}");
                let binary = Round::Binary.up(value) * share;
                let shown = bytes(binary as u64);
                assert!((bytes_of(&shown) - binary).abs() <= 0.5 || binary > 1e15, "{binary} {shown}");
            }
        }
    }
}
