//! Owns the seam between Sandsift and a broker: what a session can do, and how it can fail. [`crate::amqp`] speaks to
//! RabbitMQ, [`crate::memory`] is its twin; one conformance suite holds both to the same behaviour.
//!
//! A session lives until its first error. Nothing in it recovers by itself: whoever holds it lets it go and asks a
//! [`Supervisor`](crate::Supervisor) for the next one.

use crate::topology::{Queue, Topology};
use async_trait::async_trait;
use serde_json::{Map, Value};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Opens sessions.
#[async_trait]
pub trait Transport: fmt::Debug + Send + Sync {
    /// Opens a session, once: every address is tried in turn, within a deadline.
    async fn connect(&self) -> Result<Arc<dyn Session>, Error>;
}

/// One life of a link to a broker: consuming and publishing connections, kept apart, and what runs on them.
#[async_trait]
pub trait Session: fmt::Debug + Send + Sync {
    /// Declares all of a topology; what is there already must be the same.
    async fn declare(&self, topology: &Topology) -> Result<(), Error>;

    /// Names the exchanges and queues of a topology that are not there. Needs no right to configure.
    ///
    /// Bindings cannot be asked for by AMQP: a missing one shows as a returned message.
    async fn missing(&self, topology: &Topology) -> Result<Vec<String>, Error>;

    /// Declares a subscriber's own queue.
    async fn declare_queue(&self, queue: &Queue) -> Result<(), Error>;

    /// Binds a queue to an exchange.
    async fn bind(&self, exchange: &str, queue: &str, key: &str) -> Result<(), Error>;

    /// Deletes a queue with all that is in it.
    async fn delete_queue(&self, queue: &str) -> Result<(), Error>;

    /// How many messages wait in a queue.
    async fn depth(&self, queue: &str) -> Result<u64, Error>;

    /// Starts to take messages from a queue.
    async fn consume(&self, queue: &str, options: &ConsumeOptions) -> Result<Box<dyn Consumer>, Error>;

    /// Takes one message that waits, if there is one.
    async fn get(&self, queue: &str) -> Result<Option<Delivery>, Error>;

    /// Publishes messages, mandatory and persistent, and waits until the broker confirmed all and returned none.
    ///
    /// While the broker blocks publishing, the deadline stands still.
    async fn publish(&self, messages: Vec<Message>, deadline: Duration) -> Result<Confirmed, PublishError>;

    /// Ends everything that consumes and gives back what was not acknowledged; what publishes lives on.
    async fn stop_consuming(&self);

    /// Whether the session lives; the sender lives as long as it does.
    fn health(&self) -> watch::Receiver<Health>;

    /// Ends the session within a deadline; what was not acknowledged will be delivered again.
    async fn close(&self, deadline: Duration);
}

/// Takes messages from one queue.
#[async_trait]
pub trait Consumer: fmt::Debug + Send {
    /// Waits for the next message; `None` after [`Consumer::cancel`], when all that was under way has been given out.
    async fn next(&mut self) -> Result<Option<Delivery>, Error>;

    /// Tells the broker to send no more.
    async fn cancel(&mut self) -> Result<(), Error>;
}

/// Settles one delivery, once.
#[async_trait]
pub trait Settle: fmt::Debug + Send + Sync {
    /// Tells the broker that the message is done with.
    async fn ack(&self) -> Result<(), Error>;

    /// Puts the message back, which counts as a delivery, or has it dead-lettered.
    async fn reject(&self, requeue: bool) -> Result<(), Error>;
}

/// How to take messages.
#[derive(Debug, Clone, Default)]
pub struct ConsumeOptions {
    /// How many messages may be unacknowledged; 1 at least.
    pub prefetch: u16,
    /// Where to start in a stream.
    pub offset: Option<StreamOffset>,
}

/// Where to start in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamOffset {
    /// At the oldest message that is kept.
    First,
    /// At the last chunk of messages.
    Last,
    /// At the next message that arrives.
    Next,
    /// At this time, in seconds since 1970; the chunk around it, so some older messages may come first.
    Time(u64),
    /// At this message.
    At(u64),
}

/// What travels beside a body.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Properties {
    /// The media type of the body.
    pub content_type: Option<String>,
    /// How the body is packed.
    pub content_encoding: Option<String>,
    /// The id of what is in the body; a duplicate carries the same one.
    pub message_id: Option<String>,
    /// The CloudEvents type.
    pub kind: Option<String>,
    /// The uid of the analysis tree that it belongs to.
    pub correlation_id: Option<String>,
    /// Who published it.
    pub app_id: Option<String>,
    /// Seconds since 1970.
    pub timestamp: Option<u64>,
    /// All headers; AMQP's tables and arrays are objects and arrays.
    pub headers: Map<String, Value>,
}

/// A message to be published.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Where to; empty for the default exchange.
    pub exchange: String,
    /// The routing key.
    pub routing_key: String,
    /// What travels beside the body.
    pub properties: Properties,
    /// The body.
    pub body: Arc<[u8]>,
}

