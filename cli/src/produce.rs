//! Owns `produce`: completions for files and folders, published and confirmed; once, as a load, or as they appear.

use crate::args::Global;
use crate::broker::{self, Broker, block_on};
use crate::config::{self, Config};
use crate::failure::{Exit, Failure};
use crate::term::{self, Progress};
use clap::Args;
use sandsift_bus::message::Completion;
use sandsift_bus::{Backoff, Supervisor};
use sandsift_producer::{FileStore, Load, Options, PackError, Packer, plan, publish, watch};
use sandsift_worker::config::Store;
use std::path::PathBuf;
use std::time::Duration;

/// Publish completions for files and folders
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    sandsift produce evtx.zip report.json --together --platform windows\n  \
    sandsift produce samples/ --count 1000 --rate 50 --store fleet=/var/lib/sandsift/artifacts\n  \
    sandsift produce --watch /opt/CAPEv2/storage/analyses --store fleet=/srv/artifacts\n\n\
    A file makes one completion, and so does a folder with a completion.json; --together takes all paths as one.")]
pub struct Arguments {
    /// Files or folders; with --watch one folder
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Take all paths as the artifacts of one completion
    #[arg(long)]
    together: bool,
    /// The platform of what does not tell its own
    #[arg(long, value_parser = ["windows", "linux", "macos"], value_name = "PLATFORM")]
    platform: Option<String>,
    /// The sandbox of what does not name one [default: producer.sandbox of the configuration]
    #[arg(long, value_name = "NAME")]
    sandbox: Option<String>,
    /// The store that artifacts go into: NAME of the configuration, or NAME=FOLDER
    #[arg(long, value_name = "NAME[=FOLDER]")]
    store: Option<String>,
    /// How many completions: the given ones again and again, each under an id of its own
    #[arg(long, value_name = "N", conflicts_with = "watch")]
    count: Option<u64>,
    /// At most so many a second
    #[arg(long, value_name = "N", conflicts_with = "watch")]
    rate: Option<f64>,
    /// Watch a sandbox's output folder and publish what is finished
    #[arg(long)]
    watch: bool,
    /// Where the watch keeps what was sent [default: .sandsift-journal beside the folder]
    #[arg(long, value_name = "FILE", requires = "watch")]
    journal: Option<PathBuf>,
    /// How long nothing may change in a watched entry before it counts as finished
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = sandsift_bus::units::parse_duration)]
    settle: Duration,
    #[command(flatten)]
    broker: Broker,
}

pub fn run(global: &Global, args: &Arguments) -> Result<Exit, Failure> {
    let mut config = config::load(global.config.as_deref())?;
    args.broker.apply(&mut config);
    let packer = packer(args, &config)?;
    let transport = broker::transport(&config)?;
    let mut supervisor = Supervisor::new(transport, Backoff::default());
    let options = Options { names: config.topology.clone(), ..Options::default() };
    if args.watch {
        return watch_folder(args, &packer, &mut supervisor, &options);
    }
    let (completions, skipped) = pack(args, &packer)?;
    if completions.is_empty() {
        return Err(Failure::problem("no path holds an artifact of a known kind; docs/formats.md lists the kinds"));
    }
    let load = Load { count: args.count, rate: args.rate };
    let total = args.count.unwrap_or(completions.len() as u64);
    let bar = Progress::new(total, "publishing", false);
    let report = block_on(async {
        let mut seen = 0;
        let mut step = |progress: sandsift_producer::Progress| {
            (seen..progress.confirmed).for_each(|_| bar.step());
            seen = progress.confirmed;
        };
        publish(&mut supervisor, &options, &completions, load, &mut step).await.map_err(Failure::problem)
    })?;
    drop(bar);
    let seconds = report.elapsed.as_secs_f64();
    term::note(format!(
        "{} completions confirmed in {seconds:.2} s ({:.0} a second), {} batches sent again",
        report.confirmed,
        report.confirmed as f64 / seconds.max(0.001),
        report.retries
    ));
    Ok(Exit::problems_if(skipped > 0))
}

