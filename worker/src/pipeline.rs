//! Owns one completion's way through the worker: each step of its life in turn, what becomes of a failure, one log line
//! at the end and the metrics with it.

use crate::config::Config;
use crate::error::Failure;
use crate::execute::Executor;
use crate::life::{Encoded, Executed, Fallen, Means, Received, Settled, Verdict};
use crate::metrics::{Metrics, Outcome, now};
use crate::resolve::Stores;
use crate::status::Board;
use sandsift_bus::message::validate::PLATFORMS;
use sandsift_bus::{Backoff, Delivery, PublishError, Session};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// The unit in which the memory budget is counted, since a semaphore counts in 32 bits.
const BUDGET_UNIT: u64 = 64 << 10;

/// Takes deliveries to their end.
pub(crate) struct Pipeline {
    means: Means,
    delays: Vec<Duration>,
    /// How long results that the broker will not take are tried again before the completion is given back.
    patience: Duration,
    budget: Semaphore,
    budget_units: u32,
    board: Arc<Board>,
}

impl Pipeline {
    pub fn new(
        config: &Config,
        stores: Stores,
        executor: Arc<dyn Executor>,
        metrics: Arc<Metrics>,
        board: Arc<Board>,
    ) -> Self {
        let units = u32::try_from((config.limits.memory_bytes / BUDGET_UNIT).clamp(1, 1 << 28)).unwrap_or(1 << 28);
        let mut delays = config.topology.retry_delays.clone();
        delays.sort_unstable();
        Self {
            means: Means {
                worker: config.name.clone(),
                names: config.topology.clone(),
                limits: config.limits.clone(),
                retry: config.retry.clone(),
                matches: config.results.matches,
                stores,
                executor,
                metrics,
            },
            delays,
            patience: config.limits.publish * 10,
            budget: Semaphore::new(units as usize),
            budget_units: units,
            board,
        }
    }

    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.means.metrics
    }

    /// Works on one delivery to its end. Nothing is acknowledged that the broker does not hold the outcome of.
    pub async fn handle(&self, session: &dyn Session, delivery: Delivery) {
        let received = Received::new(delivery);
        let platform = self.platform(received.held().queue());
        let metrics = &self.means.metrics;
        metrics.received.with_label_values(&[platform]).inc();
        metrics.redeliveries.inc_by(received.held().redelivered().into());
        let started = received.held().received();
        let outcome = match self.analyse(received).await {
            Ok(executed) => self.finish(session, platform, executed).await,
            Err(fallen) => self.fail(session, platform, fallen).await,
        };
        metrics.completions.with_label_values(&[platform, outcome.as_str()]).inc();
        metrics.seconds.with_label_values(&["total"]).observe(started.elapsed().as_secs_f64());
    }

    /// Gives back what was not begun.
    pub async fn hand_back(&self, session: &dyn Session, delivery: Delivery) {
        let received = Received::new(delivery);
        let platform = self.platform(received.held().queue());
        let metrics = &self.means.metrics;
        metrics.received.with_label_values(&[platform]).inc();
        let outcome = match received.hand_back(&self.means, session).await {
            Ok(settled) => self.acknowledge(settled, Outcome::HandedBack).await,
            Err(error) => {
                tracing::warn!(%error, "an unstarted completion could not be handed back; the broker will deliver it again");
                Outcome::Lost
            }
        };
        metrics.completions.with_label_values(&[platform, outcome.as_str()]).inc();
    }

    async fn analyse(&self, received: Received) -> Result<Executed, Fallen> {
        let read = received.read(&self.means)?;
        let claimed: u64 = read.completion().artifacts.iter().filter_map(|artifact| artifact.bytes).sum();
        let units = u32::try_from(claimed / BUDGET_UNIT + 1).unwrap_or(u32::MAX).min(self.budget_units);
        // The semaphore is never closed, so waiting for it cannot fail.
        let _memory = self.budget.acquire_many(units).await.ok();
        let running = self.board.begin(&read.completion().id, &read.completion().platform);
        let started = Instant::now();
        let resolved = read.resolve(&self.means).await?;
        self.means.metrics.seconds.with_label_values(&["fetch"]).observe(started.elapsed().as_secs_f64());
        let executed = resolved.execute(&self.means).await;
        drop(running);
        executed
    }

    async fn finish(&self, session: &dyn Session, platform: &'static str, executed: Executed) -> Outcome {
        let encoded = match executed.encode(&self.means) {
            Ok(encoded) => encoded,
            Err(fallen) => return self.fail(session, platform, fallen).await,
        };
        let started = Instant::now();
        let attempt = encoded.held().attempt();
        let received = encoded.held().received();
        let (analysis, settled, outcome) = match self.publish(session, encoded).await {
            Ok((analysis, settled)) => (Some(analysis), settled, Outcome::Analysed),
            Err(Some(settled)) => (None, settled, Outcome::HandedBack),
            Err(None) => return Outcome::Lost,
        };
        self.means.metrics.seconds.with_label_values(&["publish"]).observe(started.elapsed().as_secs_f64());
        let outcome = self.acknowledge(settled, outcome).await;
        if let (Some(analysis), Outcome::Analysed) = (analysis, outcome) {
            let metrics = &self.means.metrics;
            metrics.count(&analysis);
            metrics.attempts.observe(attempt as f64);
            if let Some(finished) = analysis.completion.finished.as_deref().and_then(seconds_of) {
                metrics.age.observe((now() - finished).max(0.0));
            }
            let stats = &analysis.sigma_analysis_stats;
            tracing::info!(
                completion = %analysis.completion.id.escape_debug(),
                platform,
                attempt,
                critical = stats.critical,
                high = stats.high,
                medium = stats.medium,
                low = stats.low,
                seconds = received.elapsed().as_secs_f64(),
                "analysed"
            );
            self.board.analysed(&analysis);
        }
        outcome
    }

    /// Publishes until the broker has confirmed all, or the session is over. A broker that will not take results for
    /// long gets the completion back: it is not the completion's fault, so the attempt does not count.
    async fn publish(
        &self,
        session: &dyn Session,
        mut encoded: Encoded,
    ) -> Result<(sandsift_bus::message::Analysis, Settled), Option<Settled>> {
        let backoff = Backoff::default();
        let started = Instant::now();
        let mut failures = 0;
        loop {
            let analysis = encoded.analysis().clone();
            let error = match encoded.publish(&self.means, session).await {
                Ok(settled) => return Ok((analysis, settled)),
                Err((same, error)) => {
                    encoded = same;
                    error
                }
            };
            failures += 1;
            self.board.error(error.code(), &error.to_string());
            if let PublishError::Session(error) = error {
                tracing::warn!(%error, "results could not be published; the broker will deliver the completion again");
                return Err(None);
            }
            if started.elapsed() > self.patience {
                tracing::error!(%error, "results could not be published for long; giving the completion back");
                return Err(encoded.give_back(&self.means, session).await.ok());
            }
            tracing::warn!(%error, "results were not confirmed; trying again");
            tokio::time::sleep(backoff.wait(failures)).await;
        }
    }

    async fn fail(&self, session: &dyn Session, platform: &'static str, fallen: Fallen) -> Outcome {
        let Failure { code, detail } = fallen.failure().clone();
        self.means.metrics.errors.with_label_values(&[code.as_str(), code.class().as_str()]).inc();
        self.board.error(code.as_str(), &detail);
        let verdict = fallen.verdict(&self.means.retry, &self.delays);
        let outcome = match verdict {
            Verdict::Retry(_) => Outcome::Retried,
            Verdict::Dead => Outcome::DeadLettered,
        };
        tracing::warn!(
            completion = %fallen.id().unwrap_or("unknown").escape_debug(),
            platform,
            attempt = fallen.held().attempt(),
            code = code.as_str(),
            class = code.class().as_str(),
            detail = %detail.escape_debug(),
            outcome = outcome.as_str(),
            "failed"
        );
        match fallen.publish(verdict, &self.means, session).await {
            Ok(settled) => self.acknowledge(settled, outcome).await,
            Err(error) => {
                tracing::warn!(%error, "a failed completion could not be moved; the broker will deliver it again");
                Outcome::Lost
            }
        }
    }

    async fn acknowledge(&self, settled: Settled, outcome: Outcome) -> Outcome {
        match settled.acknowledge().await {
            Ok(()) => {
                self.means.metrics.last_completion.set(now());
                outcome
            }
            Err(error) => {
                self.means.metrics.ack_failures.with_label_values(&[error.code()]).inc();
                tracing::warn!(%error, "not acknowledged; the broker will deliver the completion again");
                Outcome::Lost
            }
        }
    }

    fn platform(&self, queue: &str) -> &'static str {
        let name = self.means.names.platform_of(queue).unwrap_or_default();
        PLATFORMS.into_iter().find(|platform| *platform == name).unwrap_or(PLATFORMS[0])
    }
}

