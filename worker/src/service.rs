//! Owns the running worker: session after session, consumers, slots, what is in flight, and the way out. What happens to
//! one completion is the pipeline's concern.

use crate::admin::{self, View};
use crate::config::Config;
use crate::execute::Executor;
use crate::metrics::Metrics;
use crate::pipeline::Pipeline;
use crate::resolve::Stores;
use crate::shutdown::{Phase, Shutdown};
use crate::status::Board;
use sandsift_bus::{
    Backoff, ConsumeOptions, Delivery, Error, Health, Message, Properties, PublishError, Session, State, Supervisor,
    Topology, Transport, headers,
};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How long the broker may take to take leave.
const GOODBYE: Duration = Duration::from_secs(2);

/// How often the loop shows that it lives.
const TICK: Duration = Duration::from_secs(1);

/// What a worker is made of.
pub struct Setup {
    /// Its settings.
    pub config: Config,
    /// The way to its broker.
    pub transport: Arc<dyn Transport>,
    /// What turns completions into analyses.
    pub executor: Arc<dyn Executor>,
    /// Its metrics; who reloads rules counts there, too.
    pub metrics: Arc<Metrics>,
}

/// Why a worker could not run at all; everything else it waits out.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Settings that cannot work.
    #[error("the configuration cannot work: {0}")]
    Configuration(String),
    /// The admin port is taken or may not be used.
    #[error("cannot listen on {address} (worker.admin): {reason}")]
    Admin {
        /// Where.
        address: SocketAddr,
        /// Why not.
        reason: std::io::Error,
    },
}

/// Runs a worker until it is told to stop: takes completions, publishes their results, acknowledges what is confirmed.
///
/// Asked to drain, it takes nothing new, gives back what it had not begun, finishes the rest within `config.drain`, and
/// leaves; asked again, it leaves at once. What is not acknowledged by then, the broker delivers again.
pub async fn run(setup: Setup, shutdown: Shutdown) -> Result<(), RunError> {
    let Setup { config, transport, executor, metrics } = setup;
    let problems = config.problems();
    if !problems.is_empty() {
        return Err(RunError::Configuration(problems.join("; ")));
    }
    let stores = Stores::open(&config.stores).map_err(RunError::Configuration)?;
    let board = Arc::new(Board::default());
    let supervisor = Supervisor::new(transport, Backoff::default());
    let pulse = Arc::new(AtomicU64::new(headers::unix_now()));
    metrics.slots.set(i64::try_from(config.slots).unwrap_or(i64::MAX));
    let mut admin = JoinSet::new();
    if let Some(address) = config.admin {
        let (listener, bound) = admin::listen(address).await.map_err(|reason| RunError::Admin { address, reason })?;
        tracing::info!(address = %bound, "serving metrics, probes and status");
        let view = View {
            worker: config.name.clone(),
            slots: config.slots,
            metrics: Arc::clone(&metrics),
            board: Arc::clone(&board),
            executor: Arc::clone(&executor),
            state: supervisor.state(),
            pulse: Arc::clone(&pulse),
        };
        admin.spawn(admin::serve(listener, view));
    }
    let pipeline = Arc::new(Pipeline::new(&config, stores, executor, metrics, board));
    let slots = Arc::new(Semaphore::new(config.slots));
    let worker = Worker { config, supervisor, pipeline, slots, flight: JoinSet::new(), pulse, shutdown };
    worker.run().await;
    Ok(())
}

struct Worker {
    config: Config,
    supervisor: Supervisor,
    pipeline: Arc<Pipeline>,
    slots: Arc<Semaphore>,
    /// Completions that are worked on. Across sessions: what was begun runs on, though its delivery can no longer be
    /// settled, and keeps its slot until it ends.
    flight: JoinSet<()>,
    pulse: Arc<AtomicU64>,
    shutdown: Shutdown,
}

/// Why the work on a session ended.
enum End {
    /// What was asked for.
    Stop,
    /// The session is of no more use.
    Failed(Error),
    /// The broker has blocked publishing for too long.
    Blocked,
}

/// A completion and the slot that it will be worked on in.
type Begun = (Delivery, OwnedSemaphorePermit);

impl Worker {
    async fn run(mut self) {
        while self.shutdown.phase() == Phase::Run {
            let session = tokio::select! {
                () = self.shutdown.reached(Phase::Drain) => break,
                connected = connect(&mut self.supervisor, &self.pulse) => match connected {
                    Ok(session) => session,
                    Err(error) => {
                        self.note_failure(&error);
                        continue;
                    }
                },
            };
            let end = match self.prepare(session.as_ref()).await {
                Ok(true) => self.work(&session).await,
                Ok(false) => End::Stop,
                Err(error) => End::Failed(error),
            };
            match end {
                End::Stop => {}
                End::Failed(error) => self.note_failure(&error),
                End::Blocked => self.sit_out(session.as_ref()).await,
            }
            // What is under way on this session cannot be acknowledged any more, and says so when it tries.
            session.close(GOODBYE).await;
        }
        self.set_state(State::Stopped);
    }

