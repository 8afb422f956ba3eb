//! Owns a subscription to results: the stream from any point, or a bounded queue of the subscriber's own.

use crate::topology::{Names, Overflow, Queue, QueueKind};
use crate::transport::{ConsumeOptions, Consumer, Error, Session, StreamOffset};
use std::time::Duration;

/// Messages that a subscriber's own queue holds before it drops its oldest: it must never hold back the fleet.
const OWN_QUEUE_LENGTH: u64 = 100_000;

/// How long a subscriber's own queue outlives its last consumer.
const OWN_QUEUE_EXPIRES: Duration = Duration::from_secs(300);

/// Messages under way at once.
const PREFETCH: u16 = 100;

/// Subscribes to what comes from now on: a named queue `results.<user>.<name>` with the given bindings. Server-named
/// queues would need rights that consumers do not have.
pub async fn subscribe(
    session: &dyn Session,
    names: &Names,
    user: &str,
    name: &str,
    bindings: &[String],
) -> Result<Box<dyn Consumer>, Error> {
    let queue = Queue {
        overflow: Some(Overflow::DropHead),
        max_length: Some(OWN_QUEUE_LENGTH),
        expires: Some(OWN_QUEUE_EXPIRES),
        ..Queue::new(format!("results.{user}.{name}"), QueueKind::Classic)
    };
    session.declare_queue(&queue).await?;
    for key in bindings {
        session.bind(&names.results, &queue.name, key).await?;
    }
    session.consume(&queue.name, &ConsumeOptions { prefetch: PREFETCH, offset: None }).await
}

/// Reads the results' stream from a point on. It holds all results: see [`matches`] for those that a binding would take.
pub async fn replay(session: &dyn Session, names: &Names, from: StreamOffset) -> Result<Box<dyn Consumer>, Error> {
    session.consume(&names.stream, &ConsumeOptions { prefetch: PREFETCH, offset: Some(from) }).await
}

/// Whether a binding takes a routing key, by the rules of topic exchanges.
pub fn matches(binding: &str, key: &str) -> bool {
    crate::topology::topic_matches(binding, key)
}
