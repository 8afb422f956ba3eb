//! Owns one session with RabbitMQ: two connections, since an alarm stops all that a publishing one sends, and
//! acknowledgements must still flow.

use super::convert::{from_basic, map, short, table, to_basic};
use crate::topology::{ExchangeKind, Queue, Topology};
use crate::transport::{
    Confirmed, ConsumeOptions, Consumer, Delivery, Error, Health, Message, PublishError, Session, Settle, StreamOffset,
    check_sizes,
};
use async_trait::async_trait;
use lapin::Acker;
use lapin::message::{BasicGetMessage, BasicReturnMessage};
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, BasicQosOptions,
    BasicRejectOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
    QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Confirmation, Connection, ErrorKind, Event};
use serde_json::{Map, json};
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_stream::StreamExt;

/// How often a connection is asked whether it lives, beside what it tells by itself.
const PULSE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct AmqpSession {
    consuming: Connection,
    publishing: Connection,
    /// Publishing channels in confirm mode that are free. A batch has one to itself, so that a returned message can only
    /// be its own: lapin hands a return to whichever confirm completes next.
    free: Mutex<Vec<Channel>>,
    /// The channel of single gets: what was got and not settled stays taken until the session ends.
    getting: Mutex<Option<Channel>>,
    health: watch::Sender<Health>,
    timeout: Duration,
    watchers: [JoinHandle<()>; 2],
}

impl AmqpSession {
    pub fn new(consuming: Connection, publishing: Connection, timeout: Duration) -> Self {
        let health = watch::Sender::new(Health::Open);
        let watchers = [watch_over(&consuming, health.clone()), watch_over(&publishing, health.clone())];
        Self { consuming, publishing, free: Mutex::default(), getting: Mutex::default(), health, timeout, watchers }
    }

    /// Waits for the broker's answer, with a deadline.
    async fn ask<T>(&self, what: &str, answer: impl Future<Output = lapin::Result<T>>) -> Result<T, Error> {
        within(self.timeout, what, answer).await
    }

    /// A channel for one purpose; a refusal closes it, and nothing else with it.
    async fn channel(&self, connection: &Connection) -> Result<Channel, Error> {
        self.ask("open a channel", connection.create_channel()).await
    }

    async fn publisher(&self) -> Result<Channel, Error> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(channel) = free.filter(|channel| channel.status().connected()) {
            return Ok(channel);
        }
        let channel = self.channel(&self.publishing).await?;
        self.ask("confirm publishes", channel.confirm_select(ConfirmSelectOptions::default())).await?;
        Ok(channel)
    }

    async fn getter(&self) -> Result<Channel, Error> {
        let open = self.getting.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(channel) = open.filter(|channel| channel.status().connected()) {
            return Ok(channel);
        }
        let channel = self.channel(&self.consuming).await?;
        *self.getting.lock().unwrap_or_else(PoisonError::into_inner) = Some(channel.clone());
        Ok(channel)
    }

    fn release(&self, channel: Channel) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(channel);
    }

    /// Runs a publish to its end; while the broker blocks, the deadline stands still.
    async fn unblocked<T>(
        &self,
        deadline: Duration,
        work: impl Future<Output = Result<T, PublishError>>,
    ) -> Result<T, PublishError> {
        tokio::pin!(work);
        let mut health = self.health.subscribe();
        let mut remaining = deadline;
        loop {
            let blocked = match &*health.borrow_and_update() {
                Health::Open => false,
                Health::Blocked(_) => true,
                Health::Lost(reason) => return Err(Error::Lost(reason.clone()).into()),
            };
            let started = Instant::now();
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep(remaining), if !blocked => return Err(PublishError::Timeout(deadline)),
                changed = health.changed() => {
                    if changed.is_err() {
                        return Err(Error::Lost("the session was dropped".into()).into());
                    }
                    if !blocked {
                        remaining = remaining.saturating_sub(started.elapsed());
                    }
                }
            }
        }
    }

    async fn declare_one(&self, channel: &Channel, queue: &Queue) -> Result<(), Error> {
        let what = format!("declare queue '{}'", queue.name);
        let arguments = table(&queue.arguments())?;
        self.ask(&what, channel.queue_declare(short(&queue.name)?, QueueDeclareOptions::durable(), arguments)).await?;
        Ok(())
    }
}

impl Drop for AmqpSession {
    fn drop(&mut self) {
        for watcher in &self.watchers {
            watcher.abort();
        }
        self.health.send_replace(Health::Lost("the session was dropped".into()));
    }
}

