//! Owns what the twin holds and how messages move between its queues; plain and synchronous.

use crate::topology::{DeadLetter, Exchange, ExchangeKind, Overflow, Queue, QueueKind, Topology, topic_matches};
use crate::transport::{Error, Health, Message};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use tokio::sync::watch;
use tokio::time::Instant;

/// A message in a queue.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub message: Message,
    pub returns: u32,
    pub redelivered: bool,
    expires: Option<Instant>,
}

/// A message under way to a consumer.
#[derive(Debug)]
struct Unacked {
    stored: Stored,
    session: u64,
    consumer: u64,
}

#[derive(Debug)]
struct QueueState {
    definition: Queue,
    ready: VecDeque<Stored>,
    /// A stream's messages; nothing is ever taken out.
    log: Vec<Stored>,
    unacked: HashMap<u64, Unacked>,
}

#[derive(Debug)]
struct ExchangeState {
    definition: Exchange,
    bindings: Vec<(String, String)>,
}

/// What became of a published message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Published {
    Stored,
    Unroutable,
    Refused,
}

/// What a consumer got.
#[derive(Debug)]
pub(super) struct Taken {
    pub tag: u64,
    pub stored: Stored,
    pub offset: Option<u64>,
}

#[derive(Debug)]
pub(super) struct State {
    exchanges: BTreeMap<String, ExchangeState>,
    queues: BTreeMap<String, QueueState>,
    sessions: HashMap<u64, watch::Sender<Health>>,
    next: u64,
    pub online: bool,
    pub blocked: Option<String>,
    pub lose_confirms: usize,
    pub nack: usize,
}

impl Default for State {
    fn default() -> Self {
        Self {
            exchanges: BTreeMap::new(),
            queues: BTreeMap::new(),
            sessions: HashMap::new(),
            next: 0,
            online: true,
            blocked: None,
            lose_confirms: 0,
            nack: 0,
        }
    }
}

impl State {
    /// A number that no session, consumer or delivery had before.
    pub fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub fn open_session(&mut self, health: watch::Sender<Health>) -> u64 {
        let id = self.fresh();
        if let Some(reason) = &self.blocked {
            health.send_replace(Health::Blocked(reason.clone()));
        }
        self.sessions.insert(id, health);
        id
    }

    pub fn is_open(&self, session: u64) -> bool {
        self.sessions.contains_key(&session)
    }

    /// Ends a session: what it had not acknowledged goes back.
    pub fn end_session(&mut self, session: u64, reason: &str) {
        let Some(health) = self.sessions.remove(&session) else { return };
        health.send_replace(Health::Lost(reason.to_owned()));
        self.give_back_all(session);
    }

    /// Gives back all that a session had not acknowledged.
    pub fn give_back_all(&mut self, session: u64) {
        let names: Vec<_> = self.queues.keys().cloned().collect();
        for name in names {
            let Some(queue) = self.queues.get_mut(&name) else { continue };
            let mut tags: Vec<_> =
                queue.unacked.iter().filter(|(_, unacked)| unacked.session == session).map(|(tag, _)| *tag).collect();
            // Later deliveries first, so that the earliest ends up at the front.
            tags.sort_unstable_by(|a, b| b.cmp(a));
            for tag in tags {
                self.give_back(&name, tag);
            }
        }
    }

    pub fn end_all_sessions(&mut self, reason: &str) {
        let ids: Vec<_> = self.sessions.keys().copied().collect();
        for id in ids {
            self.end_session(id, reason);
        }
    }

    pub fn set_blocked(&mut self, reason: Option<String>) {
        let health = reason.clone().map_or(Health::Open, Health::Blocked);
        self.blocked = reason;
        for session in self.sessions.values() {
            session.send_replace(health.clone());
        }
    }

    pub fn declare(&mut self, topology: &Topology) -> Result<(), Error> {
        for exchange in &topology.exchanges {
            match self.exchanges.get(&exchange.name) {
                Some(present) if present.definition != *exchange => return Err(differs("exchange", &exchange.name)),
                Some(_) => {}
                None => {
                    let state = ExchangeState { definition: exchange.clone(), bindings: Vec::new() };
                    self.exchanges.insert(exchange.name.clone(), state);
                }
            }
        }
        for queue in &topology.queues {
            self.declare_queue(queue)?;
        }
        for binding in &topology.bindings {
            self.bind(&binding.exchange, &binding.queue, &binding.key)?;
        }
        Ok(())
    }

    pub fn declare_queue(&mut self, queue: &Queue) -> Result<(), Error> {
        match self.queues.get(&queue.name) {
            Some(present) if present.definition != *queue => Err(differs("queue", &queue.name)),
            Some(_) => Ok(()),
            None => {
                let state = QueueState {
                    definition: queue.clone(),
                    ready: VecDeque::new(),
                    log: Vec::new(),
                    unacked: HashMap::new(),
                };
                self.queues.insert(queue.name.clone(), state);
                Ok(())
            }
        }
    }