/// A message that was taken from a queue and waits to be settled. Dropped unsettled, it stays unacknowledged until the
/// session ends, and is then delivered again.
#[derive(Debug)]
pub struct Delivery {
    /// The queue that it was taken from.
    pub queue: String,
    /// Where it was published to.
    pub exchange: String,
    /// The key that it was published with.
    pub routing_key: String,
    /// Whether it may have been delivered before.
    pub redelivered: bool,
    /// What travels beside the body.
    pub properties: Properties,
    /// The body.
    pub body: Arc<[u8]>,
    /// Settles it.
    pub settle: Box<dyn Settle>,
}

impl Delivery {
    /// The text of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.properties.headers.get(name).and_then(Value::as_str)
    }

    /// The number in a header.
    pub fn header_number(&self, name: &str) -> Option<u64> {
        self.properties.headers.get(name).and_then(Value::as_u64)
    }
}

/// Proof that the broker confirmed every message of a batch and returned none.
#[derive(Debug)]
#[must_use = "what was not confirmed must not be acknowledged"]
pub struct Confirmed(());

impl Confirmed {
    /// Only a transport can know.
    pub(crate) fn new() -> Self {
        Self(())
    }
}

/// Whether a session lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It does.
    Open,
    /// It does, but the broker takes no messages for now.
    Blocked(String),
    /// It does not, and why.
    Lost(String),
}

/// Why something on a session failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No address answered.
    #[error("cannot connect to {address}: {reason}")]
    Connect {
        /// Where to, without secrets.
        address: String,
        /// What happened.
        reason: String,
    },
    /// The session is over; what was not acknowledged will be delivered again.
    #[error("the session is lost: {0}")]
    Lost(String),
    /// The broker refused, and the channel is closed.
    #[error("the broker refused to {what}: {reason} (code {code})")]
    Refused {
        /// What was asked of it.
        what: String,
        /// AMQP's reply code.
        code: u16,
        /// The broker's words.
        reason: String,
    },
    /// The broker ended a consumer: its queue was deleted or lost its leader, or the consumer took too long.
    #[error("the broker cancelled the consumer of '{0}'")]
    Cancelled(String),
    /// The broker did not answer in time.
    #[error("no answer to {what} within {deadline:?}")]
    Timeout {
        /// What was asked of it.
        what: String,
        /// How long it had.
        deadline: Duration,
    },
    /// The delivery was settled before, or its channel is gone.
    #[error("the delivery can no longer be settled")]
    Stale,
    /// The configuration cannot work.
    #[error("{0}")]
    Configuration(String),
}

impl Error {
    /// A stable word for metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Connect { .. } => "connect",
            Self::Lost(_) => "lost",
            Self::Refused { .. } => "refused",
            Self::Cancelled(_) => "cancelled",
            Self::Timeout { .. } => "timeout",
            Self::Stale => "stale",
            Self::Configuration(_) => "configuration",
        }
    }

    /// All codes, for metrics at zero.
    pub const CODES: [&'static str; 7] =
        ["connect", "lost", "refused", "cancelled", "timeout", "stale", "configuration"];
}

/// Why a batch does not count as published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// No queue is bound for it: a binding is missing.
    #[error("message {message_id} to exchange '{exchange}' with key '{routing_key}' was returned: {reason}")]
    Returned {
        /// Which message.
        message_id: String,
        /// Where to.
        exchange: String,
        /// With which key.
        routing_key: String,
        /// The broker's words.
        reason: String,
    },
    /// The broker would not take it: a queue is full, or lost its majority.
    #[error("the broker refused {count} of {of} messages")]
    Nacked {
        /// How many.
        count: usize,
        /// Out of how many.
        of: usize,
    },
    /// The broker did not confirm in time; it may have taken the messages or not.
    #[error("no confirm within {0:?}")]
    Timeout(Duration),
    /// A message that the broker would close the channel over.
    #[error("message {message_id}: {bytes} bytes exceed the limit of {limit} (limits.result_bytes)")]
    TooLarge {
        /// Which message.
        message_id: String,
        /// Its body's size.
        bytes: usize,
        /// The bound.
        limit: usize,
    },
    /// The session failed.
    #[error(transparent)]
    Session(#[from] Error),
}

impl PublishError {
    /// A stable word for metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Returned { .. } => "returned",
            Self::Nacked { .. } => "nack",
            Self::Timeout(_) => "timeout",
            Self::TooLarge { .. } => "too-large",
            Self::Session(_) => "lost",
        }
    }

    /// All codes, for metrics at zero.
    pub const CODES: [&'static str; 5] = ["returned", "nack", "timeout", "too-large", "lost"];
}

/// The largest body that a transport publishes, whatever is configured: RabbitMQ 4 closes the channel over 16 MiB.
pub const MESSAGE_BYTES: usize = 15 << 20;

/// Refuses a batch that holds a body over [`MESSAGE_BYTES`], before anything of it is published.
pub(crate) fn check_sizes(messages: &[Message]) -> Result<(), PublishError> {
    match messages.iter().find(|message| message.body.len() > MESSAGE_BYTES) {
        None => Ok(()),
        Some(message) => Err(PublishError::TooLarge {
            message_id: message.properties.message_id.clone().unwrap_or_default(),
            bytes: message.body.len(),
            limit: MESSAGE_BYTES,
        }),
    }
}