#[async_trait]
impl Session for AmqpSession {
    async fn declare(&self, topology: &Topology) -> Result<(), Error> {
        let channel = self.channel(&self.consuming).await?;
        for exchange in &topology.exchanges {
            let kind = match exchange.kind {
                ExchangeKind::Topic => lapin::ExchangeKind::Topic,
                ExchangeKind::Fanout => lapin::ExchangeKind::Fanout,
            };
            let mut arguments = Map::new();
            if let Some(alternate) = &exchange.alternate {
                arguments.insert("alternate-exchange".into(), json!(alternate));
            }
            let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
            let declared = channel.exchange_declare(short(&exchange.name)?, kind, options, table(&arguments)?);
            self.ask(&format!("declare exchange '{}'", exchange.name), declared).await?;
        }
        for queue in &topology.queues {
            self.declare_one(&channel, queue).await?;
        }
        for binding in &topology.bindings {
            let bound = channel.queue_bind(
                short(&binding.queue)?,
                short(&binding.exchange)?,
                short(&binding.key)?,
                QueueBindOptions::default(),
                FieldTable::default(),
            );
            self.ask(&format!("bind queue '{}'", binding.queue), bound).await?;
        }
        self.ask("close a channel", channel.close(200, short("done")?)).await
    }

    async fn missing(&self, topology: &Topology) -> Result<Vec<String>, Error> {
        let mut missing = Vec::new();
        for exchange in &topology.exchanges {
            let channel = self.channel(&self.consuming).await?;
            let options = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
            let name = short(&exchange.name)?;
            let there = channel.exchange_declare(name, lapin::ExchangeKind::Topic, options, FieldTable::default());
            match self.ask(&format!("look for exchange '{}'", exchange.name), there).await {
                Ok(()) => drop(channel.close(200, short("done")?).await),
                Err(Error::Refused { code: 404, .. }) => missing.push(format!("exchange '{}'", exchange.name)),
                // Newer brokers do not even tell of what a user has no right to: it may well be there.
                Err(Error::Refused { code: 403, .. }) => {}
                Err(other) => return Err(other),
            }
        }
        for queue in &topology.queues {
            match self.depth(&queue.name).await {
                Ok(_) => {}
                Err(Error::Refused { code: 404, .. }) => missing.push(format!("queue '{}'", queue.name)),
                Err(Error::Refused { code: 403, .. }) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(missing)
    }

    async fn declare_queue(&self, queue: &Queue) -> Result<(), Error> {
        let channel = self.channel(&self.consuming).await?;
        self.declare_one(&channel, queue).await?;
        self.ask("close a channel", channel.close(200, short("done")?)).await
    }

    async fn bind(&self, exchange: &str, queue: &str, key: &str) -> Result<(), Error> {
        let channel = self.channel(&self.consuming).await?;
        let (queue_name, exchange_name, key) = (short(queue)?, short(exchange)?, short(key)?);
        let bound =
            channel.queue_bind(queue_name, exchange_name, key, QueueBindOptions::default(), FieldTable::default());
        self.ask(&format!("bind queue '{queue}' to exchange '{exchange}'"), bound).await?;
        self.ask("close a channel", channel.close(200, short("done")?)).await
    }

    async fn delete_queue(&self, queue: &str) -> Result<(), Error> {
        let channel = self.channel(&self.consuming).await?;
        let deleted = channel.queue_delete(short(queue)?, QueueDeleteOptions::default());
        self.ask(&format!("delete queue '{queue}'"), deleted).await?;
        self.ask("close a channel", channel.close(200, short("done")?)).await
    }

    async fn depth(&self, queue: &str) -> Result<u64, Error> {
        let channel = self.channel(&self.consuming).await?;
        let options = QueueDeclareOptions::durable().passive();
        let there = channel.queue_declare(short(queue)?, options, FieldTable::default());
        let there = self.ask(&format!("look for queue '{queue}'"), there).await?;
        self.ask("close a channel", channel.close(200, short("done")?)).await?;
        Ok(there.message_count().into())
    }

    async fn consume(&self, queue: &str, options: &ConsumeOptions) -> Result<Box<dyn Consumer>, Error> {
        let channel = self.channel(&self.consuming).await?;
        // Per consumer; a limit for the whole connection is gone from newer brokers.
        let limited = channel.basic_qos(options.prefetch.max(1), BasicQosOptions { global: false });
        self.ask("limit the prefetch", limited).await?;
        let mut arguments = FieldTable::default();
        if let Some(offset) = options.offset {
            arguments.insert(short("x-stream-offset")?, stream_offset(offset));
        }
        let tag = short("")?;
        let started = channel.basic_consume(short(queue)?, tag, BasicConsumeOptions::default(), arguments);
        let stream = self.ask(&format!("consume queue '{queue}'"), started).await?;
        Ok(Box::new(AmqpConsumer {
            queue: queue.to_owned(),
            channel,
            stream,
            health: self.health.subscribe(),
            timeout: self.timeout,
            cancelled: false,
        }))
    }

    async fn get(&self, queue: &str) -> Result<Option<Delivery>, Error> {
        let channel = self.getter().await?;
        let got = channel.basic_get(short(queue)?, BasicGetOptions::default());
        let got = self.ask(&format!("get from queue '{queue}'"), got).await?;
        Ok(got.map(|BasicGetMessage { delivery, .. }| received(delivery, queue, self.timeout)))
    }

    async fn publish(&self, messages: Vec<Message>, deadline: Duration) -> Result<Confirmed, PublishError> {
        check_sizes(&messages)?;
        let work = async {
            let channel = self.publisher().await?;
            let mut confirms = Vec::with_capacity(messages.len());
            for message in &messages {
                let sent = channel.basic_publish(
                    short(&message.exchange)?,
                    short(&message.routing_key)?,
                    BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() },
                    &message.body,
                    to_basic(&message.properties)?,
                );
                confirms.push(sent.await.map_err(|error| failed("publish", &error))?);
            }
            let (mut nacked, mut returned) = (0, None);
            for confirm in confirms {
                match confirm.await.map_err(|error| failed("publish", &error))? {
                    Confirmation::Ack(message) => returned = returned.or(message),
                    Confirmation::Nack(message) => {
                        nacked += 1;
                        returned = returned.or(message);
                    }
                    Confirmation::NotRequested => nacked += 1,
                }
            }
            if let Some(message) = returned {
                return Err(returned_error(&message));
            }
            if nacked > 0 {
                return Err(PublishError::Nacked { count: nacked, of: messages.len() });
            }
            // Only a channel on which nothing went wrong serves another batch.
            self.release(channel);
            Ok(Confirmed::new())
        };
        self.unblocked(deadline, work).await
    }

    async fn stop_consuming(&self) {
        self.watchers[0].abort();
        let closed = self.consuming.close(200, "giving back".into());
        // Either way the broker gives back what was under way: when it hears of it, or when heartbeats stay out.
        if tokio::time::timeout(self.timeout, closed).await.is_err() {
            tracing::warn!("the broker did not answer to the end of the consuming connection");
        }
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    async fn close(&self, deadline: Duration) {
        let both = async {
            let consuming = self.consuming.close(200, "done".into()).await;
            let publishing = self.publishing.close(200, "done".into()).await;
            (consuming, publishing)
        };
        // A blocked connection cannot even say goodbye; the broker notices when the process is gone.
        if tokio::time::timeout(deadline, both).await.is_err() {
            tracing::warn!("the broker did not take leave in time");
        }
        self.health.send_replace(Health::Lost("the session was closed".into()));
    }
}

#[derive(Debug)]
struct AmqpConsumer {
    queue: String,
    channel: Channel,
    stream: lapin::Consumer,
    health: watch::Receiver<Health>,
    timeout: Duration,
    cancelled: bool,
}

#[async_trait]
impl Consumer for AmqpConsumer {
    async fn next(&mut self) -> Result<Option<Delivery>, Error> {
        let lost = async {
            match self.health.wait_for(|health| matches!(health, Health::Lost(_))).await.as_deref() {
                Ok(Health::Lost(reason)) => reason.clone(),
                _ => "the session was dropped".to_owned(),
            }
        };
        let next = tokio::select! {
            // What was delivered before the end is given out before it: it must be accounted for.
            biased;
            next = self.stream.next() => next,
            reason = lost => return Err(Error::Lost(reason)),
        };
        match next {
            Some(Ok(delivery)) => Ok(Some(received(delivery, &self.queue, self.timeout))),
            Some(Err(error)) => Err(failed(&format!("consume queue '{}'", self.queue), &error)),
            None if self.cancelled => Ok(None),
            None => Err(Error::Cancelled(self.queue.clone())),
        }
    }

    async fn cancel(&mut self) -> Result<(), Error> {
        self.cancelled = true;
        let cancelled = self.channel.basic_cancel(self.stream.tag(), BasicCancelOptions::default());
        within(self.timeout, &format!("cancel the consumer of '{}'", self.queue), cancelled).await
    }
}

#[derive(Debug)]
struct AmqpSettle {
    acker: Acker,
    timeout: Duration,
}

impl AmqpSettle {
    async fn settle(&self, what: &str, settled: impl Future<Output = lapin::Result<bool>>) -> Result<(), Error> {
        match within(self.timeout, what, settled).await {
            Ok(true) => Ok(()),
            // Used before, or the channel is gone: the broker will deliver again.
            Ok(false) => Err(Error::Stale),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Settle for AmqpSettle {
    async fn ack(&self) -> Result<(), Error> {
        self.settle("acknowledge", self.acker.ack(BasicAckOptions::default())).await
    }

    async fn reject(&self, requeue: bool) -> Result<(), Error> {
        self.settle("reject", self.acker.reject(BasicRejectOptions { requeue })).await
    }
}

fn received(delivery: lapin::message::Delivery, queue: &str, timeout: Duration) -> Delivery {
    let mut properties = from_basic(&delivery.properties);
    if let Some(headers) = delivery.properties.headers() {
        properties.headers = map(headers);
    }
    Delivery {
        queue: queue.to_owned(),
        exchange: delivery.exchange.to_string(),
        routing_key: delivery.routing_key.to_string(),
        redelivered: delivery.redelivered,
        properties,
        body: delivery.data.into(),
        settle: Box::new(AmqpSettle { acker: delivery.acker, timeout }),
    }
}

fn returned_error(message: &BasicReturnMessage) -> PublishError {
    let id = message.delivery.properties.message_id().as_ref().map(ToString::to_string);
    PublishError::Returned {
        message_id: id.unwrap_or_default(),
        exchange: message.delivery.exchange.to_string(),
        routing_key: message.delivery.routing_key.to_string(),
        reason: message.reply_text.to_string(),
    }
}

fn stream_offset(offset: StreamOffset) -> AMQPValue {
    match offset {
        StreamOffset::First => AMQPValue::LongString("first".into()),
        StreamOffset::Last => AMQPValue::LongString("last".into()),
        StreamOffset::Next => AMQPValue::LongString("next".into()),
        StreamOffset::Time(seconds) => AMQPValue::Timestamp(seconds),
        StreamOffset::At(offset) => AMQPValue::LongLongInt(i64::try_from(offset).unwrap_or(i64::MAX)),
    }
}

/// Turns what a connection tells into the session's health; the first loss stays.
fn watch_over(connection: &Connection, health: watch::Sender<Health>) -> JoinHandle<()> {
    let mut events = Box::pin(connection.events_listener());
    let status = connection.status().clone();
    let set = move |new: Health| {
        health.send_if_modified(|current| {
            let changed = *current != new && !matches!(current, Health::Lost(_));
            if changed {
                *current = new;
            }
            changed
        });
    };
    tokio::spawn(async move {
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                () = tokio::time::sleep(PULSE) => {
                    if status.connected() {
                        continue;
                    }
                    return set(Health::Lost("the connection is closed".into()));
                }
            };
            match event {
                Some(Event::ConnectionBlocked(reason)) => set(Health::Blocked(reason)),
                Some(Event::ConnectionUnblocked) => set(Health::Open),
                Some(Event::Error(error)) if !status.connected() || !error.is_amqp_soft_error() => {
                    return set(Health::Lost(error.to_string()));
                }
                Some(_) => {}
                None => return set(Health::Lost("the connection is closed".into())),
            }
        }
    })
}

async fn within<T>(deadline: Duration, what: &str, answer: impl Future<Output = lapin::Result<T>>) -> Result<T, Error> {
    match tokio::time::timeout(deadline, answer).await {
        Ok(answer) => answer.map_err(|error| failed(what, &error)),
        Err(_) => Err(Error::Timeout { what: what.to_owned(), deadline }),
    }
}

fn failed(what: &str, error: &lapin::Error) -> Error {
    match error.kind() {
        ErrorKind::ProtocolError(protocol) if error.is_amqp_soft_error() => Error::Refused {
            what: what.to_owned(),
            code: protocol.get_id(),
            reason: protocol.get_message().to_string(),
        },
        _ => Error::Lost(error.to_string()),
    }
}