    pub fn missing(&self, topology: &Topology) -> Vec<String> {
        let exchanges = topology.exchanges.iter().filter(|exchange| !self.exchanges.contains_key(&exchange.name));
        let queues = topology.queues.iter().filter(|queue| !self.queues.contains_key(&queue.name));
        exchanges
            .map(|exchange| format!("exchange '{}'", exchange.name))
            .chain(queues.map(|queue| format!("queue '{}'", queue.name)))
            .collect()
    }

    pub fn bind(&mut self, exchange: &str, queue: &str, key: &str) -> Result<(), Error> {
        if !self.queues.contains_key(queue) {
            return Err(missing("queue", queue));
        }
        let state = self.exchanges.get_mut(exchange).ok_or_else(|| missing("exchange", exchange))?;
        let binding = (queue.to_owned(), key.to_owned());
        if !state.bindings.contains(&binding) {
            state.bindings.push(binding);
        }
        Ok(())
    }

    pub fn unbind(&mut self, exchange: &str, queue: &str) {
        if let Some(state) = self.exchanges.get_mut(exchange) {
            state.bindings.retain(|(bound, _)| bound != queue);
        }
    }

    pub fn delete_queue(&mut self, queue: &str) -> bool {
        for exchange in self.exchanges.values_mut() {
            exchange.bindings.retain(|(bound, _)| bound != queue);
        }
        self.queues.remove(queue).is_some()
    }

    pub fn has_queue(&self, queue: &str) -> bool {
        self.queues.contains_key(queue)
    }

    pub fn is_stream(&self, queue: &str) -> bool {
        self.queues.get(queue).is_some_and(|queue| queue.definition.kind == QueueKind::Stream)
    }

    /// Messages that wait, and messages that are under way.
    pub fn counts(&self, queue: &str) -> (usize, usize) {
        self.queues.get(queue).map_or((0, 0), |queue| (queue.ready.len() + queue.log.len(), queue.unacked.len()))
    }

    pub fn publish(&mut self, message: &Message) -> Result<Published, Error> {
        self.expire();
        let queues = self.route(&message.exchange, &message.routing_key)?;
        if queues.is_empty() {
            return Ok(Published::Unroutable);
        }
        if self.nack > 0 {
            self.nack -= 1;
            return Ok(Published::Refused);
        }
        let mut published = Published::Stored;
        for queue in queues {
            if !self.store(&queue, message.clone()) {
                published = Published::Refused;
            }
        }
        Ok(published)
    }

    /// The queues that a message goes to, each once; the alternate exchange is asked where there are none.
    fn route(&self, exchange: &str, key: &str) -> Result<Vec<String>, Error> {
        if exchange.is_empty() {
            return Ok(if self.queues.contains_key(key) { vec![key.to_owned()] } else { Vec::new() });
        }
        let mut name = exchange;
        let mut seen = HashSet::new();
        loop {
            let state = self.exchanges.get(name).ok_or_else(|| missing("exchange", name))?;
            let matches = |pattern: &str| match state.definition.kind {
                ExchangeKind::Fanout => true,
                ExchangeKind::Topic => topic_matches(pattern, key),
            };
            let mut queues: Vec<_> =
                state.bindings.iter().filter(|(_, pattern)| matches(pattern)).map(|(queue, _)| queue.clone()).collect();
            queues.sort();
            queues.dedup();
            match &state.definition.alternate {
                Some(alternate) if queues.is_empty() && seen.insert(name.to_owned()) => name = alternate,
                _ => return Ok(queues),
            }
        }
    }

    /// Puts a message into a queue; false where the queue is full and refuses.
    pub fn store(&mut self, name: &str, message: Message) -> bool {
        let Some(queue) = self.queues.get_mut(name) else { return true };
        let expires = queue.definition.ttl.map(|ttl| Instant::now() + ttl);
        let stored = Stored { message, returns: 0, redelivered: false, expires };
        if queue.definition.kind == QueueKind::Stream {
            queue.log.push(stored);
            return true;
        }
        let full = queue.definition.max_length.is_some_and(|limit| queue.ready.len() as u64 >= limit);
        if full && queue.definition.overflow == Some(Overflow::RejectPublish) {
            return false;
        }
        queue.ready.push_back(stored);
        if full && let Some(oldest) = queue.ready.pop_front() {
            self.dead_letter(name, oldest, "maxlen");
        }
        true
    }

    /// Takes the next message of a queue for a consumer, if there is one.
    pub fn take(&mut self, name: &str, session: u64, consumer: u64) -> Option<Taken> {
        let tag = self.fresh();
        let queue = self.queues.get_mut(name)?;
        let stored = queue.ready.pop_front()?;
        queue.unacked.insert(tag, Unacked { stored: stored.clone(), session, consumer });
        Some(Taken { tag, stored, offset: None })
    }

