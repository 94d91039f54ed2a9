//! What is promised of hundreds of instances, and what was seen of it.

use std::time::Duration;

use tierdeck::sources::aws::cloudwatch::AT_ONCE;

/// Of one core, in per cent.
const CPU: f64 = 10.0;

/// At the most, in megabytes.
const MEMORY: f64 = 250.0;

/// Beyond so many instances each has one connection instead of two.
const FEW: usize = 64;

/// Sockets that are no instance's: those to AWS, of which each source has one or two, who listens, and the runtime's own.
const OTHERS: usize = 32;

/// How often figures are asked for, as nothing else is configured.
const PERIOD: Duration = Duration::from_secs(60);

/// What was seen of the program.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    pub what: &'static str,
    pub instances: usize,
    /// Figures that all of them can have.
    pub metrics: usize,
    /// Calls for figures, and in what time.
    pub calls: u64,
    pub passed: Duration,
    pub sockets: usize,
    /// Of one core, in per cent, and at most in megabytes; a small and short run says nothing of those.
    pub spent: Option<(f64, f64)>,
}

impl Seen {
    /// What was promised and is not so.
    pub fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let mut judge = |holds: bool, words: String| {
            if !holds {
                broken.push(format!("{}: {words}", self.what));
            }
        };
        if let Some((cpu, memory)) = self.spent {
            judge(cpu < CPU, format!("{cpu:.1} % of a core, and less than {CPU} % are promised"));
            judge(memory < MEMORY, format!("{memory:.1} MB, and less than {MEMORY} MB are promised"));
        }
        let a_round = self.metrics.div_ceil(AT_ONCE) as u64;
        // Where the time that was watched begins and ends in a period is chance.
        let rounds = self.passed.as_secs() / PERIOD.as_secs();
        let (least, most) = (rounds * a_round, (rounds + 1) * a_round);
        let calls = self.calls;
        judge(
            (least..=most).contains(&calls),
            format!("{calls} calls of GetMetricData in {:?}, and {a_round} a minute are promised", self.passed),
        );
        let each = if self.instances > FEW { 1 } else { 2 };
        let bound = self.instances * each + OTHERS;
        judge(
            self.sockets <= bound,
            format!("{} sockets, and {each} an instance and {OTHERS} more ({bound}) are promised", self.sockets),
        );
        broken
    }
}
