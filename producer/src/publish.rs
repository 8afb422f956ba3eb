//! Owns the way of completions to the broker: paced, confirmed, and sent again under the same id until it is.

use sandsift_bus::message::Completion;
use sandsift_bus::message::envelope::{COMPLETION, CONTENT_TYPE, CloudEvent};
use sandsift_bus::{Message, Names, Properties, PublishError, Session, Supervisor};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// Messages that wait for their confirms together.
const BATCH: usize = 64;

/// How completions are published.
#[derive(Debug, Clone)]
pub struct Options {
    /// The names of the topology.
    pub names: Names,
    /// How long the broker may take to confirm.
    pub confirm: Duration,
    /// How often a batch is tried before the producer gives up; `None` is for ever.
    pub attempts: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self { names: Names::default(), confirm: Duration::from_secs(30), attempts: Some(10) }
    }
}

/// How many completions, how fast.
#[derive(Debug, Clone, Copy, Default)]
pub struct Load {
    /// How many to publish: the given ones again and again, each time under a new id; absent, each once.
    pub count: Option<u64>,
    /// At most so many a second.
    pub rate: Option<f64>,
}

/// How far the publishing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Confirmed so far.
    pub confirmed: u64,
    /// How many there will be.
    pub total: u64,
}

/// What publishing came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Report {
    /// Confirmed by the broker.
    pub confirmed: u64,
    /// Batches that were sent again.
    pub retries: u64,
    /// How long it took.
    pub elapsed: Duration,
}

/// Why publishing ended early.
#[derive(Debug, thiserror::Error)]
#[error("{reason} ({confirmed} of {total} completions were confirmed)")]
pub struct PublishFailed {
    /// What happened last.
    pub reason: PublishError,
    /// Confirmed before.
    pub confirmed: u64,
    /// How many there should have been.
    pub total: u64,
}

/// Publishes completions and returns when the broker has confirmed all of them.
///
/// Whatever is transient is tried again with the supervisor's back-off: a lost session, a missing confirm, a refusal by
/// a full queue. A completion may so reach the queue twice, under one id; workers answer both alike. Cancel safe: what
/// was not confirmed when the future is dropped may or may not be in the queue.
pub async fn publish(
    supervisor: &mut Supervisor,
    options: &Options,
    completions: &[Completion],
    load: Load,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Report, PublishFailed> {
    let started = Instant::now();
    let total = if completions.is_empty() { 0 } else { load.count.unwrap_or(completions.len() as u64) };
    let mut report = Report { confirmed: 0, retries: 0, elapsed: Duration::ZERO };
    let mut session: Option<Arc<dyn Session>> = None;
    let mut failures = 0;
    while report.confirmed < total {
        let batch = due(started, load.rate, report.confirmed, total).await;
        let messages: Vec<Message> = (report.confirmed..report.confirmed + batch)
            .map(|number| message(&options.names, completions, number))
            .collect();
        match send(supervisor, &mut session, messages, options.confirm).await {
            Ok(()) => {
                failures = 0;
                report.confirmed += batch;
                progress(Progress { confirmed: report.confirmed, total });
            }
            Err(reason) => {
                failures += 1;
                session = None;
                let hopeless = is_permanent(&reason) || options.attempts.is_some_and(|most| failures >= most);
                if hopeless {
                    return Err(PublishFailed { reason, confirmed: report.confirmed, total });
                }
                tracing::warn!(code = reason.code(), attempt = failures, "publishing again: {reason}");
                report.retries += 1;
            }
        }
    }
    if let Some(session) = session {
        session.close(Duration::from_secs(5)).await;
    }
    report.elapsed = started.elapsed();
    Ok(report)
}

/// Waits until the rate allows at least one more and says how many may go now.
async fn due(started: Instant, rate: Option<f64>, sent: u64, total: u64) -> u64 {
    let left = (total - sent).min(BATCH as u64);
    let Some(rate) = rate.filter(|rate| rate.is_finite() && *rate > 0.0) else { return left };
    let next = started + Duration::try_from_secs_f64(sent as f64 / rate).unwrap_or(Duration::MAX / 4);
    tokio::time::sleep_until(next).await;
    let allowed = (started.elapsed().as_secs_f64() * rate) as u64 + 1;
    allowed.saturating_sub(sent).clamp(1, left)
}

async fn send(
    supervisor: &mut Supervisor,
    session: &mut Option<Arc<dyn Session>>,
    messages: Vec<Message>,
    confirm: Duration,
) -> Result<(), PublishError> {
    let current = match session {
        Some(current) => current,
        None => session.insert(supervisor.connect().await?),
    };
    match current.publish(messages, confirm).await {
        Ok(_confirmed) => {
            supervisor.succeeded();
            Ok(())
        }
        Err(error) => {
            supervisor.failed(&error.to_string());
            Err(error)
        }
    }
}

/// Whether trying again cannot help.
fn is_permanent(error: &PublishError) -> bool {
    use sandsift_bus::Error;
    match error {
        PublishError::TooLarge { .. } | PublishError::Returned { .. } => true,
        PublishError::Session(Error::Refused { .. } | Error::Configuration(_)) => true,
        PublishError::Session(_) | PublishError::Nacked { .. } | PublishError::Timeout(_) => false,
    }
}

/// The message of the nth completion to go out; from the second round on each has an id of its own.
fn message(names: &Names, completions: &[Completion], number: u64) -> Message {
    let count = completions.len() as u64;
    let (round, place) = (number / count, number % count);
    let mut completion = completions[place as usize].clone();
    if round > 0 {
        let name = format!("{}\0{round}", completion.id);
        completion.id = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).to_string();
    }
    let event =
        CloudEvent::new(COMPLETION, &completion.id, "/sandsift/produce", &completion.sample.sha256, &completion)
            .at(completion.finished.as_deref());
    // A completion of plain texts, numbers and JSON values always serialises.
    let body = event.to_bytes().unwrap_or_default();
    Message {
        exchange: names.completions.clone(),
        routing_key: Names::completion_key(&completion.platform, &completion.sandbox.name),
        properties: Properties {
            content_type: Some(CONTENT_TYPE.to_owned()),
            message_id: Some(completion.id.clone()),
            kind: Some(COMPLETION.to_owned()),
            correlation_id: completion.root_uid.clone(),
            app_id: Some("sandsift-produce".to_owned()),
            timestamp: std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .ok()
                .map(|since| since.as_secs()),
            ..Properties::default()
        },
        body: body.into(),
    }
}
