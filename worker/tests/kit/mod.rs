//! A fleet on the in-memory twin: workers with an executor that does what a completion's sample asks of it.

use sandsift_bus::dead::{DeadLetters, Letter, Replay, Selection};
use sandsift_bus::memory::Broker;
use sandsift_bus::message::{Analysis, CompletionRef, MatchContext, RuleResult, RuleSetRef, RunInfo, Stats};
use sandsift_bus::{ConsumeOptions, Message, Names, Properties, Session, StreamOffset, Topology, Transport, id};
use sandsift_worker::execute::{ExecuteError, Executor, Job};
use sandsift_worker::{Config, Metrics, Setup, Shutdown, Stop};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(30);
const DIGEST: &str = "d1";

/// A completion whose sample's name says what the executor does with it.
pub fn completion(id: &str, platform: &str, what: &str) -> Value {
    json!({"id": id, "platform": platform, "sample": {"sha256": "a".repeat(64), "name": what}, "sandbox": {"name": "test"},
           "artifacts": [{"kind": "ndjson", "inline": {}}]})
}

/// Ports that nothing listens on.
pub fn free_ports<const N: usize>() -> [u16; N] {
    let listeners: [std::net::TcpListener; N] =
        std::array::from_fn(|_| std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

/// Asks an admin port; 0 where nothing answers.
pub async fn get(port: u16, path: &str) -> (u16, String) {
    let ask = async {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let Ok(answer) = ask.await else { return (0, String::new()) };
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

#[derive(Default)]
struct Obedient {
    tries: Mutex<HashMap<String, u32>>,
}

impl Executor for Obedient {
    fn execute(&self, job: Job) -> Result<Analysis, ExecuteError> {
        let what = job.completion.sample.name.clone().unwrap_or_default();
        let tries = {
            let mut all = self.tries.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let tries = all.entry(job.completion.id.clone()).or_default();
            *tries += 1;
            *tries
        };
        match what.as_str() {
            "panic" => panic!("as asked"),
            "transient" => return Err(ExecuteError::new("executor-unavailable", "as asked")),
            "twice" if tries <= 2 => return Err(ExecuteError::new("executor-unavailable", "as asked")),
            "slow" => std::thread::sleep(Duration::from_millis(60)),
            "long" => std::thread::sleep(Duration::from_secs(4)),
            _ => {}
        }
        Ok(analysis(&job, if what == "large" { 100 } else { 1 }))
    }

    fn ruleset(&self) -> RuleSetRef {
        RuleSetRef { digest: DIGEST.into(), rules: 2 }
    }
}

fn analysis(job: &Job, contexts: usize) -> Analysis {
    let completion = &job.completion;
    let levels: &[&str] = if contexts > 1 { &["high", "low"] } else { &["high"] };
    let result = |(index, level): (usize, &&str)| RuleResult {
        rule_id: format!("00000000-0000-0000-0000-00000000000{index}"),
        rule_title: "a rule".into(),
        rule_level: (*level).into(),
        rule_source: "test".into(),
        rule_description: String::new(),
        rule_author: String::new(),
        count: contexts as u64,
        origins: [("sample".to_owned(), contexts as u64)].into(),
        cross_platform: false,
        rule: json!({"logsource": {"category": "process_creation"}}),
        match_context: (0..contexts)
            .map(|number| MatchContext {
                values: Map::from_iter([("CommandLine".to_owned(), json!("x".repeat(100)))]),
                artifact: 0,
                channel: None,
                record_id: Some(number as u64),
                time: None,
                logsource: json!({}),
                origin: "sample".into(),
                matched: Vec::new(),
            })
            .collect(),
    };
    Analysis {
        id: id::analysis(&completion.id, DIGEST).to_string(),
        completion: CompletionRef { id: completion.id.clone(), ..CompletionRef::default() },
        sample: completion.sample.clone(),
        platform: completion.platform.clone(),
        sandbox: completion.sandbox.clone(),
        sigma_analysis_results: levels.iter().enumerate().map(result).collect(),
        sigma_analysis_stats: Stats { high: 1, ..Stats::default() },
        sigma_analysis_summary: BTreeMap::new(),
        informational: 0,
        stats_by_origin: BTreeMap::new(),
        events: json!({"total": 1}),
        incomplete: Vec::new(),
        artifacts: Vec::new(),
        ruleset: RuleSetRef { digest: DIGEST.into(), rules: 2 },
        behaviour: None,
        run: RunInfo { worker: job.worker.clone(), attempt: job.attempt, ..RunInfo::default() },
    }
}

/// A broker with the topology, and what a test does with it.
pub struct Fleet {
    pub broker: Broker,
    pub names: Names,
    executor: Arc<Obedient>,
}

/// A worker of the fleet.
pub struct Worker {
    pub stop: Stop,
    pub metrics: Arc<Metrics>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Worker {
    /// Drains it and waits for its end.
    pub async fn stop(&self) {
        self.stop.ask();
        self.ended().await;
    }

    pub async fn ended(&self) {
        let task = self.task.lock().unwrap().take();
        if let Some(task) = task {
            tokio::time::timeout(PATIENCE, task).await.expect("it ends in time").expect("without a panic");
        }
    }

    /// Where its link to the broker stands.
    pub fn state(&self) -> String {
        let metrics = self.metrics.render().unwrap();
        let line = metrics.lines().find(|line| line.starts_with("sandsift_broker_state{") && line.ends_with(" 1"));
        line.and_then(|line| line.split('"').nth(1)).unwrap_or_default().to_owned()
    }
}

impl Fleet {
    /// With the topology declared.
    pub fn new() -> Self {
        let fleet = Self::bare();
        fleet.declare();
        fleet
    }

    /// Without a topology.
    pub fn bare() -> Self {
        let names = Names { retry_delays: [30, 60].map(Duration::from_millis).to_vec(), ..Names::default() };
        Self { broker: Broker::new(), names, executor: Arc::default() }
    }

    pub fn declare(&self) {
        self.broker.declare(&Topology::new(&self.names)).unwrap();
    }

    /// Starts a worker and waits until it takes completions.
    pub async fn worker(&self, change: impl FnOnce(&mut Config)) -> Worker {
        let worker = self.start(change);
        self.until(|| worker.state() == "running").await;
        worker
    }

    /// Starts a worker.
    pub fn start(&self, change: impl FnOnce(&mut Config)) -> Worker {
        let mut config = Config { topology: self.names.clone(), slots: 4, admin: None, ..Config::default() };
        change(&mut config);
        let metrics = Arc::new(Metrics::new().unwrap());
        let setup = Setup {
            config,
            transport: Arc::new(self.broker.clone()),
            executor: self.executor.clone(),
            metrics: Arc::clone(&metrics),
        };
        let (stop, shutdown) = Shutdown::new();
        let task = tokio::spawn(async move { sandsift_worker::run(setup, shutdown).await.expect("it can run") });
        Worker { stop, metrics, task: Mutex::new(Some(task)) }
    }

    async fn session(&self) -> Arc<dyn Session> {
        self.broker.connect().await.unwrap()
    }

    /// Publishes a completion under its platform's key.
    pub async fn produce(&self, completion: &Value) {
        let key = format!("completion.{}.test", completion["platform"].as_str().unwrap());
        self.publish(&key, completion.to_string().as_bytes()).await;
    }

    pub async fn publish(&self, key: &str, body: &[u8]) {
        let message = Message {
            exchange: self.names.completions.clone(),
            routing_key: key.into(),
            properties: Properties::default(),
            body: body.into(),
        };
        // The tests cut sessions on purpose.
        for _ in 0..100 {
            let session = self.session().await;
            if session.publish(vec![message.clone()], PATIENCE).await.is_ok() {
                return;
            }
        }
        panic!("a completion could not be published");
    }

    /// Puts a completion into its queue past all faults of publishing.
    pub fn place(&self, completion: &Value) {
        let queue = self.names.queue(completion["platform"].as_str().unwrap());
        self.broker.place(&queue, completion.to_string().as_bytes());
    }

    /// Waits until the stream holds analyses of so many completions; all copies by completion.
    pub async fn analyses(&self, count: usize) -> BTreeMap<String, Vec<Value>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut results = BTreeMap::<String, Vec<Value>>::new();
            for (key, event) in self.stream().await {
                if key.starts_with("analysis.") {
                    let data = event["data"].clone();
                    results.entry(data["completion"]["id"].as_str().unwrap().into()).or_default().push(data);
                }
            }
            if results.len() >= count {
                return results;
            }
            assert!(Instant::now() < deadline, "{} of {count} analyses", results.len());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub async fn stream_keys(&self, prefix: &str) -> Vec<String> {
        self.stream().await.into_iter().map(|(key, _)| key).filter(|key| key.starts_with(prefix)).collect()
    }

    async fn stream(&self) -> Vec<(String, Value)> {
        let session = self.session().await;
        let waiting = session.depth(&self.names.stream).await.unwrap();
        let options = ConsumeOptions { prefetch: 1000, offset: Some(StreamOffset::First) };
        let mut consumer = session.consume(&self.names.stream, &options).await.unwrap();
        let mut messages = Vec::new();
        for _ in 0..waiting {
            let Ok(Some(delivery)) = consumer.next().await else { break };
            messages.push((delivery.routing_key.clone(), serde_json::from_slice(&delivery.body).unwrap()));
            let _ = delivery.settle.ack().await;
        }
        messages
    }

    /// A header of the newest result.
    pub async fn header_of_last_result(&self, name: &str) -> Option<Value> {
        let session = self.session().await;
        let options = ConsumeOptions { prefetch: 1, offset: Some(StreamOffset::Last) };
        let mut consumer = session.consume(&self.names.stream, &options).await.unwrap();
        let delivery = consumer.next().await.unwrap().unwrap();
        delivery.properties.headers.get(name).cloned()
    }

    /// Waits until there are so many dead letters.
    pub async fn dead(&self, count: usize) -> Vec<Letter> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let session = self.session().await;
            let mut letters = Vec::new();
            let dead = DeadLetters::new(session.as_ref(), &self.names);
            dead.each(&Selection::default(), |letter, _, _| letters.push(letter.clone())).await.unwrap();
            if letters.len() >= count {
                return letters;
            }
            assert!(Instant::now() < deadline, "{} of {count} dead letters: {letters:?}", letters.len());
            drop(session);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub async fn replay_all(&self) -> usize {
        let session = self.session().await;
        let dead = DeadLetters::new(session.as_ref(), &self.names);
        dead.replay(&Selection::default(), &Replay::default(), |_, _| {}).await.unwrap()
    }

    /// Waits until no completion waits or is under way, and sees that none is a dead letter.
    pub async fn assert_empty(&self) {
        for platform in ["windows", "linux", "macos"] {
            self.until(|| self.broker.counts(&self.names.queue(platform)) == (0, 0)).await;
        }
        assert_eq!(self.broker.counts(&self.names.dead).0, 0, "no dead letters");
    }

    pub async fn until(&self, holds: impl Fn() -> bool) {
        self.until_async(async || holds()).await;
    }

    pub async fn until_async(&self, holds: impl AsyncFn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds().await {
            assert!(Instant::now() < deadline, "it did not come to hold in time");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
