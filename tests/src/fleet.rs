//! Owns a fleet on a real broker, and the oracle that judges it: completions with known answers go in, and what comes out
//! must be each answer, equal in all but `run`, or a dead letter where one is due.

use crate::broker::{Broker, free_ports};
use sandsift_bus::amqp::{Amqp, Options};
use sandsift_bus::dead::{DeadLetters, Letter, Selection};
use sandsift_bus::message::Completion;
use sandsift_bus::{ConsumeOptions, Message, Names, Properties, Session, StreamOffset, Topology, Transport, id};
use sandsift_worker::execute::{Executor, Job, Threads};
use sandsift_worker::sources::Assembly;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const CONFIRM: Duration = Duration::from_secs(30);

/// A sample completion, ready to be issued under any id.
struct Template {
    completion: Value,
    artifacts: Vec<Vec<u8>>,
}

/// A fleet of worker processes on a broker of its own.
pub struct Fleet {
    /// The broker.
    pub broker: Broker,
    /// The names that all use.
    pub names: Names,
    store: tempfile::TempDir,
    templates: Vec<Template>,
    executor: Threads,
    /// What must come out, by completion: the analysis without `run`.
    expected: BTreeMap<String, Value>,
    program: PathBuf,
}

/// One worker process.
pub struct Worker {
    child: Child,
    /// Its admin port.
    pub admin: u16,
}

