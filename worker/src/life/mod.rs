//! Owns the life of a delivery as a chain of types: received → read → resolved → executed → confirmed. Each step takes
//! the one before, and only the last can be acknowledged, since only it has the proof that the broker holds what the
//! completion came to.

mod publish;
mod shrink;

pub use publish::results;

use crate::config::{Limits, Retry};
use crate::error::{Class, Code, Failure};
use crate::execute::{Executor, Job};
use crate::metrics::Metrics;
use crate::resolve::{self, Stores};
use sandsift_bus::headers::{self, Failed};
use sandsift_bus::message::envelope::is_json;
use sandsift_bus::message::{Analysis, Completion};
use sandsift_bus::{Confirmed, Delivery, Error, Message, Names, PublishError, Session};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What every step may use; shared by all deliveries.
pub(crate) struct Means {
    pub worker: String,
    pub names: Names,
    pub limits: Limits,
    pub retry: Retry,
    pub matches: bool,
    pub stores: Stores,
    pub executor: Arc<dyn Executor>,
    pub metrics: Arc<Metrics>,
}

/// A delivery in hand: what it takes to settle it, and nothing of what it says.
#[derive(Debug)]
pub(crate) struct Held {
    delivery: Delivery,
    attempt: u64,
    received: Instant,
}

impl Held {
    fn new(delivery: Delivery) -> Self {
        let attempt = headers::attempt(&delivery);
        Self { delivery, attempt, received: Instant::now() }
    }

    pub fn queue(&self) -> &str {
        &self.delivery.queue
    }

    pub fn attempt(&self) -> u64 {
        self.attempt
    }

    pub fn received(&self) -> Instant {
        self.received
    }

    pub fn redelivered(&self) -> bool {
        self.delivery.redelivered
    }

    /// A copy of the message for another exchange, as it came.
    fn copy(&self, exchange: String, routing_key: String) -> Message {
        Message {
            exchange,
            routing_key,
            properties: headers::again(&self.delivery.properties),
            body: self.delivery.body.clone(),
        }
    }
}

/// A message as it came from the queue.
#[derive(Debug)]
pub(crate) struct Received(Held);

impl Received {
    pub fn new(delivery: Delivery) -> Self {
        Self(Held::new(delivery))
    }

    pub fn held(&self) -> &Held {
        &self.0
    }

    /// Gives the message back unstarted: to its queue by the shortest retry, with its attempts as they are.
    pub async fn hand_back(self, means: &Means, session: &dyn Session) -> Result<Settled, PublishError> {
        let shortest = means.names.retry_delays.iter().min().copied().unwrap_or_default();
        let copy = self.0.copy(means.names.retry(shortest), self.0.delivery.queue.clone());
        Ok(Settled { proof: publish(session, vec![copy], means).await?, held: self.0 })
    }

    /// Reads what the message says.
    #[allow(clippy::result_large_err, reason = "what fell is the next state of the delivery, message and all")]
    pub fn read(self, means: &Means) -> Result<Read, Fallen> {
        match read(&self.0.delivery, &means.limits) {
            Ok(completion) => Ok(Read { held: self.0, completion }),
            Err(failure) => Err(Fallen { held: self.0, id: None, failure }),
        }
    }
}

fn read(delivery: &Delivery, limits: &Limits) -> Result<Completion, Failure> {
    let bytes = delivery.body.len() as u64;
    if bytes > limits.completion_bytes {
        let detail = format!("{bytes} bytes exceed the limit of {} (limits.completion_bytes)", limits.completion_bytes);
        return Err(Failure::new(Code::CompletionTooLarge, detail));
    }
    if let Some(content_type) = delivery.properties.content_type.as_deref()
        && !content_type.is_empty()
        && content_type != "application/octet-stream"
        && !is_json(content_type)
    {
        let detail = format!("content type '{content_type}' is not JSON; send application/cloudevents+json");
        return Err(Failure::new(Code::CompletionContentType, detail));
    }
    if let Some(encoding) = delivery.properties.content_encoding.as_deref()
        && !matches!(encoding, "" | "identity" | "utf-8" | "UTF-8")
    {
        let detail = format!("content encoding '{encoding}' is not supported; send plain JSON");
        return Err(Failure::new(Code::CompletionContentType, detail));
    }
    Ok(Completion::from_body(&delivery.body)?)
}