    /// Reads the message of a stream at an offset, if it is there.
    pub fn read(&mut self, name: &str, offset: u64, session: u64, consumer: u64) -> Option<Taken> {
        let tag = self.fresh();
        let queue = self.queues.get_mut(name)?;
        let stored = queue.log.get(usize::try_from(offset).ok()?)?.clone();
        queue.unacked.insert(tag, Unacked { stored: stored.clone(), session, consumer });
        Some(Taken { tag, stored, offset: Some(offset) })
    }

    /// How many deliveries of a consumer are unacknowledged.
    pub fn under_way(&self, name: &str, consumer: u64) -> usize {
        let of_consumer = |unacked: &&Unacked| unacked.consumer == consumer;
        self.queues.get(name).map_or(0, |queue| queue.unacked.values().filter(of_consumer).count())
    }

    /// Takes an acknowledged message out; false where it is not under way.
    pub fn ack(&mut self, name: &str, tag: u64) -> bool {
        self.queues.get_mut(name).is_some_and(|queue| queue.unacked.remove(&tag).is_some())
    }

    /// Puts a message back or dead-letters it; false where it is not under way.
    pub fn reject(&mut self, name: &str, tag: u64, requeue: bool) -> bool {
        if requeue {
            return self.give_back(name, tag);
        }
        let Some(unacked) = self.queues.get_mut(name).and_then(|queue| queue.unacked.remove(&tag)) else {
            return false;
        };
        self.dead_letter(name, unacked.stored, "rejected");
        true
    }

    fn give_back(&mut self, name: &str, tag: u64) -> bool {
        let Some(queue) = self.queues.get_mut(name) else { return false };
        let Some(Unacked { mut stored, .. }) = queue.unacked.remove(&tag) else { return false };
        if queue.definition.kind == QueueKind::Stream {
            return true;
        }
        stored.redelivered = true;
        stored.returns += 1;
        if queue.definition.delivery_limit.is_some_and(|limit| stored.returns > limit) {
            self.dead_letter(name, stored, "delivery_limit");
        } else {
            queue.ready.push_front(stored);
        }
        true
    }

    /// Moves what has outlived its time; only at a queue's head, as RabbitMQ does.
    pub fn expire(&mut self) {
        let now = Instant::now();
        let names: Vec<_> = self.queues.keys().cloned().collect();
        for name in names {
            while let Some(queue) = self.queues.get_mut(&name)
                && queue.ready.front().is_some_and(|stored| stored.expires.is_some_and(|expires| expires <= now))
                && let Some(stored) = queue.ready.pop_front()
            {
                self.dead_letter(&name, stored, "expired");
            }
        }
    }

    /// When the next message will have outlived its time.
    pub fn next_expiry(&self) -> Option<Instant> {
        self.queues.values().filter_map(|queue| queue.ready.front()?.expires).min()
    }

    fn dead_letter(&mut self, queue: &str, stored: Stored, reason: &str) {
        let Some(state) = self.queues.get(queue) else { return };
        let Some(DeadLetter { exchange, .. }) = state.definition.dead_letter.clone() else { return };
        let mut message = stored.message;
        add_death(&mut message, queue, reason);
        message.exchange = exchange;
        for target in self.route(&message.exchange, &message.routing_key).unwrap_or_default() {
            self.store(&target, message.clone());
        }
    }
}

/// Keeps the history as RabbitMQ does: one entry for each queue and reason, the latest first.
fn add_death(message: &mut Message, queue: &str, reason: &str) {
    let headers = &mut message.properties.headers;
    let mut deaths = match headers.remove("x-death") {
        Some(Value::Array(deaths)) => deaths,
        _ => Vec::new(),
    };
    let known = deaths.iter().position(|death| death["queue"] == queue && death["reason"] == reason);
    let count = known.map_or(0, |index| deaths.remove(index)["count"].as_u64().unwrap_or(0)) + 1;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    deaths.insert(
        0,
        json!({"count": count, "reason": reason, "queue": queue, "exchange": message.exchange,
               "routing-keys": [message.routing_key], "time": now}),
    );
    headers.entry("x-first-death-queue").or_insert_with(|| json!(queue));
    headers.entry("x-first-death-reason").or_insert_with(|| json!(reason));
    headers.entry("x-first-death-exchange").or_insert_with(|| json!(message.exchange));
    headers.insert("x-death".into(), Value::Array(deaths));
}

fn differs(what: &str, name: &str) -> Error {
    let reason = "it is there with other arguments".into();
    Error::Refused { what: format!("declare {what} '{name}'"), code: 406, reason }
}

pub(super) fn missing(what: &str, name: &str) -> Error {
    Error::Refused { what: format!("use {what} '{name}'"), code: 404, reason: "it is not there".into() }
}
