//! Owns the worker's metrics: names, labels, buckets. All are there at zero from the start, and no label is unbounded:
//! no completion, no sample, no file.

use crate::error::Code;
use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, TextEncoder,
};
use sandsift_bus::message::validate::PLATFORMS;
use sandsift_bus::message::{Analysis, RuleSetRef};
use sandsift_bus::{Error, PublishError, State};
use serde_json::Value;

/// What became of a completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Its results are confirmed and it is acknowledged.
    Analysed,
    /// It will be tried again.
    Retried,
    /// It is a dead letter.
    DeadLettered,
    /// It was given back as it came.
    HandedBack,
    /// It could not be settled: the broker will deliver it again.
    Lost,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Analysed, Self::Retried, Self::DeadLettered, Self::HandedBack, Self::Lost];

    /// The label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Analysed => "analysed",
            Self::Retried => "retried",
            Self::DeadLettered => "dead_lettered",
            Self::HandedBack => "handed_back",
            Self::Lost => "lost",
        }
    }
}

/// The stages of a completion's way.
pub const STAGES: [&str; 5] = ["fetch", "decode", "match", "publish", "total"];

const LEVELS: [&str; 5] = ["informational", "low", "medium", "high", "critical"];
const ORIGINS: [&str; 4] = ["sample", "unknown", "background", "sandbox"];
const SECONDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];
const AGES: [f64; 11] = [1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0];

/// All metrics of one worker.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    pub(crate) received: IntCounterVec,
    pub(crate) completions: IntCounterVec,
    pub(crate) seconds: HistogramVec,
    pub(crate) age: Histogram,
    pub(crate) in_progress: IntGauge,
    pub(crate) slots: IntGauge,
    pub(crate) errors: IntCounterVec,
    pub(crate) redeliveries: IntCounter,
    pub(crate) attempts: Histogram,
    events: IntCounterVec,
    matches: IntCounterVec,
    incomplete: IntCounterVec,
    pub(crate) artifact_bytes: IntCounter,
    pub(crate) confirms: IntCounterVec,
    pub(crate) publish_seconds: Histogram,
    pub(crate) broker_state: IntGaugeVec,
    pub(crate) reconnects: IntCounterVec,
    pub(crate) ack_failures: IntCounterVec,
    rules: IntGauge,
    ruleset: IntGaugeVec,
    ruleset_loads: IntCounterVec,
    ruleset_loaded: Gauge,
    pub(crate) last_completion: Gauge,
    process: Process,
}