    fn set_state(&self, state: State) {
        self.pipeline.metrics().set_state(&state);
        self.supervisor.set_state(state);
    }

    fn note_failure(&mut self, error: &Error) {
        self.pipeline.metrics().reconnects.with_label_values(&[error.code()]).inc();
        tracing::warn!(%error, "no session with the broker; trying again");
        self.supervisor.failed(&error.to_string());
        self.pipeline.metrics().set_state(&State::Connecting(None));
    }

    /// Sees to it that all is there and that the broker takes messages; false where a stop came first.
    async fn prepare(&self, session: &dyn Session) -> Result<bool, Error> {
        let mut health = session.health();
        let ready = self.make_ready(session);
        tokio::pin!(ready);
        loop {
            tokio::select! {
                () = self.shutdown.reached(Phase::Drain) => return Ok(false),
                outcome = &mut ready => return outcome.map(|()| true),
                changed = health.changed() => {
                    if changed.is_ok() && let Health::Blocked(reason) = &*health.borrow() {
                        self.set_state(State::Blocked(reason.clone()));
                    }
                }
                () = tokio::time::sleep(TICK) => self.beat(),
            }
        }
    }

    async fn make_ready(&self, session: &dyn Session) -> Result<(), Error> {
        let names = &self.config.topology;
        if self.config.declare {
            session.declare(&Topology::new(names)).await?;
        } else {
            let missing = session.missing(&Topology::of_worker(names, &self.config.platforms)).await?;
            if !missing.is_empty() {
                let list = missing.join(", ");
                let problem = format!("the broker lacks {list}; run 'sandsift topology apply' or start with --declare");
                return Err(Error::Configuration(problem));
            }
        }
        // A broker under an alarm tells so only when it is sent something. A key that nothing is bound to comes back,
        // which is all that is wanted: completions are taken only when results can be given.
        let shortest = names.retry_delays.iter().min().copied().unwrap_or_default();
        let probe = Message {
            exchange: names.retry(shortest),
            routing_key: "probe".into(),
            properties: Properties { message_id: Some("probe".into()), ..Properties::default() },
            body: Vec::new().into(),
        };
        match session.publish(vec![probe], self.config.limits.publish).await {
            Ok(_) | Err(PublishError::Returned { .. }) => Ok(()),
            Err(PublishError::Session(error)) => Err(error),
            Err(other) => Err(Error::Lost(other.to_string())),
        }
    }

    /// Works on a session until it fails or a stop is asked for.
    async fn work(&mut self, session: &Arc<dyn Session>) -> End {
        let (sender, mut begun) = mpsc::channel::<Begun>(1);
        let mut takers = JoinSet::new();
        for platform in &self.config.platforms {
            let taker = Taker {
                session: Arc::clone(session),
                queue: self.config.topology.queue(platform),
                prefetch: self.config.prefetch(),
                slots: Arc::clone(&self.slots),
                pipeline: Arc::clone(&self.pipeline),
                begun: sender.clone(),
                shutdown: self.shutdown.clone(),
            };
            takers.spawn(taker.run());
        }
        drop(sender);
        self.supervisor.succeeded();
        self.set_state(State::Running);
        tracing::info!(platforms = %self.config.platforms.join(","), slots = self.config.slots, "taking completions");

        let mut health = session.health();
        let mut blocked_since: Option<Instant> = None;
        let mut draining: Option<Instant> = None;
        let mut tick = tokio::time::interval(TICK);
        loop {
            let drained = draining.is_some() && takers.is_empty() && begun.is_empty() && self.flight.is_empty();
            if drained {
                tracing::info!("drained: nothing is in flight");
                return End::Stop;
            }
            tokio::select! {
                Some((delivery, slot)) = begun.recv() => self.begin(session, delivery, slot),
                Some(done) = self.flight.join_next() => note_panic(done),
                Some(taker) = takers.join_next() => match taker {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return End::Failed(error),
                    Err(panic) => return End::Failed(Error::Lost(format!("a consumer panicked: {panic}"))),
                },
                changed = health.changed() => {
                    let now = if changed.is_ok() { health.borrow_and_update().clone() } else { Health::Lost("the session was dropped".into()) };
                    match now {
                        Health::Lost(reason) => return End::Failed(Error::Lost(reason)),
                        Health::Blocked(reason) => {
                            tracing::warn!(%reason, "the broker blocks publishing");
                            blocked_since.get_or_insert_with(Instant::now);
                            self.set_state(State::Blocked(reason));
                        }
                        Health::Open => {
                            blocked_since = None;
                            self.set_state(if draining.is_some() { State::Draining } else { State::Running });
                        }
                    }
                }
                () = self.shutdown.reached(Phase::Drain), if draining.is_none() => {
                    draining = Some(Instant::now() + self.config.drain);
                    self.set_state(State::Draining);
                    tracing::info!(in_flight = self.flight.len(), "draining");
                }
                () = self.shutdown.reached(Phase::Leave) => {
                    tracing::warn!(in_flight = self.flight.len(), "leaving at once; the broker will deliver again what was begun");
                    self.flight.abort_all();
                    return End::Stop;
                }
                _ = tick.tick() => {
                    self.beat();
                    if draining.is_some_and(|deadline| Instant::now() >= deadline) {
                        tracing::warn!(in_flight = self.flight.len(), "the time to drain is over; the broker will deliver again what was begun");
                        self.flight.abort_all();
                        return End::Stop;
                    }
                    if blocked_since.is_some_and(|since| since.elapsed() >= self.config.blocked_patience) && draining.is_none() {
                        return End::Blocked;
                    }
                }
            }
        }
    }