/// A message that says what it must.
#[derive(Debug)]
pub(crate) struct Read {
    held: Held,
    completion: Completion,
}

impl Read {
    pub fn completion(&self) -> &Completion {
        &self.completion
    }

    /// Fetches and verifies the artifacts.
    pub async fn resolve(self, means: &Means) -> Result<Resolved, Fallen> {
        let fetched = match resolve::fetch(&self.completion, &means.stores, &means.limits).await {
            Ok(fetched) => fetched,
            Err(failure) => return Err(Fallen::of(self, failure)),
        };
        means.metrics.artifact_bytes.inc_by(fetched.iter().map(|artifact| artifact.len() as u64).sum());
        let (claims, limits) = (self.completion.artifacts.clone(), means.limits.clone());
        let verified = tokio::task::spawn_blocking(move || resolve::verify(&claims, fetched, &limits)).await;
        match verified {
            Ok(Ok(artifacts)) => Ok(Resolved { held: self.held, completion: self.completion, artifacts }),
            Ok(Err(failure)) => Err(Fallen::of(self, failure)),
            Err(panic) => {
                let detail = format!("unpacking an artifact panicked: {panic}");
                Err(Fallen::of(self, Failure::new(Code::ExecutorPanic, detail)))
            }
        }
    }
}

/// A completion with the verified bytes of its artifacts.
#[derive(Debug)]
pub(crate) struct Resolved {
    held: Held,
    completion: Completion,
    artifacts: Vec<Vec<u8>>,
}

impl Resolved {
    /// Decodes and matches on a blocking thread, never on the reactor.
    pub async fn execute(self, means: &Means) -> Result<Executed, Fallen> {
        let Self { held, completion, artifacts } = self;
        let id = completion.id.clone();
        let job = Job {
            completion,
            artifacts,
            attempt: u32::try_from(held.attempt + headers::returns(&held.delivery)).unwrap_or(u32::MAX),
            logsource: None,
            worker: means.worker.clone(),
            input: held.delivery.queue.clone(),
        };
        let executor = Arc::clone(&means.executor);
        // A thread cannot be stopped: it may outlive its deadline, but not the completion's verdict.
        let run = tokio::task::spawn_blocking(move || executor.execute(job));
        let failure = match tokio::time::timeout(means.limits.execute, run).await {
            Ok(Ok(Ok(analysis))) => return Ok(Executed { held, analysis: Box::new(analysis) }),
            Ok(Ok(Err(error))) => error.into(),
            Ok(Err(panic)) => Failure::new(Code::ExecutorPanic, format!("decoding or matching panicked: {panic}")),
            Err(_) => {
                let limit = sandsift_bus::units::format_duration(means.limits.execute);
                Failure::new(Code::ExecutorTimeout, format!("no analysis within {limit} (limits.execute)"))
            }
        };
        Err(Fallen { held, id: Some(id), failure })
    }
}

/// A completion with its analysis.
#[derive(Debug)]
pub(crate) struct Executed {
    held: Held,
    analysis: Box<Analysis>,
}

impl Executed {
    /// Turns the analysis into the messages that it is published as.
    #[allow(clippy::result_large_err, reason = "what fell is the next state of the delivery, message and all")]
    pub fn encode(self, means: &Means) -> Result<Encoded, Fallen> {
        let bytes = usize::try_from(means.limits.result_bytes).unwrap_or(usize::MAX);
        match publish::results(&self.analysis, &means.names, means.matches, bytes) {
            Ok(messages) => Ok(Encoded { held: self.held, analysis: self.analysis, messages }),
            Err(failure) => Err(Fallen { held: self.held, id: Some(self.analysis.completion.id.clone()), failure }),
        }
    }
}

/// A completion with the messages that it comes to.
#[derive(Debug)]
pub(crate) struct Encoded {
    held: Held,
    analysis: Box<Analysis>,
    messages: Vec<Message>,
}

impl Encoded {
    pub fn held(&self) -> &Held {
        &self.held
    }

    pub fn analysis(&self) -> &Analysis {
        &self.analysis
    }

