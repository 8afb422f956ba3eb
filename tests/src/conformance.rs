//! Owns what every transport must do: the suite that holds the in-memory twin and a real broker to the same behaviour.

use sandsift_bus::topology::{Binding, DeadLetter, Exchange, ExchangeKind, Overflow, Queue, QueueKind};
use sandsift_bus::{
    ConsumeOptions, Consumer, Delivery, Error, Message, Names, Properties, PublishError, Session, StreamOffset,
    Topology, Transport, headers,
};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const CONFIRM: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_secs(30);
const SILENCE: Duration = Duration::from_millis(300);

/// Runs the whole suite on an empty broker.
pub async fn run(transport: &dyn Transport) {
    let session = transport.connect().await.expect("a session");
    topology_is_declared_once_and_checked(session.as_ref()).await;
    topics_route(session.as_ref()).await;
    unknown_keys_return_or_take_the_alternate(session.as_ref()).await;
    a_full_queue_refuses(session.as_ref()).await;
    a_batch_is_judged_as_a_whole(session.as_ref()).await;
    properties_and_headers_travel(session.as_ref()).await;
    prefetch_bounds_what_is_under_way(session.as_ref()).await;
    a_cancelled_consumer_gives_out_what_was_under_way(session.as_ref()).await;
    a_delivery_settles_once(session.as_ref()).await;
    duplicates_are_delivered_as_often_as_published(session.as_ref()).await;
    time_to_live_moves_a_message_on(session.as_ref()).await;
    a_retry_goes_back_to_its_own_queue(session.as_ref()).await;
    the_delivery_limit_ends_a_message(session.as_ref()).await;
    a_stream_can_be_read_again(session.as_ref()).await;
    a_deleted_queue_ends_its_consumer(session.as_ref()).await;
    an_oversized_message_is_refused_before_it_is_sent(session.as_ref()).await;
    what_is_got_stays_taken_until_the_session_ends(transport).await;
    a_session_that_ends_gives_back(transport).await;
}

async fn topology_is_declared_once_and_checked(session: &dyn Session) {
    let topology = Topology::new(&Names::default());
    let missing = session.missing(&topology).await.unwrap();
    assert_eq!(missing.len(), topology.exchanges.len() + topology.queues.len());
    assert!(missing.contains(&"queue 'sandsift.completions.linux'".to_owned()), "{missing:?}");
    session.declare(&topology).await.unwrap();
    session.declare(&topology).await.expect("declaring again changes nothing");
    assert_eq!(session.missing(&topology).await.unwrap(), [""; 0]);

    let mut other = topology.clone();
    other.queues[1].delivery_limit = Some(3);
    let error = session.declare(&other).await.unwrap_err();
    assert!(matches!(error, Error::Refused { code: 406, .. }), "{error}");
    assert_eq!(session.missing(&topology).await.unwrap(), [""; 0], "a refusal leaves the session usable");
}

async fn topics_route(session: &dyn Session) {
    topic(session, "t.topics", None).await;
    for (queue, key) in [("t.all", "#"), ("t.high", "match.*.high.#"), ("t.linux", "*.linux.#")] {
        bound(session, "t.topics", Queue::new(queue, QueueKind::Quorum), key).await;
    }
    for key in ["match.linux.high.process_creation", "match.windows.low.none", "analysis.linux.none"] {
        publish(session, "t.topics", key, key).await.unwrap();
    }
    assert_eq!(drain(session, "t.all").await.len(), 3);
    assert_eq!(drain(session, "t.high").await, ["match.linux.high.process_creation"]);
    assert_eq!(drain(session, "t.linux").await, ["match.linux.high.process_creation", "analysis.linux.none"]);
}

