//! The in-memory twin and a real RabbitMQ pass the same suite.

use sandsift_bus::amqp::{Amqp, Options};
use sandsift_bus::memory;
use sandsift_tests::broker::Broker;
use sandsift_tests::conformance;

#[tokio::test]
async fn the_twin_conforms() {
    conformance::run(&memory::Broker::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rabbitmq_conforms() {
    let Some(broker) = Broker::start("rabbitmq_conforms") else { return };
    let options = Options { uris: vec![broker.uri()], ..Options::default() };
    conformance::run(&Amqp::new(options).unwrap()).await;
}
