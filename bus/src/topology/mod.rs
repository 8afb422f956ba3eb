//! Owns the topology as data: which exchanges, queues and bindings there are and with which arguments. Who declares it,
//! and over which transport, is not its concern.
//!
//! What the guarantee hangs on (queue type, delivery limit, dead-letter exchange and strategy, overflow) are queue
//! arguments, since plain AMQP must be enough; sizes and ages are policy ([`Topology::policies`]).

mod names;
mod topic;

pub use names::{Names, delay_name};
pub use topic::topic_matches;

use crate::message::validate::PLATFORMS;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// How many deliveries a completion may have beyond the first before the broker dead-letters it.
pub const DELIVERY_LIMIT: u32 = 10;

/// How an exchange routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ExchangeKind {
    /// By patterns of words.
    Topic,
    /// To every queue.
    Fanout,
}

/// A durable exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exchange {
    /// Its name.
    pub name: String,
    /// How it routes.
    pub kind: ExchangeKind,
    /// Where what it cannot route goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alternate: Option<String>,
}

/// What kind of queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum QueueKind {
    /// Replicated, with a delivery limit.
    Quorum,
    /// An append-only log that is read without being consumed.
    Stream,
    /// For a subscriber's own queue.
    Classic,
}

/// What a full queue does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overflow {
    /// Drops its oldest message.
    DropHead,
    /// Makes the broker refuse the publish.
    RejectPublish,
}

/// Where a queue's expired and over-delivered messages go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadLetter {
    /// The exchange; empty for the default one.
    pub exchange: String,
    /// Whether the queue keeps a message until its dead letter was confirmed; needs reject-publish.
    pub at_least_once: bool,
}

/// A durable queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: QueueKind,
    /// `x-delivery-limit`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery_limit: Option<u32>,
    /// `x-message-ttl`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Duration>,
    /// `x-dead-letter-exchange`, `x-dead-letter-strategy`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<DeadLetter>,
    /// `x-overflow`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overflow: Option<Overflow>,
    /// `x-max-length`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_length: Option<u64>,
    /// `x-expires`: how long the queue outlives its last consumer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Duration>,
}

impl Queue {
    /// A queue of a kind with nothing else said.
    pub fn new(name: impl Into<String>, kind: QueueKind) -> Self {
        Self {
            name: name.into(),
            kind,
            delivery_limit: None,
            ttl: None,
            dead_letter: None,
            overflow: None,
            max_length: None,
            expires: None,
        }
    }

    /// The arguments of its declaration, as AMQP names them.
    pub fn arguments(&self) -> Map<String, Value> {
        let mut arguments = Map::new();
        let mut set = |name: &str, value: Value| {
            arguments.insert(name.into(), value);
        };
        match self.kind {
            QueueKind::Quorum => set("x-queue-type", json!("quorum")),
            QueueKind::Stream => set("x-queue-type", json!("stream")),
            QueueKind::Classic => {}
        }
        if let Some(limit) = self.delivery_limit {
            set("x-delivery-limit", json!(limit));
        }
        if let Some(ttl) = self.ttl {
            set("x-message-ttl", json!(milliseconds(ttl)));
        }
        if let Some(DeadLetter { exchange, at_least_once }) = &self.dead_letter {
            set("x-dead-letter-exchange", json!(exchange));
            if *at_least_once {
                set("x-dead-letter-strategy", json!("at-least-once"));
            }
        }
        match self.overflow {
            Some(Overflow::DropHead) => set("x-overflow", json!("drop-head")),
            Some(Overflow::RejectPublish) => set("x-overflow", json!("reject-publish")),
            None => {}
        }
        if let Some(length) = self.max_length {
            set("x-max-length", json!(length));
        }
        if let Some(expires) = self.expires {
            set("x-expires", json!(milliseconds(expires)));
        }
        arguments
    }
}

/// What an exchange sends to a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Binding {
    /// From.
    pub exchange: String,
    /// To.
    pub queue: String,
    /// Which routing keys.
    pub key: String,
}

/// A size or an age that an operator may change at any time without touching a queue.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// Which queues, a regular expression.
    pub pattern: String,
    /// What it sets.
    pub definition: Map<String, Value>,
}

/// Exchanges, queues and bindings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Topology {
    /// In an order in which each is there before it is referred to.
    pub exchanges: Vec<Exchange>,
    /// After the exchanges.
    pub queues: Vec<Queue>,
    /// After both.
    pub bindings: Vec<Binding>,
}

impl Topology {
    /// All that Sandsift needs, under the configured names.
    pub fn new(names: &Names) -> Self {
        let mut topology = Self::default();
        topology.dead_letters(names);
        topology.completions(names);
        for delay in &names.retry_delays {
            topology.retry(names, *delay);
        }
        topology.results(names);
        topology
    }