    /// Publishes every message once. On failure all is as before: it may be tried again, with the same ids.
    pub async fn publish(self, means: &Means, session: &dyn Session) -> Result<Settled, (Self, PublishError)> {
        match publish(session, self.messages.clone(), means).await {
            Ok(proof) => Ok(Settled { held: self.held, proof }),
            Err(error) => Err((self, error)),
        }
    }

    /// Gives the completion back where its results cannot be published: later, its attempts as they are.
    pub async fn give_back(self, means: &Means, session: &dyn Session) -> Result<Settled, PublishError> {
        let longest = means.names.retry_delays.iter().max().copied().unwrap_or_default();
        let copy = self.held.copy(means.names.retry(longest), self.held.delivery.queue.clone());
        Ok(Settled { proof: publish(session, vec![copy], means).await?, held: self.held })
    }
}

/// A completion that fell off its way: it came to no analysis this time.
#[derive(Debug)]
pub(crate) struct Fallen {
    held: Held,
    id: Option<String>,
    failure: Failure,
}

/// What the class of a failure decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Again after a delay.
    Retry(Duration),
    /// Never again.
    Dead,
}

impl Fallen {
    fn of(read: Read, failure: Failure) -> Self {
        Self { held: read.held, id: Some(read.completion.id), failure }
    }

    pub fn held(&self) -> &Held {
        &self.held
    }

    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    pub fn failure(&self) -> &Failure {
        &self.failure
    }

    /// Decides by the failure's class and the attempts so far, and by nothing else.
    pub fn verdict(&self, retry: &Retry, delays: &[Duration]) -> Verdict {
        let history = headers::history(&self.held.delivery.properties.headers);
        let poisoned = history.iter().filter(|failed| failed.class == Class::Poison.as_str()).count() as u64 + 1;
        let again = match self.failure.code.class() {
            Class::Permanent => false,
            Class::Transient => self.held.attempt < retry.attempts,
            Class::Poison => poisoned < retry.poison_attempts,
        };
        let index = usize::try_from(self.held.attempt - 1).unwrap_or(usize::MAX).min(delays.len().saturating_sub(1));
        match delays.get(index) {
            Some(delay) if again => Verdict::Retry(*delay),
            _ => Verdict::Dead,
        }
    }

    /// Publishes the retry or the dead letter that the verdict asks for.
    pub async fn publish(
        self,
        verdict: Verdict,
        means: &Means,
        session: &dyn Session,
    ) -> Result<Settled, PublishError> {
        let Failure { code, detail } = &self.failure;
        let failed = Failed::now(self.held.attempt, code.as_str(), code.class().as_str(), detail, &means.worker);
        let queue = self.held.delivery.queue.clone();
        let message = match verdict {
            Verdict::Retry(delay) => {
                let mut copy = self.held.copy(means.names.retry(delay), queue);
                headers::remember(&mut copy.properties, &failed);
                copy.properties.headers.insert(headers::ATTEMPT.into(), (self.held.attempt + 1).into());
                copy
            }
            Verdict::Dead => {
                let digest = means.executor.ruleset().digest;
                let mut copy = self.held.copy(means.names.dead.clone(), self.held.delivery.routing_key.clone());
                headers::bury(&mut copy.properties, &failed, &queue, &digest);
                copy
            }
        };
        Ok(Settled { proof: publish(session, vec![message], means).await?, held: self.held })
    }
}

/// A delivery whose outcome the broker holds: the only one that can be acknowledged.
#[derive(Debug)]
pub(crate) struct Settled {
    held: Held,
    proof: Confirmed,
}

impl Settled {
    /// Acknowledges. An error means that the delivery will come again, and its results with the same ids.
    pub async fn acknowledge(self) -> Result<(), Error> {
        let Self { held, proof } = self;
        let outcome = held.delivery.settle.ack().await;
        drop(proof);
        outcome
    }
}

async fn publish(session: &dyn Session, messages: Vec<Message>, means: &Means) -> Result<Confirmed, PublishError> {
    let count = messages.len() as u64;
    let started = Instant::now();
    let outcome = session.publish(messages, means.limits.publish).await;
    means.metrics.publish_seconds.observe(started.elapsed().as_secs_f64());
    match &outcome {
        Ok(_) => means.metrics.confirms.with_label_values(&["ack"]).inc_by(count),
        Err(error) => means.metrics.confirms.with_label_values(&[error.code()]).inc(),
    }
    outcome
}