impl Metrics {
    /// Registers everything.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let vec = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(vec.clone()))?;
            Ok::<_, prometheus::Error>(vec)
        };
        let plain = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let time = |name: &str, help: &str| {
            let gauge = Gauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            let vec = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(vec.clone()))?;
            Ok::<_, prometheus::Error>(vec)
        };
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            let histogram = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?;
            registry.register(Box::new(histogram.clone()))?;
            Ok::<_, prometheus::Error>(histogram)
        };
        let seconds = HistogramVec::new(
            HistogramOpts::new("sandsift_completion_seconds", "Time that completions took, by stage.")
                .buckets(SECONDS.to_vec()),
            &["stage"],
        )?;
        registry.register(Box::new(seconds.clone()))?;
        let build = GaugeVec::new(Opts::new("sandsift_build_info", "The version that runs; always 1."), &["version"])?;
        registry.register(Box::new(build.clone()))?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1.0);

        let metrics = Self {
            received: counter("sandsift_completions_received_total", "Completions taken from a queue.", &["platform"])?,
            completions: counter(
                "sandsift_completions_total",
                "Completions by what became of them.",
                &["platform", "outcome"],
            )?,
            seconds,
            age: histogram(
                "sandsift_completion_age_seconds",
                "Time from a run's end, else from its completion's publication, to its confirmed analysis.",
                &AGES,
            )?,
            in_progress: gauge("sandsift_completions_in_progress", "Completions that are worked on now.")?,
            slots: gauge("sandsift_slots", "Completions that can be worked on at once.")?,
            errors: counter("sandsift_completion_errors_total", "Failed attempts by code.", &["code", "class"])?,
            redeliveries: plain("sandsift_redeliveries_total", "Deliveries that the broker marks as redelivered.")?,
            attempts: histogram(
                "sandsift_completion_attempts",
                "The attempt at which completions came to their analysis.",
                &[1.0, 2.0, 3.0, 5.0, 10.0, 20.0],
            )?,
            events: counter("sandsift_events_total", "Events that were matched.", &["platform"])?,
            matches: counter(
                "sandsift_matches_total",
                "Rules that fired, by level and the origin that weighs most.",
                &["platform", "level", "origin"],
            )?,
            incomplete: counter("sandsift_incomplete_total", "What analyses say was left out, by reason.", &["code"])?,
            artifact_bytes: plain("sandsift_artifact_bytes_total", "Bytes of artifacts fetched, as stored.")?,
            confirms: counter(
                "sandsift_publish_confirms_total",
                "Messages confirmed (ack), and batches that were not, by why.",
                &["result"],
            )?,
            publish_seconds: histogram(
                "sandsift_publish_seconds",
                "Time until a batch was confirmed or not.",
                &SECONDS,
            )?,
            broker_state: gauges("sandsift_broker_state", "1 for the state of the link to the broker.", &["state"])?,
            reconnects: counter("sandsift_reconnects_total", "Sessions that ended, by why.", &["reason"])?,
            ack_failures: counter(
                "sandsift_ack_failures_total",
                "Acknowledgements that did not reach the broker.",
                &["reason"],
            )?,
            rules: gauge("sandsift_rules_loaded", "Rules in the set in use.")?,
            ruleset: gauges("sandsift_ruleset_info", "The digest in use; always 1.", &["digest"])?,
            ruleset_loads: counter("sandsift_ruleset_loads_total", "Loads of the rule set.", &["result"])?,
            ruleset_loaded: time(
                "sandsift_ruleset_last_load_timestamp_seconds",
                "When the rule set in use was loaded.",
            )?,
            last_completion: time(
                "sandsift_last_completion_timestamp_seconds",
                "When a completion was last acknowledged.",
            )?,
            process: Process::new(&registry)?,
            registry,
        };
        metrics.zero();
        Ok(metrics)
    }

    fn zero(&self) {
        for platform in PLATFORMS {
            self.received.with_label_values(&[platform]);
            self.events.with_label_values(&[platform]);
            for outcome in Outcome::ALL {
                self.completions.with_label_values(&[platform, outcome.as_str()]);
            }
            for level in LEVELS {
                for origin in ORIGINS {
                    self.matches.with_label_values(&[platform, level, origin]);
                }
            }
        }
        for stage in STAGES {
            self.seconds.with_label_values(&[stage]);
        }
        for code in Code::ALL {
            self.errors.with_label_values(&[code.as_str(), code.class().as_str()]);
        }
        for code in PublishError::CODES.iter().chain(&["ack"]) {
            self.confirms.with_label_values(&[code]);
        }
        for code in Error::CODES {
            self.reconnects.with_label_values(&[code]);
            self.ack_failures.with_label_values(&[code]);
        }
        for result in ["ok", "refused"] {
            self.ruleset_loads.with_label_values(&[result]);
        }
        self.set_state(&State::Connecting(None));
    }

    /// Shows where the link to the broker stands.
    pub(crate) fn set_state(&self, state: &State) {
        for name in State::NAMES {
            self.broker_state.with_label_values(&[name]).set((name == state.name()).into());
        }
    }

    /// Counts what a published analysis says.
    pub(crate) fn count(&self, analysis: &Analysis) {
        let platform = label(&PLATFORMS, &analysis.platform);
        let total = analysis.events.get("total").and_then(Value::as_u64).unwrap_or(0);
        self.events.with_label_values(&[platform]).inc_by(total);
        for result in &analysis.sigma_analysis_results {
            let level = label(&LEVELS, &result.rule_level);
            let origin = ORIGINS.into_iter().find(|origin| result.origins.contains_key(*origin)).unwrap_or("unknown");
            self.matches.with_label_values(&[platform, level, origin]).inc();
        }
        for incomplete in &analysis.incomplete {
            self.incomplete.with_label_values(&[&incomplete.code]).inc_by(incomplete.count);
        }
        for stage in ["decode", "match"] {
            if let Some(seconds) = analysis.run.seconds.get(stage) {
                self.seconds.with_label_values(&[stage]).observe(*seconds);
            }
        }
    }

    /// Shows the rule set in use; counts the load.
    pub fn loaded(&self, ruleset: &RuleSetRef) {
        self.ruleset.reset();
        self.ruleset.with_label_values(&[&ruleset.digest]).set(1);
        self.rules.set(i64::try_from(ruleset.rules).unwrap_or(i64::MAX));
        self.ruleset_loads.with_label_values(&["ok"]).inc();
        self.ruleset_loaded.set(now());
    }

    /// Counts a rule set that was refused; the one in use stays.
    pub fn refused(&self) {
        self.ruleset_loads.with_label_values(&["refused"]).inc();
    }

    /// Everything in Prometheus's text format.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        self.process.update();
        let mut buffer = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut buffer)?;
        String::from_utf8(buffer).map_err(|error| prometheus::Error::Msg(error.to_string()))
    }
}

/// The label of a value from outside: one of the known ones, else the first.
fn label(known: &[&'static str], value: &str) -> &'static str {
    known.iter().find(|label| **label == value).copied().unwrap_or(known[0])
}

/// Seconds since 1970.
pub(crate) fn now() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// What Linux tells of the process, under the names that dashboards know.
#[derive(Debug)]
struct Process {
    resident: IntGauge,
    open_fds: IntGauge,
}

impl Process {
    fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let resident = IntGauge::new("process_resident_memory_bytes", "Memory that the process holds.")?;
        let open_fds = IntGauge::new("process_open_fds", "File descriptors that the process holds.")?;
        registry.register(Box::new(resident.clone()))?;
        registry.register(Box::new(open_fds.clone()))?;
        Ok(Self { resident, open_fds })
    }

    fn update(&self) {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let resident =
            status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix("kB")?.trim().parse().ok());
        self.resident.set(resident.map_or(0, |kib: i64| kib.saturating_mul(1024)));
        let open = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        self.open_fds.set(i64::try_from(open).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_there_at_zero() {
        let text = Metrics::new().unwrap().render().unwrap();
        for line in [
            "sandsift_completions_total{outcome=\"dead_lettered\",platform=\"macos\"} 0",
            "sandsift_completion_errors_total{class=\"permanent\",code=\"artifact-digest\"} 0",
            "sandsift_publish_confirms_total{result=\"returned\"} 0",
            "sandsift_broker_state{state=\"connecting\"} 1",
            "sandsift_broker_state{state=\"running\"} 0",
            "sandsift_completion_seconds_count{stage=\"match\"} 0",
        ] {
            assert!(text.lines().any(|given| given == line), "missing: {line}");
        }
    }

    #[test]
    fn text_from_outside_never_becomes_a_new_label() {
        assert_eq!(label(&LEVELS, "high"), "high");
        assert_eq!(label(&LEVELS, "</script>"), "informational");
    }
}
