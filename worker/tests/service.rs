//! The service on the in-memory twin, where faults strike at an exact moment: nothing lost, nothing acknowledged early.

mod kit;

use kit::{Fleet, completion};
use sandsift_bus::headers;
use sandsift_worker::config::Config;
use serde_json::json;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn every_completion_comes_to_one_analysis_with_its_matches() {
    let fleet = Fleet::new();
    let worker = fleet.worker(|_| {}).await;
    for index in 0..60 {
        let platform = ["windows", "linux", "macos"][index % 3];
        fleet.produce(&completion(&format!("run-{index}"), platform, "good")).await;
    }
    let results = fleet.analyses(60).await;
    assert_eq!(results.len(), 60);
    assert!(results.values().all(|copies| copies.len() == 1), "no fault, no duplicate");
    let matches = fleet.stream_keys("match.").await;
    assert_eq!(matches.len(), 60);
    assert_eq!(matches.iter().filter(|key| *key == "match.linux.high.process_creation").count(), 20);
    fleet.assert_empty().await;
    worker.stop().await;
    let metrics = worker.metrics.render().unwrap();
    for line in [
        "sandsift_completions_total{outcome=\"analysed\",platform=\"linux\"} 20",
        "sandsift_completions_total{outcome=\"lost\",platform=\"linux\"} 0",
        "sandsift_matches_total{level=\"high\",origin=\"sample\",platform=\"macos\"} 20",
        "sandsift_publish_confirms_total{result=\"ack\"} 120",
        "sandsift_completions_in_progress 0",
        "sandsift_broker_state{state=\"stopped\"} 1",
    ] {
        assert!(metrics.lines().any(|given| given == line), "missing: {line}\n{metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_completions_are_dead_letters_at_the_first_attempt() {
    let fleet = Fleet::new();
    let worker = fleet.worker(|_| {}).await;
    let mut stored = completion("stored", "linux", "good");
    stored["artifacts"] = json!([{"store": "nowhere", "key": "a", "sha256": "0".repeat(64), "bytes": 1}]);
    let mut unknown = completion("unknown", "solaris", "good");
    let cases = [
        (b"not json".to_vec(), "completion-not-json"),
        (b"{}".to_vec(), "completion-invalid"),
        (stored.to_string().into_bytes(), "store-unknown"),
        (unknown.to_string().into_bytes(), "platform-unknown"),
    ];
    for (body, _) in &cases {
        fleet.publish("completion.linux.test", body).await;
    }
    // The key decides the queue, and no queue is bound for this one.
    unknown["id"] = json!("unroutable");
    fleet.publish("completion.solaris.test", unknown.to_string().as_bytes()).await;
    let letters = fleet.dead(cases.len() + 1).await;
    let mut codes: Vec<_> = letters.iter().map(|letter| letter.code.as_str()).collect();
    codes.sort_unstable();
    assert_eq!(codes, ["completion-invalid", "completion-not-json", "platform-unknown", "store-unknown", "unroutable"]);
    assert!(letters.iter().all(|letter| letter.attempts == 1 && letter.class == "permanent"), "{letters:?}");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_check_is_held_to_its_size_and_digest() {
    let fleet = Fleet::new();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.bin"), b"bytes").unwrap();
    let path = folder.path().to_path_buf();
    let worker = fleet
        .worker(move |config| {
            config.stores = [("fleet".to_owned(), sandsift_worker::config::Store::Folder { path })].into();
        })
        .await;
    let digest = "277089d91c0bdf4f2e6862ba7e4a07605119431f5d13f726dd352b06f1b206a9";
    for (id, key, sha256, bytes) in [
        ("right", "a.bin", digest, 5),
        ("digest", "a.bin", &*"0".repeat(64), 5),
        ("size", "a.bin", digest, 6),
        ("missing", "b.bin", digest, 5),
    ] {
        let mut completion = completion(id, "linux", "good");
        completion["artifacts"] = json!([{"store": "fleet", "key": key, "sha256": sha256, "bytes": bytes}]);
        fleet.produce(&completion).await;
    }
    let mut codes: Vec<_> = fleet.dead(3).await.into_iter().map(|letter| (letter.id.unwrap(), letter.code)).collect();
    codes.sort();
    let expected = [("digest", "artifact-digest"), ("missing", "artifact-missing"), ("size", "artifact-size")];
    assert_eq!(codes, expected.map(|(id, code)| (id.to_owned(), code.to_owned())));
    assert_eq!(fleet.analyses(1).await.keys().collect::<Vec<_>>(), ["right"]);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_dies_after_its_second_try_and_takes_no_neighbour_along() {
    let fleet = Fleet::new();
    let worker = fleet.worker(|_| {}).await;
    fleet.produce(&completion("poison", "linux", "panic")).await;
    for index in 0..10 {
        fleet.produce(&completion(&format!("good-{index}"), "linux", "good")).await;
    }
    let letters = fleet.dead(1).await;
    assert_eq!((letters[0].code.as_str(), letters[0].attempts), ("executor-panic", 2));
    assert_eq!(letters[0].history.len(), 2);
    assert_eq!(fleet.analyses(10).await.len(), 10);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transient_failure_is_tried_again_and_counted() {
    let fleet = Fleet::new();
    let worker = fleet.worker(|config| config.retry.attempts = 4).await;
    fleet.produce(&completion("recovers", "linux", "twice")).await;
    fleet.produce(&completion("never", "linux", "transient")).await;
    let analyses = fleet.analyses(1).await;
    assert_eq!(analyses["recovers"][0]["run"]["attempt"], 3);
    let letters = fleet.dead(1).await;
    assert_eq!((letters[0].id.as_deref(), letters[0].attempts), (Some("never"), 4));
    assert_eq!(letters[0].code, "executor-unavailable");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_session_redelivers_and_duplicates_are_equal() {
    let fleet = Fleet::new();
    let worker = fleet.worker(|_| {}).await;
    for index in 0..40 {
        fleet.produce(&completion(&format!("run-{index}"), "linux", "slow")).await;
        if index % 10 == 5 {
            fleet.broker.cut("the test cut it");
        }
    }
    let results = fleet.analyses(40).await;
    for (id, copies) in &results {
        for copy in copies {
            let (mut one, mut other) = (copies[0].clone(), copy.clone());
            one["run"] = json!(null);
            other["run"] = json!(null);
            assert_eq!(one, other, "duplicates of {id}");
        }
    }
    fleet.assert_empty().await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_acknowledged_before_its_results_are_confirmed() {
    let fleet = Fleet::new();
    let worker = fleet.worker(|config| config.limits.publish = Duration::from_millis(200)).await;
    fleet.broker.lose_confirms(3);
    fleet.place(&completion("unconfirmed", "linux", "good"));
    fleet.assert_empty().await;
    assert!(
        fleet.analyses(1).await["unconfirmed"].len() > 1,
        "published again with the same id, since it was not confirmed"
    );
    fleet.broker.nack(2);
    fleet.place(&completion("refused", "linux", "good"));
    fleet.analyses(2).await;
    fleet.broker.unbind("sandbox.results", "sandsift.results");
    fleet.produce(&completion("returned", "linux", "good")).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(fleet.broker.counts("sandsift.completions.linux"), (0, 1), "returned: still unacknowledged");
    fleet.declare();
    fleet.analyses(3).await;
    fleet.assert_empty().await;
    worker.stop().await;
    let metrics = worker.metrics.render().unwrap();
    for result in ["timeout", "nack", "returned"] {
        let zero = format!("sandsift_publish_confirms_total{{result=\"{result}\"}} 0");
        assert!(!metrics.contains(&zero), "{result} was counted");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn draining_finishes_what_was_begun_and_hands_back_the_rest() {
    let fleet = Fleet::new();
    let worker = fleet.worker(|config| (config.slots, config.prefetch) = (1, 5)).await;
    for index in 0..5 {
        fleet.produce(&completion(&format!("run-{index}"), "linux", "slow")).await;
    }
    fleet.until(|| fleet.broker.counts("sandsift.completions.linux").1 >= 4).await;
    worker.stop().await;
    assert_eq!(fleet.broker.counts("sandsift.completions.linux").1, 0, "nothing stays unacknowledged");
    let second = fleet.worker(|_| {}).await;
    let results = fleet.analyses(5).await;
    assert!(results.values().all(|copies| copies.len() == 1), "handed back unstarted, so analysed once");
    assert!(results.values().all(|copies| copies[0]["run"]["attempt"] == 1), "a hand-back is no attempt");
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_stop_leaves_at_once_and_loses_nothing() {
    let fleet = Fleet::new();
    let worker = fleet.worker(|_| {}).await;
    fleet.produce(&completion("long", "linux", "long")).await;
    fleet.until(|| fleet.broker.counts("sandsift.completions.linux").1 == 1).await;
    worker.stop.ask();
    let asked = std::time::Instant::now();
    worker.stop.ask();
    worker.ended().await;
    assert!(asked.elapsed() < Duration::from_secs(2));
    assert_eq!(fleet.broker.counts("sandsift.completions.linux"), (1, 0), "the broker has it back");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alarm_of_any_length_burns_no_delivery_limit() {
    let fleet = Fleet::new();
    let worker = fleet.worker(|config| config.blocked_patience = Duration::from_millis(300)).await;
    fleet.broker.block("disk alarm");
    fleet.place(&completion("patient", "linux", "good"));
    fleet.until(|| worker.state() == "blocked").await;
    // Longer than the patience several times over.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(fleet.broker.counts("sandsift.completions.linux"), (1, 0), "given back once, and not taken again");
    fleet.broker.unblock();
    let results = fleet.analyses(1).await;
    let attempt = results["patient"][0]["run"]["attempt"].as_u64().unwrap();
    assert!(attempt <= 2, "one delivery was given back, not many: attempt {attempt}");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_under_an_alarm_ends_by_its_deadline() {
    let fleet = Fleet::new();
    let worker = fleet.worker(|config| config.drain = Duration::from_secs(2)).await;
    fleet.broker.block("memory alarm");
    fleet.place(&completion("stuck", "linux", "good"));
    fleet.until(|| fleet.broker.counts("sandsift.completions.linux").1 == 1).await;
    let asked = std::time::Instant::now();
    worker.stop().await;
    assert!(asked.elapsed() < Duration::from_secs(6), "{:?}", asked.elapsed());
    assert_eq!(fleet.broker.counts("sandsift.completions.linux"), (1, 0), "nothing was acknowledged");
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_tell_apart_living_and_ready() {
    let fleet = Fleet::new();
    fleet.broker.stop();
    let [port] = kit::free_ports();
    let worker = fleet.start(|config: &mut Config| config.admin = Some(([127, 0, 0, 1], port).into()));
    fleet.until_async(async || kit::get(port, "/livez").await.0 == 200).await;
    let (status, body) = kit::get(port, "/readyz").await;
    assert_eq!(status, 503);
    assert!(body.contains("broker"), "{body}");
    fleet.broker.start();
    fleet.until_async(async || kit::get(port, "/readyz").await.0 == 200).await;
    fleet.produce(&completion("<script>", "linux", "good")).await;
    fleet.analyses(1).await;
    let (status, page) = kit::get(port, "/status").await;
    assert_eq!(status, 200);
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script>"), "{page}");
    assert!(kit::get(port, "/metrics").await.1.contains("sandsift_rules_loaded"));
    assert_eq!(kit::get(port, "/nowhere").await.0, 404);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_the_right_to_declare_names_what_is_missing() {
    let fleet = Fleet::bare();
    let [port] = kit::free_ports();
    let worker = fleet.start(|config: &mut Config| config.admin = Some(([127, 0, 0, 1], port).into()));
    fleet.until_async(async || kit::get(port, "/readyz").await.1.contains("queue 'sandsift.completions.linux'")).await;
    fleet.declare();
    fleet.until_async(async || kit::get(port, "/readyz").await.0 == 200).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_dead_letter_starts_anew() {
    let fleet = Fleet::new();
    let worker = fleet.worker(|config| config.retry.attempts = 1).await;
    // Fails twice, so the first replay is a dead letter again and the second comes to its analysis.
    fleet.produce(&completion("phoenix", "linux", "twice")).await;
    for _ in 0..2 {
        let letters = fleet.dead(1).await;
        assert_eq!(letters[0].attempts, 1, "attempts are forgotten by a replay");
        assert_eq!(fleet.replay_all().await, 1);
        fleet.until(|| fleet.broker.counts("sandsift.dead").0 == 0).await;
    }
    let analyses = fleet.analyses(1).await;
    assert_eq!(analyses["phoenix"][0]["run"]["attempt"], 1);
    assert!(fleet.header_of_last_result(headers::ATTEMPT).await.is_none());
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_result_loses_contexts_and_says_so() {
    let fleet = Fleet::new();
    let worker = fleet.worker(|config| config.limits.result_bytes = 20_000).await;
    fleet.produce(&completion("large", "linux", "large")).await;
    let analyses = fleet.analyses(1).await;
    let analysis = &analyses["large"][0];
    assert!(analysis.to_string().len() <= 20_000);
    let results = analysis["sigma_analysis_results"].as_array().unwrap();
    let contexts: Vec<_> = results.iter().map(|result| result["match_context"].as_array().unwrap().len()).collect();
    assert_eq!(contexts[1], 0, "those of the low rule go first");
    assert!(contexts[0] > 0, "those of the high one stay while there is room");
    assert!(results.iter().all(|result| result["count"] == 100), "counts stay exact");
    let left_out: usize = 200 - contexts.iter().sum::<usize>();
    let incomplete = &analysis["incomplete"][0];
    assert_eq!((&incomplete["code"], incomplete["count"].as_u64()), (&json!("result-size"), Some(left_out as u64)));
    worker.stop().await;
}