    fn begin(&mut self, session: &Arc<dyn Session>, delivery: Delivery, slot: OwnedSemaphorePermit) {
        let (session, pipeline) = (Arc::clone(session), Arc::clone(&self.pipeline));
        self.flight.spawn(async move {
            let gauge = InProgress::new(&pipeline);
            pipeline.handle(session.as_ref(), delivery).await;
            drop((gauge, slot));
        });
    }

    /// Gives everything back once, by ending what consumes, and waits until the broker takes messages again: under an
    /// alarm of hours, no completion may burn its delivery limit.
    async fn sit_out(&mut self, session: &dyn Session) {
        tracing::warn!(
            "the broker has blocked publishing for long; giving completions back until it takes messages again"
        );
        self.flight.abort_all();
        session.stop_consuming().await;
        let mut health = session.health();
        loop {
            let over = !matches!(&*health.borrow_and_update(), Health::Blocked(_));
            if over {
                return;
            }
            tokio::select! {
                changed = health.changed() => if changed.is_err() { return },
                () = self.shutdown.reached(Phase::Drain) => return,
                Some(done) = self.flight.join_next() => note_panic(done),
                () = tokio::time::sleep(TICK) => self.beat(),
            }
        }
    }

    fn beat(&self) {
        self.pulse.store(headers::unix_now(), Ordering::Relaxed);
    }
}

/// Waits for a session, showing that the loop lives.
async fn connect(supervisor: &mut Supervisor, pulse: &AtomicU64) -> Result<Arc<dyn Session>, Error> {
    let connected = supervisor.connect();
    tokio::pin!(connected);
    loop {
        tokio::select! {
            outcome = &mut connected => return outcome,
            () = tokio::time::sleep(TICK) => pulse.store(headers::unix_now(), Ordering::Relaxed),
        }
    }
}

fn note_panic(done: Result<(), tokio::task::JoinError>) {
    if let Err(error) = done
        && error.is_panic()
    {
        // Its delivery is unacknowledged and comes again; the delivery limit ends it.
        tracing::error!(%error, "working on a completion panicked");
    }
}

/// Counts a completion as in progress for as long as it lives, however it ends.
struct InProgress<'a>(&'a Pipeline);

impl<'a> InProgress<'a> {
    fn new(pipeline: &'a Pipeline) -> Self {
        pipeline.metrics().in_progress.inc();
        Self(pipeline)
    }
}

impl Drop for InProgress<'_> {
    fn drop(&mut self) {
        self.0.metrics().in_progress.dec();
    }
}

/// Takes completions from one queue and gives each a slot.
struct Taker {
    session: Arc<dyn Session>,
    queue: String,
    prefetch: u16,
    slots: Arc<Semaphore>,
    pipeline: Arc<Pipeline>,
    begun: mpsc::Sender<Begun>,
    shutdown: Shutdown,
}

impl Taker {
    async fn run(self) -> Result<(), Error> {
        let options = ConsumeOptions { prefetch: self.prefetch, offset: None };
        let mut consumer = self.session.consume(&self.queue, &options).await?;
        loop {
            let next = tokio::select! {
                biased;
                () = self.shutdown.reached(Phase::Drain) => break,
                next = consumer.next() => next?,
            };
            let Some(delivery) = next else { break };
            let slot = tokio::select! {
                biased;
                () = self.shutdown.reached(Phase::Drain) => None,
                slot = Arc::clone(&self.slots).acquire_owned() => slot.ok(),
            };
            let Some(slot) = slot else {
                self.pipeline.hand_back(self.session.as_ref(), delivery).await;
                break;
            };
            if self.begun.send((delivery, slot)).await.is_err() {
                // The loop is gone, and the session with it.
                return Ok(());
            }
        }
        consumer.cancel().await?;
        // What the broker had sent already and nobody began goes back by a confirmed republish: to refuse it would
        // count as a delivery.
        while let Some(delivery) = consumer.next().await? {
            self.pipeline.hand_back(self.session.as_ref(), delivery).await;
        }
        Ok(())
    }
}