/// Seconds since 1970 of an RFC 3339 time in UTC or with an offset; `None` for anything else.
fn seconds_of(text: &str) -> Option<f64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Days since 1970 in the proleptic Gregorian calendar, with years that begin in March.
    let (shifted_year, shifted_month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year.rem_euclid(400);
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468;
    let zone = text.get(19..)?.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let offset = match zone.as_bytes() {
        [b'Z'] => 0,
        [sign @ (b'+' | b'-'), ..] if zone.len() == 6 => {
            let minutes = zone.get(1..3)?.parse::<i64>().ok()? * 60 + zone.get(4..6)?.parse::<i64>().ok()?;
            if *sign == b'-' { -minutes * 60 } else { minutes * 60 }
        }
        _ => return None,
    };
    Some((days * 86_400 + hour * 3600 + minute * 60 + second - offset) as f64)
}

#[cfg(test)]
mod tests {
    use super::seconds_of;

    #[test]
    fn times_are_read_with_their_offset() {
        assert_eq!(seconds_of("1970-01-01T00:00:00Z"), Some(0.0));
        assert_eq!(seconds_of("2024-02-29T12:00:00.123Z"), Some(1_709_208_000.0));
        assert_eq!(seconds_of("2024-02-29T14:00:00+02:00"), Some(1_709_208_000.0));
        for text in ["", "yesterday", "2024-13-01T00:00:00Z", "2024-02-29 12:00:00", "2024-02-29T12:00:00é"] {
            assert_eq!(seconds_of(text), None, "{text}");
        }
    }
}