async fn unknown_keys_return_or_take_the_alternate(session: &dyn Session) {
    topic(session, "t.strict", None).await;
    bound(session, "t.strict", Queue::new("t.strict", QueueKind::Quorum), "known").await;
    let error = publish(session, "t.strict", "unknown", "lost").await.unwrap_err();
    let PublishError::Returned { message_id, exchange, routing_key, .. } = error else { panic!("{error}") };
    assert_eq!((message_id.as_str(), exchange.as_str(), routing_key.as_str()), ("lost", "t.strict", "unknown"));
    publish(session, "t.strict", "known", "next").await.expect("a return spoils no later batch");

    topic(session, "t.other", None).await;
    bound(session, "t.other", Queue::new("t.other", QueueKind::Quorum), "#").await;
    topic(session, "t.lenient", Some("t.other")).await;
    publish(session, "t.lenient", "unknown", "found").await.expect("the alternate exchange takes it");
    assert_eq!(drain(session, "t.other").await, ["found"]);

    let error = publish(session, "t.nowhere", "any", "x").await.unwrap_err();
    assert!(matches!(error, PublishError::Session(Error::Refused { code: 404, .. })), "{error:?}");
}

async fn a_full_queue_refuses(session: &dyn Session) {
    let queue = Queue {
        max_length: Some(1),
        overflow: Some(Overflow::RejectPublish),
        ..Queue::new("t.full", QueueKind::Classic)
    };
    session.declare_queue(&queue).await.unwrap();
    publish(session, "", "t.full", "first").await.unwrap();
    let error = publish(session, "", "t.full", "second").await.unwrap_err();
    assert_eq!(error, PublishError::Nacked { count: 1, of: 1 });
}

async fn a_batch_is_judged_as_a_whole(session: &dyn Session) {
    topic(session, "t.batch", None).await;
    bound(session, "t.batch", Queue::new("t.batch", QueueKind::Quorum), "good").await;
    let message = |index: usize| {
        let key = if index == 33 { "bad" } else { "good" };
        message("t.batch", key, &index.to_string())
    };
    let error = session.publish((0..50).map(message).collect(), CONFIRM).await.unwrap_err();
    assert!(matches!(&error, PublishError::Returned { message_id, .. } if message_id == "33"), "{error}");
    let _confirmed = session.publish((0..30).map(message).collect(), CONFIRM).await.unwrap();
    assert_eq!(drain(session, "t.batch").await.len(), 49 + 30);
}

async fn properties_and_headers_travel(session: &dyn Session) {
    session.declare_queue(&Queue::new("t.properties", QueueKind::Quorum)).await.unwrap();
    let mut sent = message("", "t.properties", "id-1");
    sent.properties = Properties {
        content_type: Some("application/cloudevents+json".into()),
        message_id: Some("id-1".into()),
        kind: Some("sandsift.completion.v1".into()),
        correlation_id: Some("root".into()),
        app_id: Some("test".into()),
        timestamp: Some(1_700_000_000),
        ..Properties::default()
    };
    sent.properties.headers.insert("x-sandsift-attempt".into(), json!(3));
    sent.properties.headers.insert("x-sandsift-history".into(), json!([{"code": "a", "attempt": 1}, {"code": "b"}]));
    let _confirmed = session.publish(vec![sent.clone()], CONFIRM).await.unwrap();
    let delivery = session.get("t.properties").await.unwrap().expect("a message");
    // A broker may add headers of its own; what is published again goes without them.
    assert_eq!(headers::again(&delivery.properties), sent.properties);
    assert_eq!(
        (delivery.queue.as_str(), delivery.routing_key.as_str(), delivery.redelivered),
        ("t.properties", "t.properties", false)
    );
    delivery.settle.ack().await.unwrap();
}

async fn prefetch_bounds_what_is_under_way(session: &dyn Session) {
    filled(session, Queue::new("t.prefetch", QueueKind::Quorum), 5).await;
    let mut consumer = consume(session, "t.prefetch", 2, None).await;
    let first = next(&mut consumer).await;
    let second = next(&mut consumer).await;
    assert!(quiet(&mut consumer).await, "no third one before one is acknowledged");
    first.settle.ack().await.unwrap();
    let third = next(&mut consumer).await;
    assert!(quiet(&mut consumer).await);
    second.settle.ack().await.unwrap();
    third.settle.ack().await.unwrap();
    for _ in 0..2 {
        next(&mut consumer).await.settle.ack().await.unwrap();
    }
}