impl Worker {
    /// Sends it a signal.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args(["-s", signal, &self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill -{signal}");
    }

    /// Waits for its end; panics where that takes longer than it may.
    pub fn ended(&mut self, within: Duration) -> ExitStatus {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait().expect("its status") {
                return status;
            }
            assert!(Instant::now() < deadline, "the worker did not end within {within:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What `/metrics` says of one series, written as there.
    pub async fn metric(&self, series: &str) -> Option<f64> {
        let text = get(self.admin, "/metrics").await.1;
        text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Fleet {
    /// Starts a broker with the topology; `None` where there is no RabbitMQ. `program` is the worker's.
    pub async fn start(test: &str, program: &str) -> Option<Self> {
        let broker = Broker::start(test)?;
        let engine = Assembly { shipped: true, ..Assembly::default() }.assemble().engine;
        let delays = [Duration::from_millis(500), Duration::from_secs(2)].to_vec();
        let fleet = Self {
            broker,
            names: Names { retry_delays: delays, ..Names::default() },
            store: tempfile::tempdir().expect("a folder for the store"),
            templates: templates(),
            executor: Threads::new(engine),
            expected: BTreeMap::new(),
            program: program.into(),
        };
        fleet.declare().await;
        Some(fleet)
    }

    /// Declares the topology, again where something of it was deleted.
    pub async fn declare(&self) {
        self.session().await.declare(&Topology::new(&self.names)).await.expect("the topology");
    }

    /// A session of the operator.
    pub async fn session(&self) -> Arc<dyn Session> {
        let options = Options { uris: vec![self.broker.uri()], ..Options::default() };
        let amqp = Amqp::new(options).expect("an address");
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            match amqp.connect().await {
                Ok(session) => return session,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// Starts a worker that reaches the broker by an address.
    pub fn worker(&self, uri: &str, settings: &[(&str, &str)]) -> Worker {
        let [admin] = free_ports();
        let mut command = Command::new(&self.program);
        command
            .env("FLEET_URI", uri)
            .env("FLEET_STORE", self.store.path())
            .env("FLEET_ADMIN", admin.to_string())
            .envs(settings.iter().copied())
            .stdin(Stdio::null());
        Worker { child: command.spawn().expect("a worker process"), admin }
    }

    /// Publishes so many completions, confirmed, of all sample stories in turn.
    pub async fn issue(&mut self, count: usize) {
        let session = self.session().await;
        let mut batch = Vec::new();
        for _ in 0..count {
            let number = self.expected.len();
            let template = &self.templates[number % self.templates.len()];
            let mut completion = template.completion.clone();
            completion["id"] = json!(format!("issued-{number}"));
            completion["artifacts"] = claim_checks(self.store.path(), &template.artifacts, &completion["artifacts"]);
            let body = completion.to_string();
            let parsed = Completion::from_body(body.as_bytes()).expect("a sound completion");
            let platform = parsed.platform.clone();
            let sandbox = parsed.sandbox.name.clone();
            let id = parsed.id.clone();
            let job = Job {
                completion: parsed,
                artifacts: template.artifacts.clone(),
                attempt: 1,
                logsource: None,
                worker: "oracle".into(),
                input: "oracle".into(),
            };
            let analysis = self.executor.execute(job).expect("an answer");
            self.expected.insert(id, without_run(serde_json::to_value(analysis).expect("JSON")));
            batch.push(Message {
                exchange: self.names.completions.clone(),
                routing_key: Names::completion_key(&platform, &sandbox),
                properties: Properties::default(),
                body: Arc::from(body.as_bytes()),
            });
            if batch.len() == 100 {
                let _confirmed = session.publish(std::mem::take(&mut batch), CONFIRM).await.expect("confirmed");
            }
        }
        if !batch.is_empty() {
            let _confirmed = session.publish(batch, CONFIRM).await.expect("confirmed");
        }
    }

    /// How many completions have an analysis by now.
    pub async fn analysed(&self) -> usize {
        self.results().await.0.len()
    }

    /// Waits until so many completions have an analysis.
    pub async fn until_analysed(&self, count: usize, within: Duration) {
        let deadline = Instant::now() + within;
        loop {
            let now = self.analysed().await;
            if now >= count {
                return;
            }
            assert!(Instant::now() < deadline, "{now} of {count} completions are analysed after {within:?}");
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// Judges all that came out; tells how many duplicates there were.
    pub async fn judge(&self, within: Duration) -> usize {
        self.until_analysed(self.expected.len(), within).await;
        let (analyses, matches) = self.results().await;
        let issued: BTreeSet<_> = self.expected.keys().collect();
        assert_eq!(analyses.keys().collect::<BTreeSet<_>>(), issued, "conservation: each completion, and no other");
        let mut duplicates = 0;
        for (id, copies) in &analyses {
            for copy in copies {
                assert_eq!(*copy, self.expected[id], "integrity: {id}");
            }
            duplicates += copies.len() - 1;
            let digest = copies[0]["ruleset"]["digest"].as_str().unwrap_or_default();
            for result in copies[0]["sigma_analysis_results"].as_array().into_iter().flatten() {
                let rule = result["rule_id"].as_str().unwrap_or_default();
                let wanted = id::matched(id, digest, rule).to_string();
                assert!(matches.contains(&wanted), "the match of {rule} in {id} was published");
            }
        }
        assert_eq!(self.dead().await, [], "no dead letters");
        for platform in ["windows", "linux", "macos"] {
            let queue = self.names.queue(platform);
            let depth = self.session().await.depth(&queue).await.expect("a depth");
            assert_eq!(depth, 0, "nothing waits in {queue}");
        }
        duplicates
    }

    /// All dead letters.
    pub async fn dead(&self) -> Vec<Letter> {
        let session = self.session().await;
        let mut letters = Vec::new();
        let dead = DeadLetters::new(session.as_ref(), &self.names);
        dead.each(&Selection::default(), |letter, _, _| letters.push(letter.clone())).await.expect("dead letters");
        letters
    }

    /// Every analysis by completion, without `run`, and the ids of all match events.
    async fn results(&self) -> (BTreeMap<String, Vec<Value>>, BTreeSet<String>) {
        let session = self.session().await;
        let (mut analyses, mut matches) = (BTreeMap::<String, Vec<Value>>::new(), BTreeSet::new());
        let options = ConsumeOptions { prefetch: 500, offset: Some(StreamOffset::First) };
        let Ok(mut consumer) = session.consume(&self.names.stream, &options).await else { return (analyses, matches) };
        // The stream tells no end: silence does.
        while let Ok(Ok(Some(delivery))) = tokio::time::timeout(Duration::from_millis(700), consumer.next()).await {
            let event: Value = serde_json::from_slice(&delivery.body).expect("JSON");
            if delivery.routing_key.starts_with("analysis.") {
                let id = event["data"]["completion"]["id"].as_str().unwrap_or_default().to_owned();
                analyses.entry(id).or_default().push(without_run(event["data"].clone()));
            } else {
                matches.insert(event["id"].as_str().unwrap_or_default().to_owned());
            }
            let _ = delivery.settle.ack().await;
        }
        (analyses, matches)
    }
}

/// The samples that ship, with the files that they name.
fn templates() -> Vec<Template> {
    let samples = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../producer/samples");
    let mut templates = Vec::new();
    for platform in ["windows", "linux", "macos"] {
        let mut folders: Vec<_> = std::fs::read_dir(samples.join(platform))
            .expect("samples")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        folders.sort();
        for folder in folders {
            let text = std::fs::read(folder.join("completion.json")).expect("completion.json");
            let completion: Value = serde_json::from_slice(&text).expect("JSON");
            let files = completion["artifacts"].as_array().into_iter().flatten();
            let artifacts = files.map(|artifact| {
                let file = artifact["file"].as_str().expect("a file's name");
                std::fs::read(folder.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
            });
            templates.push(Template { artifacts: artifacts.collect(), completion: completion.clone() });
        }
    }
    templates
}

/// Puts artifacts into the store, by their digests, and gives the claim checks.
fn claim_checks(store: &Path, artifacts: &[Vec<u8>], given: &Value) -> Value {
    let given = given.as_array().into_iter().flatten();
    let checks = given.zip(artifacts).map(|(artifact, bytes)| {
        let digest = sha256(bytes);
        let path = store.join(&digest);
        if !path.exists() {
            std::fs::write(&path, bytes).expect("a file in the store");
        }
        json!({"kind": artifact["kind"], "store": "fleet", "key": digest, "sha256": digest, "bytes": bytes.len()})
    });
    checks.collect()
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn without_run(mut analysis: Value) -> Value {
    if let Some(analysis) = analysis.as_object_mut() {
        analysis.remove("run");
    }
    analysis
}

/// Asks an admin port; 0 where nothing answers.
pub async fn get(port: u16, path: &str) -> (u16, String) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
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
