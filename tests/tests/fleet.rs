//! Worker processes on a real broker, killed, stopped, cut off and choked, judged by the oracle.

use sandsift_tests::fleet::{Fleet, Worker, get};
use sandsift_tests::proxy::{Mode, Proxy};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_fleet-worker");
const WITHIN: Duration = Duration::from_secs(120);

async fn ready(worker: &Worker) {
    until("the worker is ready", async || get(worker.admin, "/readyz").await.0 == 200).await;
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + WITHIN;
    while !holds().await {
        assert!(Instant::now() < deadline, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_completions_survive_a_kill_and_a_restart() {
    let Some(mut fleet) = Fleet::start("a_thousand_completions_survive_a_kill_and_a_restart", PROGRAM).await else {
        return;
    };
    let uri = fleet.broker.uri();
    let mut killed = fleet.worker(&uri, &[]);
    let mut stopped = fleet.worker(&uri, &[]);
    fleet.issue(1000).await;
    fleet.until_analysed(200, WITHIN).await;
    killed.signal("KILL");
    killed.ended(WITHIN);
    fleet.until_analysed(400, WITHIN).await;
    stopped.signal("TERM");
    let status = stopped.ended(Duration::from_secs(25));
    assert!(status.success(), "a drain ends well: {status}");
    let _again = fleet.worker(&uri, &[]);
    let duplicates = fleet.judge(WITHIN).await;
    eprintln!("1000 completions, {duplicates} duplicates");
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_in_child_processes_come_to_the_same() {
    let Some(mut fleet) = Fleet::start("completions_in_child_processes_come_to_the_same", PROGRAM).await else {
        return;
    };
    let uri = fleet.broker.uri();
    let worker = fleet.worker(&uri, &[("FLEET_ISOLATE", "1")]);
    ready(&worker).await;
    fleet.issue(40).await;
    fleet.judge(WITHIN).await;
}

/// Rows 4, 5 and 6: the broker is not there yet, stops, is killed.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_killed_or_restarted_costs_nothing() {
    let Some(mut fleet) = Fleet::start("a_broker_that_is_killed_or_restarted_costs_nothing", PROGRAM).await else {
        return;
    };
    let uri = fleet.broker.uri();
    fleet.broker.ctl(&["stop_app"]);
    let worker = fleet.worker(&uri, &[]);
    until("the worker lives", async || get(worker.admin, "/livez").await.0 == 200).await;
    assert_eq!(get(worker.admin, "/readyz").await.0, 503);
    fleet.broker.ctl(&["start_app"]);
    ready(&worker).await;
    fleet.issue(150).await;
    fleet.broker.kill();
    fleet.broker.run();
    ready(&worker).await;
    fleet.issue(50).await;
    let duplicates = fleet.judge(WITHIN).await;
    let consumers = fleet.broker.ctl(&["list_consumers", "queue_name", "prefetch_count"]);
    let prefetch: Vec<_> = consumers.lines().filter(|line| line.starts_with("sandsift.completions")).collect();
    assert_eq!(prefetch.len(), 3, "{consumers}");
    assert!(prefetch.iter().all(|line| line.ends_with("\t2")), "the prefetch is what it was: {consumers}");
    eprintln!("{duplicates} duplicates");
}

/// Rows 7, 8 and 9: the network stalls, swallows confirms, cuts in the middle of a frame.
#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_stalls_or_cuts_costs_nothing() {
    let Some(mut fleet) = Fleet::start("a_network_that_stalls_or_cuts_costs_nothing", PROGRAM).await else { return };
    let proxy = Proxy::start(fleet.broker.port()).await;
    let worker = fleet.worker(&format!("amqp://guest:guest@127.0.0.1:{}/%2f", proxy.port()), &[]);
    ready(&worker).await;
    for mode in [Mode::Stall, Mode::StallAnswers, Mode::Refuse] {
        fleet.issue(60).await;
        tokio::time::sleep(Duration::from_millis(400)).await;
        proxy.set(mode);
        until("the worker notices", async || get(worker.admin, "/readyz").await.0 == 503).await;
        proxy.set(Mode::Pass);
        ready(&worker).await;
    }
    for bytes in [1, 700, 5000] {
        proxy.cut_after(bytes);
        fleet.issue(20).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let duplicates = fleet.judge(WITHIN).await;
    assert!(worker.metric("sandsift_reconnects_total{reason=\"lost\"}").await.is_some_and(|lost| lost > 0.0));
    eprintln!("{duplicates} duplicates");
}

/// Rows 3 and 13: an alarm blocks publishing.
#[tokio::test(flavor = "multi_thread")]
async fn an_alarm_stops_the_fleet_and_loses_nothing() {
    let Some(mut fleet) = Fleet::start("an_alarm_stops_the_fleet_and_loses_nothing", PROGRAM).await else { return };
    let uri = fleet.broker.uri();
    // Work waits before there are workers: both are in the middle of it when the alarm comes.
    fleet.issue(900).await;
    let worker = fleet.worker(&uri, &[("FLEET_PATIENCE", "3"), ("FLEET_SLOTS", "1")]);
    let mut second = fleet.worker(&uri, &[("FLEET_PATIENCE", "60"), ("FLEET_DRAIN", "3"), ("FLEET_SLOTS", "1")]);
    ready(&worker).await;
    ready(&second).await;
    fleet.broker.ctl(&["set_disk_free_limit", "100000GB"]);
    until("both are blocked", async || {
        get(worker.admin, "/readyz").await.0 == 503 && get(second.admin, "/readyz").await.0 == 503
    })
    .await;
    second.signal("TERM");
    assert!(second.ended(Duration::from_secs(15)).success(), "a drain under an alarm ends by its deadline");
    tokio::time::sleep(Duration::from_secs(5)).await;
    fleet.broker.ctl(&["set_disk_free_limit", "50MB"]);
    ready(&worker).await;
    fleet.judge(WITHIN).await;
}

/// Rows 15 and 16: queues are deleted; what was in them is gone, and what comes after is not.
#[tokio::test(flavor = "multi_thread")]
async fn deleted_queues_are_noticed_and_taken_up_again() {
    let Some(mut fleet) = Fleet::start("deleted_queues_are_noticed_and_taken_up_again", PROGRAM).await else { return };
    let uri = fleet.broker.uri();
    let worker = fleet.worker(&uri, &[]);
    ready(&worker).await;
    let session = fleet.session().await;
    session.delete_queue(&fleet.names.queue("linux")).await.unwrap();
    until("the worker names the queue", async || {
        get(worker.admin, "/readyz").await.1.contains("sandsift.completions.linux")
    })
    .await;
    fleet.declare().await;
    ready(&worker).await;
    // Without the stream every result is unroutable: returned, and not acknowledged.
    session.delete_queue(&fleet.names.stream).await.unwrap();
    fleet.issue(12).await;
    until("returns are counted", async || {
        worker.metric("sandsift_publish_confirms_total{result=\"returned\"}").await.is_some_and(|count| count > 1.0)
    })
    .await;
    fleet.declare().await;
    fleet.judge(WITHIN).await;
}

/// Row 14: the broker takes a consumer for dead.
#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_timeout_rebuilds_the_session() {
    let Some(mut fleet) = Fleet::start("a_consumer_timeout_rebuilds_the_session", PROGRAM).await else { return };
    let uri = fleet.broker.uri();
    fleet.broker.ctl(&["eval", "application:set_env(rabbit, consumer_timeout, 3000), application:set_env(rabbit, channel_tick_interval, 1000)."]);
    let worker = fleet.worker(&uri, &[]);
    ready(&worker).await;
    let session = fleet.session().await;
    // Nothing can be published, so nothing is acknowledged, until the broker has had enough.
    session.delete_queue(&fleet.names.stream).await.unwrap();
    fleet.issue(6).await;
    until("the session is rebuilt", async || {
        let refused = worker.metric("sandsift_reconnects_total{reason=\"refused\"}").await.unwrap_or(0.0);
        let lost = worker.metric("sandsift_reconnects_total{reason=\"lost\"}").await.unwrap_or(0.0);
        refused + lost > 0.0
    })
    .await;
    fleet.declare().await;
    fleet.judge(WITHIN).await;
}