async fn a_cancelled_consumer_gives_out_what_was_under_way(session: &dyn Session) {
    filled(session, Queue::new("t.cancel", QueueKind::Quorum), 10).await;
    let mut consumer = consume(session, "t.cancel", 4, None).await;
    next(&mut consumer).await.settle.ack().await.unwrap();
    tokio::time::sleep(SILENCE).await;
    consumer.cancel().await.unwrap();
    let mut under_way = 0;
    while let Some(delivery) = tokio::time::timeout(PATIENCE, consumer.next()).await.unwrap().unwrap() {
        delivery.settle.ack().await.unwrap();
        under_way += 1;
    }
    assert!((1..=4).contains(&under_way), "{under_way} were under way");
    assert_eq!(drain(session, "t.cancel").await.len(), 9 - under_way, "the rest stayed in the queue");
}

async fn a_delivery_settles_once(session: &dyn Session) {
    filled(session, Queue::new("t.once", QueueKind::Quorum), 1).await;
    let delivery = session.get("t.once").await.unwrap().unwrap();
    delivery.settle.ack().await.unwrap();
    assert_eq!(delivery.settle.ack().await.unwrap_err(), Error::Stale);
}

async fn duplicates_are_delivered_as_often_as_published(session: &dyn Session) {
    session.declare_queue(&Queue::new("t.twice", QueueKind::Quorum)).await.unwrap();
    for _ in 0..2 {
        publish(session, "", "t.twice", "same").await.unwrap();
    }
    assert_eq!(drain(session, "t.twice").await, ["same", "same"]);
}

async fn time_to_live_moves_a_message_on(session: &dyn Session) {
    session.declare_queue(&Queue::new("t.late", QueueKind::Quorum)).await.unwrap();
    topic(session, "t.expired", None).await;
    bind(session, "t.expired", "t.late", "#").await;
    let queue = Queue {
        ttl: Some(Duration::from_millis(200)),
        dead_letter: Some(DeadLetter { exchange: "t.expired".into(), at_least_once: true }),
        overflow: Some(Overflow::RejectPublish),
        ..Queue::new("t.wait", QueueKind::Quorum)
    };
    session.declare_queue(&queue).await.unwrap();
    publish(session, "", "t.wait", "late").await.unwrap();
    let mut consumer = consume(session, "t.late", 1, None).await;
    let delivery = next(&mut consumer).await;
    let death = &delivery.properties.headers["x-death"][0];
    assert_eq!((&death["queue"], &death["reason"], &death["count"]), (&json!("t.wait"), &json!("expired"), &json!(1)));
    delivery.settle.ack().await.unwrap();
}

/// The shape that the topology's retries have: an exchange bound by queue names, and the default exchange behind it.
async fn a_retry_goes_back_to_its_own_queue(session: &dyn Session) {
    topic(session, "t.retry", None).await;
    let queue = Queue {
        ttl: Some(Duration::from_millis(200)),
        dead_letter: Some(DeadLetter { exchange: String::new(), at_least_once: true }),
        overflow: Some(Overflow::RejectPublish),
        ..Queue::new("t.retry", QueueKind::Quorum)
    };
    session.declare_queue(&queue).await.unwrap();
    for own in ["t.mine", "t.yours"] {
        session.declare_queue(&Queue::new(own, QueueKind::Quorum)).await.unwrap();
        bind(session, "t.retry", "t.retry", own).await;
    }
    publish(session, "t.retry", "t.mine", "again").await.unwrap();
    let error = publish(session, "t.retry", "t.someone", "astray").await.unwrap_err();
    assert!(matches!(error, PublishError::Returned { .. }), "only the bound names are reachable: {error}");
    let mut consumer = consume(session, "t.mine", 1, None).await;
    let delivery = next(&mut consumer).await;
    assert_eq!(&*delivery.body, b"again");
    delivery.settle.ack().await.unwrap();
    assert_eq!(session.depth("t.yours").await.unwrap(), 0);
}

