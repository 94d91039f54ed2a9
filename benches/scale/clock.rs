//! What things take: on the clock, and on the CPU where the system says.

use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

/// A moment, and what this thread had used of the CPU until then.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    at: Instant,
    used: Option<Duration>,
}

/// Now.
pub fn now() -> Moment {
    Moment { used: used(), at: Instant::now() }
}

/// What something took.
#[derive(Debug, Clone, Copy)]
pub struct Took {
    clock: Duration,
    cpu: Option<Duration>,
}

impl Moment {
    /// What passed since.
    pub fn passed(self) -> Took {
        let clock = self.at.elapsed();
        Took { clock, cpu: used().zip(self.used).map(|(now, then)| now.saturating_sub(then)) }
    }
}

fn used() -> Option<Duration> {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).ok().map(Duration::from)
}

/// What many of a kind took.
#[derive(Debug, Clone, Default)]
pub struct Times {
    clock: Vec<Duration>,
    cpu: Vec<Duration>,
}

impl Times {
    /// One more.
    pub fn add(&mut self, took: Took) {
        self.clock.push(took.clock);
        self.cpu.extend(took.cpu);
    }

    /// One more of which only the clock is known.
    pub fn add_clock(&mut self, took: Duration) {
        self.clock.push(took);
    }

    /// Prints them.
    #[expect(clippy::print_stdout, reason = "a benchmark prints")]
    pub fn say(mut self, what: &str) {
        let times = self.clock.len();
        println!("{what:<32} {}   ({times} times)", spread(&mut self.clock));
        if !self.cpu.is_empty() {
            println!("{:<32} {}", "    on the CPU", spread(&mut self.cpu));
        }
    }
}

fn spread(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let at = |share: f64| {
        let place = (times.len().saturating_sub(1) as f64 * share) as usize;
        times.get(place).map_or(0.0, Duration::as_secs_f64) * 1e3
    };
    format!("median {:>7.2} ms   p99 {:>7.2} ms   worst {:>7.2} ms", at(0.5), at(0.99), at(1.0))
}
