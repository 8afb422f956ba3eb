//! The users of `deploy/rabbitmq/definitions.json`, on a real broker: each can do its work and nothing else.

use sandsift_bus::amqp::{Amqp, Options};
use sandsift_bus::dead::{DeadLetters, Selection};
use sandsift_bus::{
    ConsumeOptions, Error, Message, Names, Properties, PublishError, Session, StreamOffset, Topology, Transport, tail,
};
use sandsift_tests::broker::Broker;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const CONFIRM: Duration = Duration::from_secs(20);

fn definitions() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy/rabbitmq/definitions.json")
}

/// The file and `topology apply` declare the same.
#[test]
fn the_definitions_are_the_topology() {
    let file: Value = serde_json::from_slice(&std::fs::read(definitions()).unwrap()).unwrap();
    let topology = Topology::new(&Names::default());
    let names = |list: &str, member: &str| -> Vec<String> {
        file[list].as_array().unwrap().iter().map(|entry| entry[member].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("exchanges", "name"), topology.exchanges.iter().map(|e| e.name.clone()).collect::<Vec<_>>());
    assert_eq!(names("queues", "name"), topology.queues.iter().map(|q| q.name.clone()).collect::<Vec<_>>());
    for (entry, queue) in file["queues"].as_array().unwrap().iter().zip(&topology.queues) {
        assert_eq!(entry["arguments"], Value::Object(queue.arguments()), "{}", queue.name);
    }
    for (entry, exchange) in file["exchanges"].as_array().unwrap().iter().zip(&topology.exchanges) {
        let alternate = exchange.alternate.as_ref().map_or(json!({}), |name| json!({"alternate-exchange": name}));
        assert_eq!(entry["arguments"], alternate, "{}", exchange.name);
    }
    let bindings: Vec<_> = file["bindings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|b| {
            (b["source"].as_str().unwrap(), b["destination"].as_str().unwrap(), b["routing_key"].as_str().unwrap())
        })
        .collect();
    let declared: Vec<_> =
        topology.bindings.iter().map(|b| (b.exchange.as_str(), b.queue.as_str(), b.key.as_str())).collect();
    assert_eq!(bindings, declared);
    let policies: Vec<_> =
        Topology::policies(&Names::default()).into_iter().map(|p| (p.pattern, Value::Object(p.definition))).collect();
    let filed: Vec<_> = file["policies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| (p["pattern"].as_str().unwrap().to_owned(), p["definition"].clone()))
        .collect();
    assert_eq!(filed, policies);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_user_can_do_its_work_and_nothing_else() {
    let Some(broker) = Broker::start("each_user_can_do_its_work_and_nothing_else") else { return };
    broker.ctl(&["import_definitions", definitions().to_str().unwrap()]);
    for user in ["sandsift-worker", "sandsift-producer", "sandsift-consumer", "sandsift-operator"] {
        broker.ctl(&["change_password", user, "secret"]);
    }
    let names = Names::default();
    let as_user = async |user: &str| -> Arc<dyn Session> {
        let options = Options { uris: vec![broker.uri_of(user, "secret")], ..Options::default() };
        Amqp::new(options).unwrap().connect().await.unwrap()
    };

    let producer = as_user("sandsift-producer").await;
    let _confirmed = producer.publish(vec![message(&names.completions, "completion.linux.x")], CONFIRM).await.unwrap();
    refused(producer.get("sandsift.completions.linux").await);
    refused_to_publish(producer.publish(vec![message(&names.results, "analysis.linux.none")], CONFIRM).await);
    refused_to_publish(producer.publish(vec![message("", "sandsift.completions.linux")], CONFIRM).await);

    let worker = as_user("sandsift-worker").await;
    let platforms = ["windows", "linux", "macos"].map(str::to_owned);
    assert_eq!(worker.missing(&Topology::of_worker(&names, &platforms)).await.unwrap(), [""; 0]);
    let mut consumer = worker.consume("sandsift.completions.linux", &ConsumeOptions::default()).await.unwrap();
    let delivery = consumer.next().await.unwrap().unwrap();
    for (exchange, key) in [
        (names.results.as_str(), "analysis.linux.none"),
        (names.dead.as_str(), "any"),
        ("sandsift.retry.5s", "sandsift.completions.linux"),
    ] {
        let _confirmed = worker.publish(vec![message(exchange, key)], CONFIRM).await.unwrap();
    }
    delivery.settle.ack().await.unwrap();
    refused(worker.declare(&Topology { queues: vec![queue("mine")], ..Topology::default() }).await);
    let first = ConsumeOptions { prefetch: 1, offset: Some(StreamOffset::First) };
    refused(worker.consume(&names.stream, &first).await);
    refused(worker.get(&names.dead).await);
    refused_to_publish(worker.publish(vec![message(&names.completions, "completion.linux.x")], CONFIRM).await);
    refused_to_publish(worker.publish(vec![message("", "sandsift.completions.linux")], CONFIRM).await);
    let astray = worker.publish(vec![message("sandsift.retry.5s", "sandsift.results")], CONFIRM).await;
    assert!(matches!(astray, Err(PublishError::Returned { .. })), "a retry reaches completions' queues alone");

    let reader = as_user("sandsift-consumer").await;
    let own = tail::subscribe(reader.as_ref(), &names, "sandsift-consumer", "test", &["match.#".to_owned()]).await;
    own.expect("a queue of its own");
    let mut replay = tail::replay(reader.as_ref(), &names, StreamOffset::First).await.unwrap();
    assert_eq!(replay.next().await.unwrap().unwrap().routing_key, "analysis.linux.none");
    refused(tail::subscribe(reader.as_ref(), &names, "someone-else", "test", &[]).await);
    refused(reader.get("sandsift.completions.linux").await);
    refused_to_publish(reader.publish(vec![message(&names.results, "match.linux.high.none")], CONFIRM).await);

    let operator = as_user("sandsift-operator").await;
    let mut letters = 0;
    let dead = DeadLetters::new(operator.as_ref(), &names);
    dead.each(&Selection::default(), |_, _, _| letters += 1).await.unwrap();
    assert_eq!(letters, 1);
    operator.declare(&Topology::new(&names)).await.expect("the same topology");
}

fn queue(name: &str) -> sandsift_bus::topology::Queue {
    sandsift_bus::topology::Queue::new(name, sandsift_bus::topology::QueueKind::Quorum)
}

fn message(exchange: &str, key: &str) -> Message {
    Message {
        exchange: exchange.into(),
        routing_key: key.into(),
        properties: Properties { message_id: Some(key.into()), ..Properties::default() },
        body: Arc::from(&b"{}"[..]),
    }
}

fn refused<T>(outcome: Result<T, Error>) {
    match outcome {
        Err(Error::Refused { code: 403, .. }) => {}
        Err(other) => panic!("refused for another reason: {other}"),
        Ok(_) => panic!("allowed"),
    }
}

fn refused_to_publish<T>(outcome: Result<T, PublishError>) {
    match outcome {
        Err(PublishError::Session(Error::Refused { code: 403, .. })) => {}
        Err(other) => panic!("refused for another reason: {other}"),
        Ok(_) => panic!("allowed"),
    }
}