async fn the_delivery_limit_ends_a_message(session: &dyn Session) {
    topic(session, "t.limit.dead", None).await;
    bound(session, "t.limit.dead", Queue::new("t.limit.dead", QueueKind::Quorum), "#").await;
    let queue = Queue {
        delivery_limit: Some(2),
        dead_letter: Some(DeadLetter { exchange: "t.limit.dead".into(), at_least_once: true }),
        overflow: Some(Overflow::RejectPublish),
        ..Queue::new("t.limit", QueueKind::Quorum)
    };
    session.declare_queue(&queue).await.unwrap();
    publish(session, "", "t.limit", "poison").await.unwrap();
    let mut consumer = consume(session, "t.limit", 1, None).await;
    for earlier in 0..3 {
        let delivery = next(&mut consumer).await;
        assert_eq!(delivery.header_number("x-delivery-count").unwrap_or(0), earlier);
        assert_eq!(delivery.redelivered, earlier > 0);
        delivery.settle.reject(true).await.unwrap();
    }
    let mut dead = consume(session, "t.limit.dead", 1, None).await;
    let delivery = next(&mut dead).await;
    assert_eq!(delivery.properties.headers["x-death"][0]["reason"], "delivery_limit");
    delivery.settle.ack().await.unwrap();
}

async fn a_stream_can_be_read_again(session: &dyn Session) {
    filled(session, Queue::new("t.stream", QueueKind::Stream), 5).await;
    for _ in 0..2 {
        let mut consumer = consume(session, "t.stream", 10, Some(StreamOffset::First)).await;
        for offset in 0..5 {
            let delivery = next(&mut consumer).await;
            assert_eq!(delivery.header_number("x-stream-offset"), Some(offset));
            assert_eq!(&*delivery.body, offset.to_string().as_bytes());
            delivery.settle.ack().await.unwrap();
        }
    }
    let mut consumer = consume(session, "t.stream", 10, Some(StreamOffset::At(3))).await;
    assert_eq!(&*next(&mut consumer).await.body, b"3");
    let mut consumer = consume(session, "t.stream", 10, Some(StreamOffset::Next)).await;
    assert!(quiet(&mut consumer).await);
    publish(session, "", "t.stream", "5").await.unwrap();
    assert_eq!(&*next(&mut consumer).await.body, b"5");
}

async fn a_deleted_queue_ends_its_consumer(session: &dyn Session) {
    session.declare_queue(&Queue::new("t.gone", QueueKind::Quorum)).await.unwrap();
    let mut consumer = consume(session, "t.gone", 1, None).await;
    session.delete_queue("t.gone").await.unwrap();
    let error = tokio::time::timeout(PATIENCE, consumer.next()).await.unwrap().unwrap_err();
    assert_eq!(error, Error::Cancelled("t.gone".into()));
    let error = session.consume("t.gone", &ConsumeOptions::default()).await.unwrap_err();
    assert!(matches!(error, Error::Refused { code: 404, .. }), "{error}");
}

async fn an_oversized_message_is_refused_before_it_is_sent(session: &dyn Session) {
    let mut large = message("", "t.once", "large");
    large.body = vec![0; sandsift_bus::transport::MESSAGE_BYTES + 1].into();
    let error = session.publish(vec![large], CONFIRM).await.unwrap_err();
    assert!(matches!(error, PublishError::TooLarge { .. }), "{error}");
    publish(session, "", "t.once", "small").await.expect("the session goes on");
}

async fn what_is_got_stays_taken_until_the_session_ends(transport: &dyn Transport) {
    let session = transport.connect().await.unwrap();
    filled(session.as_ref(), Queue { delivery_limit: Some(1000), ..Queue::new("t.look", QueueKind::Quorum) }, 3).await;
    for index in 0..3 {
        let delivery = session.get("t.look").await.unwrap().unwrap();
        assert_eq!(&*delivery.body, index.to_string().as_bytes());
    }
    assert!(session.get("t.look").await.unwrap().is_none());
    session.close(PATIENCE).await;
    let session = transport.connect().await.unwrap();
    assert_eq!(drain_after_return(session.as_ref(), "t.look", 3).await, ["0", "1", "2"], "given back in order");
}