    /// What a worker uses, to be checked for before it starts: it has no right to declare.
    pub fn of_worker(names: &Names, platforms: &[String]) -> Self {
        let mut topology = Self::new(names);
        let kept = |queue: &Queue| {
            !PLATFORMS.iter().any(|platform| queue.name == names.queue(platform))
                || platforms.iter().any(|platform| queue.name == names.queue(platform))
        };
        topology.queues.retain(kept);
        let queues: Vec<_> = topology.queues.iter().map(|queue| queue.name.clone()).collect();
        topology.bindings.retain(|binding| queues.contains(&binding.queue));
        topology
    }

    fn dead_letters(&mut self, names: &Names) {
        self.exchange(&names.dead, ExchangeKind::Fanout, None);
        // No dead-letter exchange of its own: it is the end of the way. The limit is as good as none, and keeps the
        // order where an operator looks at messages and puts them back (RabbitMQ 4 would drop them after 20 looks).
        self.queues.push(Queue { delivery_limit: Some(i32::MAX as u32), ..Queue::new(&names.dead, QueueKind::Quorum) });
        self.bind(&names.dead, &names.dead, "#");
    }

    fn completions(&mut self, names: &Names) {
        self.exchange(&names.completions, ExchangeKind::Topic, Some(&names.dead));
        for platform in PLATFORMS {
            let queue = names.queue(platform);
            self.bind(&names.completions, &queue, &format!("completion.{platform}.#"));
            self.queues.push(Queue {
                delivery_limit: Some(DELIVERY_LIMIT),
                dead_letter: Some(DeadLetter { exchange: names.dead.clone(), at_least_once: true }),
                overflow: Some(Overflow::RejectPublish),
                ..Queue::new(queue, QueueKind::Quorum)
            });
        }
    }

    /// A message is published with its source queue's name as key, waits, and goes back by the default exchange to that
    /// queue and to no other. Bound by exactly the queues' names, so that a worker cannot reach others this way.
    fn retry(&mut self, names: &Names, delay: Duration) {
        let name = names.retry(delay);
        self.exchange(&name, ExchangeKind::Topic, None);
        for platform in PLATFORMS {
            self.bind(&name, &name, &names.queue(platform));
        }
        self.queues.push(Queue {
            ttl: Some(delay),
            dead_letter: Some(DeadLetter { exchange: String::new(), at_least_once: true }),
            overflow: Some(Overflow::RejectPublish),
            ..Queue::new(name, QueueKind::Quorum)
        });
    }

    fn results(&mut self, names: &Names) {
        self.exchange(&names.results, ExchangeKind::Topic, None);
        self.queues.push(Queue::new(&names.stream, QueueKind::Stream));
        self.bind(&names.results, &names.stream, "#");
    }

    fn exchange(&mut self, name: &str, kind: ExchangeKind, alternate: Option<&str>) {
        self.exchanges.push(Exchange { name: name.into(), kind, alternate: alternate.map(Into::into) });
    }

    fn bind(&mut self, exchange: &str, queue: &str, key: &str) {
        self.bindings.push(Binding { exchange: exchange.into(), queue: queue.into(), key: key.into() });
    }

    /// The policies that bound what the arguments leave open: the results' age and size, the completions' bytes.
    pub fn policies(names: &Names) -> Vec<Policy> {
        let policy = |name: &str, queue: &str, definition: Value| Policy {
            name: name.into(),
            pattern: format!("^{}$", queue.replace('.', "\\.")),
            definition: definition.as_object().cloned().unwrap_or_default(),
        };
        vec![
            policy(
                "sandsift-results",
                &names.stream,
                json!({"max-age": "7D", "max-length-bytes": 20_000_000_000_u64, "stream-max-segment-size-bytes": 100_000_000}),
            ),
            policy(
                "sandsift-completions",
                &format!("{}.(windows|linux|macos)", names.queues),
                json!({"max-length-bytes": 20_000_000_000_u64}),
            ),
        ]
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_guarantee_hangs_on_is_an_argument() {
        let topology = Topology::new(&Names::default());
        let queue = topology.queues.iter().find(|queue| queue.name == "sandsift.completions.linux").unwrap();
        assert_eq!(
            Value::Object(queue.arguments()),
            json!({"x-queue-type": "quorum", "x-delivery-limit": 10, "x-dead-letter-exchange": "sandsift.dead",
                   "x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"})
        );
        let retry = topology.queues.iter().find(|queue| queue.name == "sandsift.retry.30s").unwrap();
        assert_eq!(retry.arguments()["x-dead-letter-exchange"], "");
        let keys: Vec<_> = topology.bindings.iter().filter(|b| b.queue == retry.name).map(|b| b.key.as_str()).collect();
        assert_eq!(keys, ["sandsift.completions.windows", "sandsift.completions.linux", "sandsift.completions.macos"]);
    }

    #[test]
    fn a_worker_of_one_platform_needs_no_other_queue() {
        let topology = Topology::of_worker(&Names::default(), &["linux".into()]);
        let names: Vec<_> = topology.queues.iter().map(|queue| queue.name.as_str()).collect();
        assert!(names.contains(&"sandsift.completions.linux") && !names.contains(&"sandsift.completions.windows"));
        assert!(names.contains(&"sandsift.retry.30s") && names.contains(&"sandsift.results"));
    }
}
