//! Owns `demo`: a whole cluster in one process on the sample completions of the three platforms: a producer, two workers
//! and a subscriber, on the broker in memory or on a real one.

use crate::args::Global;
use crate::broker::{self, Broker, block_on};
use crate::config::{self, Config, Results};
use crate::failure::{Exit, Failure};
use crate::rules;
use crate::scan::headline;
use crate::tail::Printer;
use crate::term::{self, Align, Style, Table};
use clap::Args;
use sandsift_bus::message::{Analysis, Completion};
use sandsift_bus::{Backoff, Names, Supervisor, Topology, Transport, memory, tail};
use sandsift_producer::{FileStore, Load, Options, Packer, plan, publish, samples};
use sandsift_worker::config::Store;
use sandsift_worker::execute::Threads;
use sandsift_worker::{Metrics, Setup, Shutdown, Stop};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How long the whole may take before something is wrong.
const PATIENCE: Duration = Duration::from_secs(60);

/// Run a whole cluster in one process on sample completions
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    sandsift demo\n  \
    sandsift demo --broker amqp://guest:guest@localhost/%2f\n\n\
    A producer, two workers and a subscriber; nothing else has to be installed.")]
pub struct Arguments {
    #[command(flatten)]
    broker: Broker,
}

pub fn run(global: &Global, args: &Arguments) -> Result<Exit, Failure> {
    let mut config = config::load(global.config.as_deref())?;
    args.broker.apply(&mut config);
    config.results = Results { behaviour: false, ..Results::default() };
    let root = std::env::temp_dir().join(format!("sandsift-demo-{}", Uuid::new_v4().simple()));
    let outcome = show(global, args, &mut config, &root);
    // What the demo wrote is of no use to anybody; what cannot be removed lies in the system's own temporary folder.
    let _ = std::fs::remove_dir_all(&root);
    outcome
}

fn show(global: &Global, args: &Arguments, config: &mut Config, root: &Path) -> Result<Exit, Failure> {
    let started = Instant::now();
    let completions = sample_completions(config, root)?;
    config.stores.insert("demo".to_owned(), Store::Folder { path: root.join("store") });
    let transport: Arc<dyn Transport> = match args.broker.uri {
        Some(_) => broker::transport(config)?,
        None => Arc::new(memory::Broker::new()),
    };
    let where_at = match &args.broker.uri {
        Some(uri) => config::mask_address(uri).unwrap_or_else(|| uri.clone()),
        None => "the broker in memory".to_owned(),
    };
    let assembled = config.assembly().assemble();
    rules::report_errors(&assembled.diagnostics);
    let ruleset = assembled.engine.ruleset();
    term::note(format!(
        "{} completions of three platforms, {} rules, two workers, on {where_at}\n",
        completions.len(),
        ruleset.rules
    ));
    let executor = Arc::new(Threads::new(assembled.engine));
    let analyses = block_on(cluster(global, config, transport, executor, &completions))?;
    close(&completions, &analyses, started.elapsed())?;
    Ok(Exit::problems_if(analyses.len() < completions.len()))
}

/// The samples that ship, under ids of this run, so that a broker's older results are not taken for its own.
fn sample_completions(config: &Config, root: &Path) -> Result<Vec<Completion>, Failure> {
    let fail = |error: &dyn std::fmt::Display| Failure::problem(format!("samples: {error}"));
    let folder = root.join("samples");
    samples::extract(&folder).map_err(|error| fail(&error))?;
    let packer = Packer {
        store: Some(FileStore::new("demo", root.join("store"))),
        // Without the mappings a log of another format would be taken for plain NDJSON.
        ingest: config.assembly().assemble_ingest(),
        ..Packer::default()
    };
    let inputs = plan(&[folder], false).map_err(|error| fail(&error))?;
    let mut completions =
        inputs.iter().map(|input| packer.pack(input)).collect::<Result<Vec<_>, _>>().map_err(|error| fail(&error))?;
    for completion in &mut completions {
        completion.id = Uuid::new_v4().to_string();
    }
    Ok(completions)
}

