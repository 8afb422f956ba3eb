//! Owns a session with the twin.

use super::Shared;
use super::state::{Published, Taken, missing};
use crate::topology::{Queue, Topology};
use crate::transport::{
    Confirmed, ConsumeOptions, Consumer, Delivery, Error, Health, Message, PublishError, Session, Settle, StreamOffset,
    check_sizes,
};
use async_trait::async_trait;
use serde_json::json;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

#[derive(Debug)]
pub(super) struct MemorySession {
    shared: Arc<Shared>,
    id: u64,
    health: watch::Sender<Health>,
}

impl MemorySession {
    pub fn new(shared: Arc<Shared>, id: u64, health: watch::Sender<Health>) -> Self {
        Self { shared, id, health }
    }

    fn check(&self) -> Result<(), Error> {
        match &*self.health.borrow() {
            Health::Lost(reason) => Err(Error::Lost(reason.clone())),
            Health::Open | Health::Blocked(_) => Ok(()),
        }
    }
}

/// A delivery of a message that was taken from a queue on a session.
fn delivery(shared: &Arc<Shared>, session: u64, queue: &str, taken: Taken) -> Delivery {
    let mut properties = taken.stored.message.properties;
    if taken.stored.returns > 0 {
        properties.headers.insert("x-delivery-count".into(), json!(taken.stored.returns));
    }
    if let Some(offset) = taken.offset {
        properties.headers.insert("x-stream-offset".into(), json!(offset));
    }
    Delivery {
        queue: queue.to_owned(),
        exchange: taken.stored.message.exchange,
        routing_key: taken.stored.message.routing_key,
        redelivered: taken.stored.redelivered,
        properties,
        body: taken.stored.message.body,
        settle: Box::new(MemorySettle { shared: Arc::clone(shared), session, queue: queue.to_owned(), tag: taken.tag }),
    }
}

impl Drop for MemorySession {
    fn drop(&mut self) {
        self.shared.lock().end_session(self.id, "the session was dropped");
        self.shared.changed.notify_waiters();
    }
}

#[async_trait]
impl Session for MemorySession {
    async fn declare(&self, topology: &Topology) -> Result<(), Error> {
        self.check()?;
        self.shared.lock().declare(topology)
    }

    async fn missing(&self, topology: &Topology) -> Result<Vec<String>, Error> {
        self.check()?;
        Ok(self.shared.lock().missing(topology))
    }

    async fn declare_queue(&self, queue: &Queue) -> Result<(), Error> {
        self.check()?;
        self.shared.lock().declare_queue(queue)
    }

    async fn bind(&self, exchange: &str, queue: &str, key: &str) -> Result<(), Error> {
        self.check()?;
        self.shared.lock().bind(exchange, queue, key)
    }

    async fn delete_queue(&self, queue: &str) -> Result<(), Error> {
        self.check()?;
        self.shared.lock().delete_queue(queue);
        self.shared.changed.notify_waiters();
        Ok(())
    }

    async fn depth(&self, queue: &str) -> Result<u64, Error> {
        self.check()?;
        let mut state = self.shared.lock();
        if !state.has_queue(queue) {
            return Err(missing("queue", queue));
        }
        state.expire();
        Ok(state.counts(queue).0 as u64)
    }

    async fn consume(&self, queue: &str, options: &ConsumeOptions) -> Result<Box<dyn Consumer>, Error> {
        self.check()?;
        let mut state = self.shared.lock();
        if !state.has_queue(queue) {
            return Err(missing("queue", queue));
        }
        let end = state.counts(queue).0 as u64;
        let cursor = state.is_stream(queue).then(|| match options.offset.unwrap_or(StreamOffset::Next) {
            StreamOffset::First | StreamOffset::Time(_) => 0,
            StreamOffset::Last => end.saturating_sub(1),
            StreamOffset::Next => end,
            StreamOffset::At(offset) => offset,
        });
        Ok(Box::new(MemoryConsumer {
            view: MemoryView { shared: Arc::clone(&self.shared), session: self.id, health: self.health.subscribe() },
            id: state.fresh(),
            queue: queue.to_owned(),
            prefetch: usize::from(options.prefetch.max(1)),
            cursor,
            cancelled: false,
            buffer: VecDeque::new(),
        }))
    }

    async fn get(&self, queue: &str) -> Result<Option<Delivery>, Error> {
        self.check()?;
        let mut state = self.shared.lock();
        if !state.has_queue(queue) {
            return Err(missing("queue", queue));
        }
        state.expire();
        let taken = state.take(queue, self.id, 0);
        drop(state);
        Ok(taken.map(|taken| delivery(&self.shared, self.id, queue, taken)))
    }