fn packer(args: &Arguments, config: &Config) -> Result<Packer, Failure> {
    let assembled = config.assembly().assemble_ingest();
    Ok(Packer {
        store: store(args, config)?,
        inline_bytes: config.producer.inline_bytes,
        artifact_bytes: config.limits.artifact_bytes,
        platform: args.platform.clone(),
        sandbox: args.sandbox.clone().unwrap_or_else(|| config.producer.sandbox.clone()),
        ingest: assembled,
    })
}

fn store(args: &Arguments, config: &Config) -> Result<Option<FileStore>, Failure> {
    let name = match &args.store {
        Some(given) => match given.split_once('=') {
            Some((name, folder)) => return Ok(Some(FileStore::new(name, folder))),
            None => given,
        },
        None if config.producer.store.is_empty() => return Ok(None),
        None => &config.producer.store,
    };
    match config.stores.get(name) {
        Some(Store::Folder { path }) => Ok(Some(FileStore::new(name, path))),
        Some(_) => {
            Err(Failure::usage(format!("store '{name}' is no folder; artifacts are written into folders alone")))
        }
        None => Err(Failure::usage(format!(
            "no store '{name}'; name one of stores, or give its folder by --store {name}=FOLDER"
        ))),
    }
}

/// Packs every path; what is of no known kind is said and left out.
fn pack(args: &Arguments, packer: &Packer) -> Result<(Vec<Completion>, usize), Failure> {
    let inputs =
        plan(&args.paths, args.together).map_err(|error| Failure::problem(format!("cannot be read: {error}")))?;
    let bar = Progress::new(inputs.len() as u64, "packing", false);
    let (mut completions, mut skipped) = (Vec::new(), 0);
    for input in &inputs {
        match packer.pack(input) {
            Ok(completion) => completions.push(completion),
            Err(PackError::NoArtifact { .. }) if input.of_a_folder => {
                tracing::info!("{}: of no known kind, left out", term::escape(&input.name));
            }
            Err(error @ (PackError::NoPlatform { .. } | PackError::NoStore { .. })) => {
                return Err(Failure::usage(error));
            }
            Err(error) => {
                term::error(error);
                skipped += 1;
            }
        }
        bar.step();
    }
    Ok((completions, skipped))
}

fn watch_folder(
    args: &Arguments,
    packer: &Packer,
    supervisor: &mut Supervisor,
    publishing: &Options,
) -> Result<Exit, Failure> {
    let [root] = args.paths.as_slice() else {
        return Err(Failure::usage("--watch takes one folder"));
    };
    let beside = || {
        let name = root.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        root.with_file_name(format!(".{name}.sandsift-journal"))
    };
    let options = watch::Options {
        root: root.clone(),
        journal: args.journal.clone().unwrap_or_else(beside),
        settle: args.settle,
        poll: Duration::from_secs(2),
    };
    block_on(async {
        let (stop, stopped) = tokio::sync::watch::channel(false);
        tokio::spawn(async move {
            // Without signals the process ends as it always did.
            if stop_asked().await {
                stop.send_replace(true);
            } else {
                std::future::pending::<()>().await;
            }
        });
        let mut tell = |event: watch::Event| match event {
            watch::Event::Sent { unit, id } => println!("{}  {id}", term::escape(&unit)),
            watch::Event::Skipped { unit, reason } => term::warn(format!("{unit}: {reason}")),
            watch::Event::Unreadable(error) => term::warn(format!("{}: {error}", root.display())),
            watch::Event::Waiting(error) => term::warn(error),
        };
        watch::watch(&options, packer, supervisor, publishing, stopped, &mut tell).await.map_err(Failure::problem)
    })?;
    Ok(Exit::Done)
}

/// Waits for Ctrl-C or SIGTERM; false where the system has neither.
async fn stop_asked() -> bool {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut terminate) = signal(SignalKind::terminate()) else { return false };
        tokio::select! {
            outcome = tokio::signal::ctrl_c() => outcome.is_ok(),
            received = terminate.recv() => received.is_some(),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await.is_ok()
}
