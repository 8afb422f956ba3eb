//! What a user relies on when completions are published: all of them arrive, under stable ids, whatever the broker does.

use sandsift_bus::memory::Broker;
use sandsift_bus::message::{Completion, Sample, Sandbox};
use sandsift_bus::{Backoff, Names, Supervisor, Topology, Transport};
use sandsift_producer::{Load, Options, Progress, publish};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

fn completion(id: &str, platform: &str) -> Completion {
    Completion {
        id: id.to_owned(),
        sample: Sample { sha256: "ab".repeat(32), ..Sample::default() },
        platform: platform.to_owned(),
        sandbox: Sandbox { name: "CAPE v2".to_owned(), ..Sandbox::default() },
        started: None,
        finished: None,
        root_uid: Some("root-1".to_owned()),
        parent_uid: None,
        artifacts: Vec::new(),
    }
}

fn broker() -> Broker {
    let broker = Broker::new();
    broker.declare(&Topology::new(&Names::default())).expect("a topology");
    broker
}

fn supervisor(broker: &Broker) -> Supervisor {
    let backoff = Backoff { first: Duration::from_millis(1), cap: Duration::from_millis(5) };
    Supervisor::new(Arc::new(broker.clone()), backoff)
}

/// Ids in a queue, with how often each is there.
async fn ids(broker: &Broker, platform: &str) -> BTreeMap<String, usize> {
    let session = broker.connect().await.expect("a session");
    let mut ids = BTreeMap::new();
    while let Some(delivery) = session.get(&Names::default().queue(platform)).await.expect("a queue") {
        let read = Completion::from_body(&delivery.body).expect("a completion that a worker takes");
        assert_eq!(delivery.properties.message_id.as_deref(), Some(read.id.as_str()));
        assert_eq!(delivery.properties.correlation_id.as_deref(), Some("root-1"));
        *ids.entry(read.id).or_default() += 1;
        delivery.settle.ack().await.expect("an acknowledgement");
    }
    ids
}

#[tokio::test]
async fn each_goes_to_its_platforms_queue_and_progress_is_told() {
    let broker = broker();
    let given = [completion("a", "windows"), completion("b", "linux"), completion("c", "macos")];
    let mut told = Vec::new();
    let report =
        publish(&mut supervisor(&broker), &Options::default(), &given, Load::default(), &mut |now| told.push(now))
            .await
            .expect("a report");
    assert_eq!((report.confirmed, report.retries), (3, 0));
    assert_eq!(told.last(), Some(&Progress { confirmed: 3, total: 3 }));
    for (platform, id) in [("windows", "a"), ("linux", "b"), ("macos", "c")] {
        assert_eq!(ids(&broker, platform).await, BTreeMap::from([(id.to_owned(), 1)]));
    }
}

#[tokio::test]
async fn a_load_repeats_under_ids_that_are_the_same_on_every_run() {
    let given = [completion("a", "windows"), completion("b", "windows")];
    let mut runs = Vec::new();
    for _ in 0..2 {
        let broker = broker();
        let load = Load { count: Some(301), rate: None };
        publish(&mut supervisor(&broker), &Options::default(), &given, load, &mut |_| {}).await.expect("a report");
        runs.push(ids(&broker, "windows").await);
    }
    assert_eq!(runs[0].len(), 301, "301 ids");
    assert!(runs[0].contains_key("a") && runs[0].contains_key("b"));
    assert_eq!(runs[0], runs[1]);
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_kept() {
    let broker = broker();
    let load = Load { count: Some(50), rate: Some(10.0) };
    let report = publish(&mut supervisor(&broker), &Options::default(), &[completion("a", "linux")], load, &mut |_| {})
        .await
        .expect("a report");
    let seconds = report.elapsed.as_secs_f64();
    assert!((4.8..5.6).contains(&seconds), "50 at 10 a second took {seconds} s");
}

#[tokio::test(start_paused = true)]
async fn lost_confirms_refusals_and_lost_sessions_lose_nothing() {
    let broker = broker();
    broker.lose_confirms(1);
    broker.nack(2);
    let given: Vec<Completion> = (0..200).map(|n| completion(&format!("c{n}"), "windows")).collect();
    let options = Options { confirm: Duration::from_secs(1), ..Options::default() };
    let other = broker.clone();
    let mut cut = false;
    let report = publish(&mut supervisor(&broker), &options, &given, Load::default(), &mut |now| {
        if now.confirmed >= 64 && !cut {
            cut = true;
            other.cut("a test");
        }
    })
    .await
    .expect("a report");
    assert_eq!(report.confirmed, 200);
    assert!(report.retries >= 2, "{report:?}");
    assert_eq!(ids(&broker, "windows").await.len(), 200);
}

#[tokio::test]
async fn without_a_topology_it_ends_at_once_and_says_what_is_missing() {
    let broker = Broker::new();
    let failed = publish(
        &mut supervisor(&broker),
        &Options::default(),
        &[completion("a", "windows")],
        Load::default(),
        &mut |_| {},
    )
    .await
    .expect_err("a failure");
    assert_eq!((failed.confirmed, failed.total), (0, 1));
    assert!(failed.to_string().contains("sandbox.completions"), "{failed}");
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_stays_away_is_given_up_on_after_the_attempts_asked_for() {
    let broker = broker();
    broker.stop();
    let options = Options { attempts: Some(3), ..Options::default() };
    let given = [completion("a", "windows")];
    let failed =
        publish(&mut supervisor(&broker), &options, &given, Load::default(), &mut |_| {}).await.expect_err("a failure");
    assert_eq!(failed.confirmed, 0);
}