    async fn publish(&self, messages: Vec<Message>, deadline: Duration) -> Result<Confirmed, PublishError> {
        check_sizes(&messages)?;
        let mut health = self.health.subscribe();
        let gone = health.wait_for(|health| !matches!(health, Health::Blocked(_))).await.is_err();
        if gone {
            return Err(Error::Lost("the session was dropped".into()).into());
        }
        self.check()?;
        let (mut nacked, mut returned, mut lost) = (0, None, false);
        {
            let mut state = self.shared.lock();
            for message in &messages {
                match state.publish(message)? {
                    Published::Stored => {}
                    Published::Refused => nacked += 1,
                    Published::Unroutable => {
                        returned.get_or_insert_with(|| PublishError::Returned {
                            message_id: message.properties.message_id.clone().unwrap_or_default(),
                            exchange: message.exchange.clone(),
                            routing_key: message.routing_key.clone(),
                            reason: "NO_ROUTE".into(),
                        });
                    }
                }
                if state.lose_confirms > 0 {
                    state.lose_confirms -= 1;
                    lost = true;
                }
            }
        }
        self.shared.changed.notify_waiters();
        if lost {
            tokio::time::sleep(deadline).await;
            return Err(PublishError::Timeout(deadline));
        }
        match returned {
            Some(error) => Err(error),
            None if nacked > 0 => Err(PublishError::Nacked { count: nacked, of: messages.len() }),
            None => Ok(Confirmed::new()),
        }
    }

    async fn stop_consuming(&self) {
        self.shared.lock().give_back_all(self.id);
        self.shared.changed.notify_waiters();
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    async fn close(&self, _deadline: Duration) {
        self.shared.lock().end_session(self.id, "the session was closed");
        self.shared.changed.notify_waiters();
    }
}

/// What a consumer sees of its session.
#[derive(Debug)]
struct MemoryView {
    shared: Arc<Shared>,
    session: u64,
    health: watch::Receiver<Health>,
}

#[derive(Debug)]
struct MemoryConsumer {
    view: MemoryView,
    id: u64,
    queue: String,
    prefetch: usize,
    /// The next offset, where the queue is a stream.
    cursor: Option<u64>,
    cancelled: bool,
    buffer: VecDeque<Taken>,
}

impl MemoryConsumer {
    /// Takes as much as the prefetch allows, as a broker pushes it; tells when there may be more.
    fn fill(&mut self) -> Result<Option<Instant>, Error> {
        let mut state = self.view.shared.lock();
        if !state.is_open(self.view.session) {
            drop(state);
            let reason = match &*self.view.health.borrow() {
                Health::Lost(reason) => reason.clone(),
                Health::Open | Health::Blocked(_) => "the session was dropped".into(),
            };
            return Err(Error::Lost(reason));
        }
        if !state.has_queue(&self.queue) {
            return Err(Error::Cancelled(self.queue.clone()));
        }
        state.expire();
        while !self.cancelled && state.under_way(&self.queue, self.id) < self.prefetch {
            let taken = match &mut self.cursor {
                None => state.take(&self.queue, self.view.session, self.id),
                Some(offset) => {
                    let taken = state.read(&self.queue, *offset, self.view.session, self.id);
                    *offset += u64::from(taken.is_some());
                    taken
                }
            };
            match taken {
                Some(taken) => self.buffer.push_back(taken),
                None => break,
            }
        }
        Ok(state.next_expiry())
    }
}

#[async_trait]
impl Consumer for MemoryConsumer {
    async fn next(&mut self) -> Result<Option<Delivery>, Error> {
        loop {
            let shared = Arc::clone(&self.view.shared);
            let changed = shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let expiry = self.fill()?;
            if let Some(taken) = self.buffer.pop_front() {
                return Ok(Some(delivery(&shared, self.view.session, &self.queue, taken)));
            }
            if self.cancelled {
                return Ok(None);
            }
            match expiry {
                Some(expiry) => drop(tokio::time::timeout_at(expiry, changed).await),
                None => changed.await,
            }
        }
    }

    async fn cancel(&mut self) -> Result<(), Error> {
        self.cancelled = true;
        Ok(())
    }
}

#[derive(Debug)]
struct MemorySettle {
    shared: Arc<Shared>,
    session: u64,
    queue: String,
    tag: u64,
}

impl MemorySettle {
    fn settle(&self, settle: impl FnOnce(&mut super::state::State) -> bool) -> Result<(), Error> {
        let mut state = self.shared.lock();
        let settled = state.is_open(self.session) && settle(&mut state);
        drop(state);
        self.shared.changed.notify_waiters();
        if settled { Ok(()) } else { Err(Error::Stale) }
    }
}

#[async_trait]
impl Settle for MemorySettle {
    async fn ack(&self) -> Result<(), Error> {
        self.settle(|state| state.ack(&self.queue, self.tag))
    }

    async fn reject(&self, requeue: bool) -> Result<(), Error> {
        self.settle(|state| state.reject(&self.queue, self.tag, requeue))
    }
}
