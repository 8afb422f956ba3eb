//! Owns the in-memory twin of a broker: the demo runs on it, and tests that need a fault at an exact moment.
//!
//! It behaves as RabbitMQ does in all that Sandsift relies on: topics, alternate exchanges, returns, nacks, time to
//! live, delivery limits, dead-lettering with `x-death`, streams that can be replayed, redelivery when a session ends.
//! The conformance suite says what that is.

mod session;
mod state;

use crate::topology::Topology;
use crate::transport::{Error, Health, Message, Properties, Session, Transport};
use async_trait::async_trait;
use session::MemorySession;
use state::State;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, watch};

/// A broker in this process. Clones are the same broker.
#[derive(Debug, Clone, Default)]
pub struct Broker {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Rung whenever something may have become deliverable, or has ended.
    changed: Notify,
}

impl Shared {
    /// A panic elsewhere cannot leave the state half-changed in a way that matters to tests and demos.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Broker {
    /// An empty broker.
    pub fn new() -> Self {
        Self::default()
    }

    /// Declares a topology without a session.
    pub fn declare(&self, topology: &Topology) -> Result<(), Error> {
        self.shared.lock().declare(topology)
    }

    /// Ends every session, as a lost connection does.
    pub fn cut(&self, reason: &str) {
        self.change(|state| state.end_all_sessions(reason));
    }

    /// Refuses new sessions, and ends those that are, until [`Broker::start`].
    pub fn stop(&self) {
        self.change(|state| {
            state.online = false;
            state.end_all_sessions("the broker has stopped");
        });
    }

    /// Takes sessions again; what queues held is still there.
    pub fn start(&self) {
        self.change(|state| state.online = true);
    }

    /// Takes no messages until [`Broker::unblock`], as under a disk alarm.
    pub fn block(&self, reason: &str) {
        self.change(|state| state.set_blocked(Some(reason.to_owned())));
    }

    /// Takes messages again.
    pub fn unblock(&self) {
        self.change(|state| state.set_blocked(None));
    }

    /// Takes the next messages without confirming them.
    pub fn lose_confirms(&self, count: usize) {
        self.change(|state| state.lose_confirms = count);
    }

    /// Refuses the next messages.
    pub fn nack(&self, count: usize) {
        self.change(|state| state.nack = count);
    }

    /// Removes a binding behind everyone's back.
    pub fn unbind(&self, exchange: &str, queue: &str) {
        self.change(|state| state.unbind(exchange, queue));
    }

    /// Deletes a queue behind everyone's back.
    pub fn delete_queue(&self, queue: &str) {
        self.change(|state| {
            state.delete_queue(queue);
        });
    }

    /// Puts a message into a queue behind everyone's back, even while the broker takes none.
    pub fn place(&self, queue: &str, body: &[u8]) {
        let properties = Properties::default();
        let message = Message { exchange: String::new(), routing_key: queue.into(), properties, body: body.into() };
        self.change(|state| {
            state.store(queue, message);
        });
    }

    /// How many messages of a queue wait, and how many are delivered and unacknowledged.
    pub fn counts(&self, queue: &str) -> (usize, usize) {
        let mut state = self.shared.lock();
        state.expire();
        state.counts(queue)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.shared.lock());
        self.shared.changed.notify_waiters();
    }
}

#[async_trait]
impl Transport for Broker {
    async fn connect(&self) -> Result<Arc<dyn Session>, Error> {
        let health = watch::Sender::new(Health::Open);
        let mut state = self.shared.lock();
        if !state.online {
            return Err(Error::Connect { address: "memory".into(), reason: "the broker has stopped".into() });
        }
        let id = state.open_session(health.clone());
        Ok(Arc::new(MemorySession::new(Arc::clone(&self.shared), id, health)))
    }
}