/// Runs producer, workers and subscriber until every completion has its analysis.
async fn cluster(
    global: &Global,
    config: &Config,
    transport: Arc<dyn Transport>,
    executor: Arc<Threads>,
    completions: &[Completion],
) -> Result<BTreeMap<String, Analysis>, Failure> {
    let session = transport.connect().await.map_err(Failure::problem)?;
    session.declare(&Topology::new(&config.topology)).await.map_err(Failure::problem)?;
    let stops = start_workers(config, &transport, &executor)?;
    let name = format!("demo-{}", Uuid::new_v4().simple());
    let bindings = ["match.#".to_owned(), "analysis.#".to_owned()];
    let subscription = tail::subscribe(session.as_ref(), &config.topology, "demo", &name, &bindings).await;
    let mut consumer = subscription.map_err(Failure::problem)?;

    let publishing = {
        let (transport, names, completions) = (Arc::clone(&transport), config.topology.clone(), completions.to_vec());
        tokio::spawn(async move { produce(transport, names, &completions).await })
    };
    let mut printer = Printer::new(Some(global.format.unwrap_or(crate::args::Format::Table)), None);
    let mut analyses = BTreeMap::new();
    let deadline = tokio::time::sleep(PATIENCE);
    tokio::pin!(deadline);
    while analyses.len() < completions.len() {
        let delivery = tokio::select! {
            delivery = consumer.next() => delivery.map_err(Failure::problem)?,
            () = &mut deadline => break,
        };
        let Some(delivery) = delivery else { break };
        if delivery.routing_key.starts_with("analysis.") {
            if let Some(analysis) = own_analysis(&delivery.body, completions) {
                analyses.insert(analysis.completion.id.clone(), analysis);
            }
        } else if is_own(&delivery.body, completions) {
            printer.delivery(&delivery)?;
        }
        delivery.settle.ack().await.map_err(Failure::problem)?;
    }
    for stop in &stops {
        stop.ask();
    }
    session.delete_queue(&format!("results.demo.{name}")).await.map_err(Failure::problem)?;
    session.close(Duration::from_secs(2)).await;
    publishing.await.map_err(Failure::problem)??;
    Ok(analyses)
}

fn start_workers(
    config: &Config,
    transport: &Arc<dyn Transport>,
    executor: &Arc<Threads>,
) -> Result<Vec<Stop>, Failure> {
    let mut stops = Vec::new();
    for number in 1..=2 {
        let mut settings = config.worker()?;
        settings.name = format!("demo-{number}");
        settings.slots = 2;
        settings.admin = None;
        let metrics = Arc::new(Metrics::new().map_err(Failure::problem)?);
        let (stop, shutdown) = Shutdown::new();
        let setup =
            Setup { config: settings, transport: Arc::clone(transport), executor: Arc::clone(executor) as _, metrics };
        tokio::spawn(async move {
            if let Err(error) = sandsift_worker::run(setup, shutdown).await {
                term::error(format!("worker demo-{number}: {error}"));
            }
        });
        stops.push(stop);
    }
    Ok(stops)
}

async fn produce(transport: Arc<dyn Transport>, names: Names, completions: &[Completion]) -> Result<(), Failure> {
    let mut supervisor = Supervisor::new(transport, Backoff::default());
    let options = Options { names, ..Options::default() };
    publish(&mut supervisor, &options, completions, Load::default(), &mut |_| {}).await.map_err(Failure::problem)?;
    Ok(())
}

fn data(body: &[u8]) -> Option<serde_json::Value> {
    let mut body: serde_json::Value = serde_json::from_slice(body).ok()?;
    body.get_mut("data").map(serde_json::Value::take)
}

fn is_own(body: &[u8], completions: &[Completion]) -> bool {
    let id = data(body).and_then(|data| data.pointer("/completion/id")?.as_str().map(str::to_owned));
    id.is_some_and(|id| completions.iter().any(|completion| completion.id == id))
}

fn own_analysis(body: &[u8], completions: &[Completion]) -> Option<Analysis> {
    let analysis: Analysis = serde_json::from_value(data(body)?).ok()?;
    completions.iter().any(|completion| completion.id == analysis.completion.id).then_some(analysis)
}

/// The closing table.
fn close(completions: &[Completion], analyses: &BTreeMap<String, Analysis>, elapsed: Duration) -> Result<(), Failure> {
    let mut table = Table::new(&[
        ("platform", Align::Left),
        ("sample", Align::Left),
        ("sandbox", Align::Left),
        ("events", Align::Right),
        ("matched", Align::Left),
        ("worker", Align::Left),
    ]);
    let mut events = 0;
    for completion in completions {
        let sample = completion.sample.name.as_ref().unwrap_or(&completion.sample.sha256).clone();
        let mut row = vec![
            (completion.platform.clone(), Style::Accent),
            (sample, Style::Bold),
            (completion.sandbox.name.clone(), Style::Dim),
        ];
        match analyses.get(&completion.id) {
            Some(analysis) => {
                let total = analysis.events.get("total").and_then(serde_json::Value::as_u64).unwrap_or(0);
                events += total;
                let level = analysis.sigma_analysis_results.first().map_or("", |result| &result.rule_level);
                row.push((total.to_string(), Style::Plain));
                let matched = headline(&analysis.sigma_analysis_stats, analysis.informational, false);
                row.push((matched, if level.is_empty() { Style::Good } else { Style::of_level(level) }));
                row.push((analysis.run.worker.clone(), Style::Dim));
            }
            None => row.extend([("-".to_owned(), Style::Dim), ("no analysis came".to_owned(), Style::Bad)]),
        }
        table.row(row);
    }
    let mut out = std::io::stdout().lock();
    writeln!(out)?;
    table.write(&mut out, term::width(), term::stdout_colored())?;
    writeln!(
        out,
        "{} of {} completions analysed, {events} events, in {:.2} s",
        analyses.len(),
        completions.len(),
        elapsed.as_secs_f64()
    )?;
    Ok(())
}
