//! Owns `worker`: the service on the configured broker, with rules that are read anew when they change.

use crate::args::Global;
use crate::broker::{self, Broker, block_on};
use crate::failure::{Exit, Failure};
use crate::{config, rules};
use clap::Args;
use sandsift_worker::execute::Threads;
use sandsift_worker::sources::{Assembly, fingerprint};
use sandsift_worker::{Metrics, Setup, Shutdown};
use std::sync::Arc;
use std::time::Duration;

/// Run a worker: take completions, match them, publish results
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    sandsift worker -c sandsift.toml\n  \
    sandsift worker --broker amqp://worker:secret@broker/%2f --rules SigmaHQ=sigma/rules\n\n\
    SIGTERM or Ctrl-C drains: takes nothing new, finishes what was begun, leaves; a second one leaves at once.\n\
    SIGHUP reads the rules anew.")]
pub struct Arguments {
    #[command(flatten)]
    broker: Broker,
    #[command(flatten)]
    rules: rules::Selection,
    /// Declare exchanges and queues instead of looking for them
    #[arg(long)]
    declare: bool,
    /// Completions worked on at once [default: all cores]
    #[arg(long, value_name = "N")]
    slots: Option<usize>,
    /// What results and logs call this worker
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Where metrics, probes and the status page are served
    #[arg(long, value_name = "HOST:PORT")]
    admin: Option<String>,
}

pub fn run(global: &Global, args: &Arguments) -> Result<Exit, Failure> {
    let mut config = config::load(global.config.as_deref())?;
    args.broker.apply(&mut config);
    args.rules.apply(&mut config);
    config.worker.declare |= args.declare;
    if let Some(slots) = args.slots {
        config.worker.slots = slots;
    }
    if let Some(name) = &args.name {
        config.worker.name.clone_from(name);
    }
    if let Some(admin) = &args.admin {
        config.worker.admin.clone_from(admin);
    }
    let settings = config.worker()?;
    let transport = broker::transport(&config)?;
    let metrics = Arc::new(Metrics::new().map_err(Failure::problem)?);
    let assembly = config.assembly();
    let assembled = assembly.assemble();
    rules::report_errors(&assembled.diagnostics);
    let ruleset = assembled.engine.ruleset();
    if ruleset.rules < config.rules.minimum {
        let minimum = config.rules.minimum;
        return Err(Failure::usage(format!(
            "{} rules loaded, at least {minimum} are wanted (rules.minimum)",
            ruleset.rules
        )));
    }
    metrics.loaded(&ruleset);
    let executor = Arc::new(Threads::new(assembled.engine));
    let reload = Reload {
        assembly,
        minimum: config.rules.minimum,
        every: config.worker.watch_rules,
        executor: Arc::clone(&executor),
        metrics: Arc::clone(&metrics),
    };
    block_on(async move {
        let shutdown =
            Shutdown::on_signals().map_err(|error| Failure::problem(format!("cannot listen to signals: {error}")))?;
        tokio::spawn(reload.run());
        let setup = Setup { config: settings, transport, executor, metrics };
        sandsift_worker::run(setup, shutdown).await.map_err(Failure::usage)
    })?;
    Ok(Exit::Done)
}

/// Reads rules anew when they change on disk or a SIGHUP asks for it; each completion keeps the set that it began with.
struct Reload {
    assembly: Assembly,
    minimum: u64,
    every: Duration,
    executor: Arc<Threads>,
    metrics: Arc<Metrics>,
}

impl Reload {
    async fn run(self) {
        let reload = Arc::new(self);
        let mut seen = reload.look().await;
        let mut asked = Hangup::new();
        loop {
            let forced = tokio::select! {
                () = asked.wait() => true,
                () = sleep_or_never(reload.every) => false,
            };
            let now = reload.look().await;
            if forced || now != seen {
                seen = now;
                let reload = Arc::clone(&reload);
                // Compiling thousands of rules is no work for a reactor.
                if tokio::task::spawn_blocking(move || reload.load()).await.is_err() {
                    tracing::error!("reading the rules panicked; the old ones stay");
                }
            }
        }
    }

    /// A digest of what is on disk.
    async fn look(&self) -> Option<[u8; 32]> {
        let paths = self.assembly.paths();
        tokio::task::spawn_blocking(move || fingerprint(&paths)).await.ok()
    }

    fn load(&self) {
        let assembled = self.assembly.assemble();
        rules::report_errors(&assembled.diagnostics);
        let ruleset = assembled.engine.ruleset();
        if ruleset.rules < self.minimum {
            let (rules, minimum) = (ruleset.rules, self.minimum);
            tracing::error!(rules, minimum, "too few rules (rules.minimum); the old set stays");
            self.metrics.refused();
            return;
        }
        tracing::info!(digest = %ruleset.digest, rules = ruleset.rules, "rules loaded");
        self.executor.replace(assembled.engine);
        self.metrics.loaded(&ruleset);
    }
}

async fn sleep_or_never(every: Duration) {
    if every.is_zero() { std::future::pending().await } else { tokio::time::sleep(every).await }
}

/// Waits for SIGHUP; never where there is none.
struct Hangup {
    #[cfg(unix)]
    signal: Option<tokio::signal::unix::Signal>,
}

impl Hangup {
    #[cfg(unix)]
    fn new() -> Self {
        Self { signal: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok() }
    }

    #[cfg(not(unix))]
    fn new() -> Self {
        Self {}
    }

    async fn wait(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.signal
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending().await
    }
}
