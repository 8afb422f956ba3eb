//! Owns time and memory as they are measured: processor time of this thread, since machines that measure are seldom
//! idle, and resident memory.

use std::time::{Duration, Instant};

/// A running measurement.
#[derive(Debug)]
pub struct Clock {
    wall: Instant,
    processor: Option<u64>,
}

impl Clock {
    /// Starts.
    pub fn start() -> Self {
        Self { wall: Instant::now(), processor: on_processor() }
    }

    /// The processor time since the start; the wall-clock time where the system does not tell.
    pub fn elapsed(&self) -> Duration {
        match (self.processor, on_processor()) {
            (Some(start), Some(end)) => Duration::from_nanos(end.saturating_sub(start)),
            _ => self.wall.elapsed(),
        }
    }
}

/// Nanoseconds that this thread spent on a processor.
fn on_processor() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok()
}

/// The resident memory of this process in MiB; 0 where the system does not tell.
pub fn resident_mib() -> f64 {
    let pages = std::fs::read_to_string("/proc/self/status").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("VmRSS:"))?;
        line.split_whitespace().nth(1)?.parse::<f64>().ok()
    });
    pages.unwrap_or(0.0) / 1024.0
}

/// The middle of some measurements, and the share by which the outermost differ from it.
#[derive(Debug, Clone, Copy)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// Half the distance from the smallest to the largest, as a share of the median.
    pub spread: f64,
}

impl Spread {
    /// Of at least one measurement.
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        match (values.first(), values.get(values.len() / 2), values.last()) {
            (Some(low), Some(&median), Some(high)) => Self { median, spread: (high - low) / 2.0 / median },
            _ => Self { median: f64::NAN, spread: 0.0 },
        }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} ±{:.0}%", self.median, self.spread * 100.0)
    }
}