async fn a_session_that_ends_gives_back(transport: &dyn Transport) {
    let session = transport.connect().await.unwrap();
    filled(session.as_ref(), Queue::new("t.back", QueueKind::Quorum), 2).await;
    let mut consumer = consume(session.as_ref(), "t.back", 2, None).await;
    let delivery = next(&mut consumer).await;
    session.close(PATIENCE).await;
    assert!(delivery.settle.ack().await.is_err(), "what was delivered on it can no longer be settled");
    let ended = loop {
        match tokio::time::timeout(PATIENCE, consumer.next()).await.unwrap() {
            Ok(Some(_)) => {}
            other => break other,
        }
    };
    assert!(ended.is_err(), "its consumers end with an error");
    assert!(publish(session.as_ref(), "", "t.back", "late").await.is_err());
    let session = transport.connect().await.unwrap();
    let mut consumer = consume(session.as_ref(), "t.back", 2, None).await;
    let again = next(&mut consumer).await;
    assert!(again.redelivered);
}

async fn topic(session: &dyn Session, name: &str, alternate: Option<&str>) {
    let exchange = Exchange { name: name.into(), kind: ExchangeKind::Topic, alternate: alternate.map(Into::into) };
    session.declare(&Topology { exchanges: vec![exchange], ..Topology::default() }).await.unwrap();
}

async fn bind(session: &dyn Session, exchange: &str, queue: &str, key: &str) {
    let binding = Binding { exchange: exchange.into(), queue: queue.into(), key: key.into() };
    session.bind(&binding.exchange, &binding.queue, &binding.key).await.unwrap();
}

async fn bound(session: &dyn Session, exchange: &str, queue: Queue, key: &str) {
    session.declare_queue(&queue).await.unwrap();
    bind(session, exchange, &queue.name, key).await;
}

fn message(exchange: &str, key: &str, text: &str) -> Message {
    Message {
        exchange: exchange.into(),
        routing_key: key.into(),
        properties: Properties { message_id: Some(text.into()), ..Properties::default() },
        body: Arc::from(text.as_bytes()),
    }
}

async fn publish(session: &dyn Session, exchange: &str, key: &str, text: &str) -> Result<(), PublishError> {
    session.publish(vec![message(exchange, key, text)], CONFIRM).await.map(drop)
}

async fn filled(session: &dyn Session, queue: Queue, count: usize) {
    session.declare_queue(&queue).await.unwrap();
    for index in 0..count {
        publish(session, "", &queue.name, &index.to_string()).await.unwrap();
    }
}

async fn consume(session: &dyn Session, queue: &str, prefetch: u16, offset: Option<StreamOffset>) -> Box<dyn Consumer> {
    session.consume(queue, &ConsumeOptions { prefetch, offset }).await.unwrap()
}

async fn next(consumer: &mut Box<dyn Consumer>) -> Delivery {
    let next = tokio::time::timeout(PATIENCE, consumer.next()).await.expect("a message in time");
    next.unwrap().expect("the consumer goes on")
}

async fn quiet(consumer: &mut Box<dyn Consumer>) -> bool {
    tokio::time::timeout(SILENCE, consumer.next()).await.is_err()
}

/// Takes all that waits, in order.
async fn drain(session: &dyn Session, queue: &str) -> Vec<String> {
    let mut texts = Vec::new();
    while let Some(delivery) = session.get(queue).await.unwrap() {
        texts.push(String::from_utf8_lossy(&delivery.body).into_owned());
        delivery.settle.ack().await.unwrap();
    }
    texts
}

/// Takes as much as is given back, which may take a moment after a session has ended.
async fn drain_after_return(session: &dyn Session, queue: &str, count: usize) -> Vec<String> {
    let mut texts = Vec::new();
    for _ in 0..100 {
        texts.extend(drain(session, queue).await);
        if texts.len() >= count {
            break;
        }
        tokio::time::sleep(SILENCE).await;
    }
    texts
}
