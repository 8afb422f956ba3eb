//! Owns the watch over a sandbox's output folder: what is finished becomes a completion, once.
//!
//! Each entry of the watched folder is one unit: a file, or a folder with all below it. A unit is finished when nothing
//! in it changed for a while; an analysis folder of CAPE when its report is there, too. It polls, since events of file
//! systems do not come over NFS or SMB. What was sent stands in a journal, so that a restart neither sends it twice nor
//! loses one: an id follows from the content (or is given), so a crash between the broker's confirm and the journal
//! leads to a duplicate under the same id, which the contract allows and consumers key by.

mod journal;
mod unit;

pub use journal::JournalError;

use crate::input::Input;
use crate::pack::{PackError, Packer};
use crate::publish::{Load, Options as PublishOptions, PublishFailed, publish};
use journal::{Journal, Sent};
use sandsift_bus::Supervisor;
use sandsift_bus::message::Completion;
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::watch::Receiver;

/// Completions that are packed before they are published.
const BATCH: usize = 32;

/// What is watched, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder, such as CAPE's `storage/analyses`.
    pub root: PathBuf,
    /// Where the journal is kept; outside of `root`.
    pub journal: PathBuf,
    /// How long nothing may change in a unit before it counts as finished.
    pub settle: Duration,
    /// How long to wait between two looks.
    pub poll: Duration,
}

/// Something worth telling.
#[derive(Debug)]
pub enum Event {
    /// A unit went out and was confirmed.
    Sent {
        /// The entry of the watched folder.
        unit: String,
        /// The completion's id.
        id: String,
    },
    /// A unit cannot be a completion; it is looked at again when it changes.
    Skipped {
        /// The entry of the watched folder.
        unit: String,
        /// Why.
        reason: PackError,
    },
    /// The folder could not be read; the next look may do better.
    Unreadable(std::io::Error),
    /// The broker could not be reached for long; tried again at the next look.
    Waiting(PublishFailed),
}

/// Watches until `shutdown` becomes true. Ends early only where the journal cannot be kept.
pub async fn watch(
    options: &Options,
    packer: &Packer,
    supervisor: &mut Supervisor,
    publishing: &PublishOptions,
    mut shutdown: Receiver<bool>,
    tell: &mut (dyn FnMut(Event) + Send),
) -> Result<(), JournalError> {
    let mut watcher = Watcher { journal: Journal::open(&options.journal)?, skipped: HashMap::new() };
    loop {
        tokio::select! {
            outcome = watcher.look(options, packer, supervisor, publishing, tell) => outcome?,
            () = stopped(&mut shutdown) => return Ok(()),
        }
        tokio::select! {
            () = tokio::time::sleep(options.poll) => {}
            () = stopped(&mut shutdown) => return Ok(()),
        }
    }
}

async fn stopped(shutdown: &mut Receiver<bool>) {
    // A sender that is gone will never say stop; then the watch goes on.
    if shutdown.wait_for(|stop| *stop).await.is_err() {
        std::future::pending().await
    }
}

struct Watcher {
    journal: Journal,
    /// Units that cannot be completions, by the state that they were seen in.
    skipped: HashMap<String, u64>,
}

/// A unit that is ready to go.
struct Ready {
    unit: String,
    state: u64,
    completion: Completion,
}

impl Watcher {
    async fn look(
        &mut self,
        options: &Options,
        packer: &Packer,
        supervisor: &mut Supervisor,
        publishing: &PublishOptions,
        tell: &mut (dyn FnMut(Event) + Send),
    ) -> Result<(), JournalError> {
        let (root, settle) = (options.root.clone(), options.settle);
        let units = match blocking(move || unit::finished(&root, settle)).await {
            Ok(units) => units,
            Err(error) => {
                tell(Event::Unreadable(error.into()));
                return Ok(());
            }
        };
        self.skipped.retain(|name, _| units.iter().any(|unit| unit.name == *name));
        let mut new = Vec::new();
        for unit in units {
            if !self.journal.knows(&unit.name, unit.state) && self.skipped.get(&unit.name) != Some(&unit.state) {
                new.push(unit);
            }
        }
        for units in new.chunks(BATCH) {
            let mut ready = Vec::new();
            for unit in units {
                match pack(packer, unit.input.clone()).await {
                    // Something changed beside the artifacts, such as a log: the completion is out already.
                    Ok(completion) if self.journal.has_sent(&unit.name, &digest(&completion)) => {
                        self.journal.record(sent(&unit.name, unit.state, &completion))?;
                    }
                    Ok(completion) => ready.push(Ready { unit: unit.name.clone(), state: unit.state, completion }),
                    Err(reason) => {
                        // A file that vanished or could not be read may be there at the next look.
                        if !matches!(reason, PackError::Io { .. } | PackError::Store { .. }) {
                            self.skipped.insert(unit.name.clone(), unit.state);
                        }
                        tell(Event::Skipped { unit: unit.name.clone(), reason });
                    }
                }
            }
            self.send(ready, supervisor, publishing, tell).await?;
        }
        Ok(())
    }

    async fn send(
        &mut self,
        ready: Vec<Ready>,
        supervisor: &mut Supervisor,
        publishing: &PublishOptions,
        tell: &mut (dyn FnMut(Event) + Send),
    ) -> Result<(), JournalError> {
        let completions: Vec<Completion> = ready.iter().map(|ready| ready.completion.clone()).collect();
        let outcome = publish(supervisor, publishing, &completions, Load::default(), &mut |_| {}).await;
        let confirmed = match &outcome {
            Ok(report) => report.confirmed,
            Err(failed) => failed.confirmed,
        };
        for ready in ready.into_iter().take(usize::try_from(confirmed).unwrap_or(usize::MAX)) {
            self.journal.record(sent(&ready.unit, ready.state, &ready.completion))?;
            tell(Event::Sent { unit: ready.unit, id: ready.completion.id });
        }
        if let Err(failed) = outcome {
            tell(Event::Waiting(failed));
        }
        Ok(())
    }
}

fn sent(unit: &str, state: u64, completion: &Completion) -> Sent {
    Sent { unit: unit.to_owned(), state, digest: digest(completion), id: completion.id.clone() }
}

/// What a completion says, as a digest: two that say the same are the same.
fn digest(completion: &Completion) -> String {
    use sha2::{Digest, Sha256};
    format!("{:x}", Sha256::digest(serde_json::to_vec(completion).unwrap_or_default()))
}

async fn pack(packer: &Packer, input: Input) -> Result<Completion, PackError> {
    let packer = packer.clone();
    let name = input.name.clone();
    blocking(move || packer.pack(&input)).await.map_err(|error| match error {
        // Reading is bounded and does not panic; should it, the unit is skipped, not the watch ended.
        Failed::Task => PackError::NoArtifact { name },
        Failed::Work(error) => error,
    })
}

/// Why work off the reactor came to nothing.
enum Failed<E> {
    Task,
    Work(E),
}

impl From<Failed<std::io::Error>> for std::io::Error {
    fn from(failed: Failed<std::io::Error>) -> Self {
        match failed {
            Failed::Task => Self::other("reading the folder panicked"),
            Failed::Work(error) => error,
        }
    }
}

/// Files are read on a thread of their own, never on the reactor.
async fn blocking<T: Send + 'static, E: Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, Failed<E>> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome.map_err(Failed::Work),
        Err(_) => Err(Failed::Task),
    }
}
