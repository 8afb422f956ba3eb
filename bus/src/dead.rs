//! Owns what an operator does with dead letters: list, show, replay, drop. The queue is the only store: what is looked
//! at is taken unacknowledged and given back when the session ends.

use crate::headers::{self, Failed};
use crate::message::validate::PLATFORMS;
use crate::topology::Names;
use crate::transport::{Delivery, Error, Message, PublishError, Session};
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;

/// A dead letter without its body.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Letter {
    /// The completion's id, where the message or its body tells it.
    pub id: Option<String>,
    /// Why: a worker's code, or one derived from what the broker tells (`unroutable`, `delivery-limit`, `expired`,
    /// `rejected`, `maxlen`).
    pub code: String,
    /// `transient`, `permanent`, `poison`.
    pub class: String,
    /// In words.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u64,
    /// The queue that a replay goes to; absent where none is known for it.
    pub queue: Option<String>,
    /// The digest of rules and settings that it was last tried with.
    pub digest: Option<String>,
    /// The worker that gave it up.
    pub worker: Option<String>,
    /// When, in seconds since 1970.
    pub time: Option<u64>,
    /// The key that it was first published with, as far as it is known.
    pub routing_key: String,
    /// The failed attempts, oldest first.
    pub history: Vec<Failed>,
    /// Bytes of its body.
    pub bytes: usize,
}

/// Which dead letters are meant.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Only the one of this completion.
    pub id: Option<String>,
    /// Only those with this code.
    pub code: Option<String>,
    /// At most so many.
    pub limit: Option<usize>,
}

impl Selection {
    fn takes(&self, letter: &Letter) -> bool {
        self.id.as_ref().is_none_or(|id| letter.id.as_ref() == Some(id))
            && self.code.as_ref().is_none_or(|code| *code == letter.code)
    }
}

/// How to replay.
#[derive(Debug, Clone, Default)]
pub struct Replay {
    /// Only tell what would be done.
    pub dry_run: bool,
    /// At most so many a second; 0 is no limit.
    pub rate: u32,
}

/// What became of a letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Outcome {
    /// It is on its way back to its queue.
    Replayed {
        /// Which.
        queue: String,
    },
    /// It would be.
    WouldReplay {
        /// Where to.
        queue: String,
    },
    /// It is gone.
    Dropped,
    /// It would be.
    WouldDrop,
    /// It stays, and why.
    Kept {
        /// In words.
        reason: String,
    },
}

/// Why an operation ended early; what was done before stays done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeadError {
    /// The session failed.
    #[error(transparent)]
    Session(#[from] Error),
    /// A replay was not confirmed; the letter is still there.
    #[error("replay not confirmed: {0}")]
    Publish(#[from] PublishError),
}

/// How long the broker has to confirm a replay.
const CONFIRM: Duration = Duration::from_secs(30);

/// Reads the dead letters that a session may see. All that is taken is given back when the session ends, so an
/// operation is best given a session of its own.
#[derive(Debug)]
pub struct DeadLetters<'a> {
    session: &'a dyn Session,
    names: &'a Names,
}

impl<'a> DeadLetters<'a> {
    /// Looks after the dead letters of a topology.
    pub fn new(session: &'a dyn Session, names: &'a Names) -> Self {
        Self { session, names }
    }

    /// How many there are.
    pub async fn count(&self) -> Result<u64, Error> {
        self.session.depth(&self.names.dead).await
    }

    /// Hands every chosen letter to `see`, with its body, oldest first.
    pub async fn each(
        &self,
        selection: &Selection,
        mut see: impl FnMut(&Letter, &[u8], &serde_json::Map<String, Value>),
    ) -> Result<usize, Error> {
        let mut seen = 0;
        for _ in 0..self.count().await? {
            if selection.limit.is_some_and(|limit| seen >= limit) {
                break;
            }
            let Some(delivery) = self.session.get(&self.names.dead).await? else { break };
            let letter = read(&delivery, self.names);
            if selection.takes(&letter) {
                see(&letter, &delivery.body, &delivery.properties.headers);
                seen += 1;
            }
        }
        Ok(seen)
    }

    /// Sends chosen letters back to the queues that they came from, by the shortest retry, without their history, each
    /// taken from the dead letters only after its copy was confirmed.
    pub async fn replay(
        &self,
        selection: &Selection,
        how: &Replay,
        mut tell: impl FnMut(&Letter, &Outcome),
    ) -> Result<usize, DeadError> {
        let pause = if how.rate == 0 { Duration::ZERO } else { Duration::from_secs(1) / how.rate };
        let mut done = 0;
        for _ in 0..self.count().await? {
            if selection.limit.is_some_and(|limit| done >= limit) {
                break;
            }
            let Some(delivery) = self.session.get(&self.names.dead).await? else { break };
            let letter = read(&delivery, self.names);
            if !selection.takes(&letter) {
                continue;
            }
            let outcome = match (&letter.queue, how.dry_run) {
                (None, _) => Outcome::Kept { reason: "no queue is known for its platform".into() },
                (Some(queue), true) => Outcome::WouldReplay { queue: queue.clone() },
                (Some(queue), false) => {
                    let message = replayed(&delivery, queue, self.names);
                    let _confirmed = self.session.publish(vec![message], CONFIRM).await?;
                    delivery.settle.ack().await?;
                    tokio::time::sleep(pause).await;
                    Outcome::Replayed { queue: queue.clone() }
                }
            };
            done += usize::from(!matches!(outcome, Outcome::Kept { .. }));
            tell(&letter, &outcome);
        }
        Ok(done)
    }

    /// Removes chosen letters for good.
    pub async fn discard(
        &self,
        selection: &Selection,
        dry_run: bool,
        mut tell: impl FnMut(&Letter, &Outcome),
    ) -> Result<usize, DeadError> {
        let mut done = 0;
        for _ in 0..self.count().await? {
            if selection.limit.is_some_and(|limit| done >= limit) {
                break;
            }
            let Some(delivery) = self.session.get(&self.names.dead).await? else { break };
            let letter = read(&delivery, self.names);
            if !selection.takes(&letter) {
                continue;
            }
            if !dry_run {
                delivery.settle.ack().await?;
            }
            done += 1;
            tell(&letter, if dry_run { &Outcome::WouldDrop } else { &Outcome::Dropped });
        }
        Ok(done)
    }
}

fn replayed(delivery: &Delivery, queue: &str, names: &Names) -> Message {
    let mut properties = headers::again(&delivery.properties);
    headers::forget(&mut properties);
    let shortest = names.retry_delays.iter().min().copied();
    Message {
        exchange: shortest.map(|delay| names.retry(delay)).unwrap_or_default(),
        routing_key: queue.to_owned(),
        properties,
        body: delivery.body.clone(),
    }
}

/// Reads a letter: from our own headers where a worker wrote it, else from what the broker and the body tell.
fn read(delivery: &Delivery, names: &Names) -> Letter {
    let headers = &delivery.properties.headers;
    let text = |name: &str| delivery.header(name).map(str::to_owned);
    let death = headers.get("x-death").and_then(|deaths| deaths.get(0));
    let body: Option<Value> = serde_json::from_slice(&delivery.body).ok();
    let data = body.as_ref().map(|body| if body.get("specversion").is_some() { &body["data"] } else { body });
    let of_body = |name: &str| data.and_then(|data| data.get(name)).and_then(Value::as_str).map(str::to_owned);
    let from_broker = || match death.and_then(|death| death.get("reason")).and_then(Value::as_str) {
        Some("delivery_limit") => ("delivery-limit", "poison", "was delivered too often without an answer"),
        Some("expired") => ("expired", "transient", "waited longer than its queue allows"),
        Some("maxlen") => ("maxlen", "transient", "its queue was full"),
        Some(_) => ("rejected", "permanent", "was rejected by a consumer"),
        None => ("unroutable", "permanent", "no queue is bound for its routing key"),
    };
    let (code, class, reason) = from_broker();
    let known = |queue: &String| names.platform_of(queue).is_some_and(|platform| PLATFORMS.contains(&platform));
    let death_text = |name: &str| death.and_then(|death| death.get(name)).and_then(Value::as_str).map(str::to_owned);
    let platform = of_body("platform").filter(|platform| PLATFORMS.contains(&platform.as_str()));
    Letter {
        id: of_body("id").or_else(|| delivery.properties.message_id.clone()),
        code: text(headers::CODE).unwrap_or_else(|| code.into()),
        class: text(headers::CLASS).unwrap_or_else(|| class.into()),
        reason: text(headers::REASON).unwrap_or_else(|| reason.into()),
        attempts: headers::attempt(delivery),
        queue: text(headers::QUEUE)
            .or_else(|| death_text("queue"))
            .filter(known)
            .or_else(|| platform.map(|platform| names.queue(&platform))),
        digest: text(headers::DIGEST),
        worker: text(headers::WORKER),
        time: delivery
            .header_number(headers::TIME)
            .or_else(|| death.and_then(|death| death.get("time")).and_then(Value::as_u64)),
        routing_key: death
            .and_then(|death| death.get("routing-keys"))
            .and_then(|keys| keys.get(0))
            .and_then(Value::as_str)
            .map_or_else(|| delivery.routing_key.clone(), str::to_owned),
        history: headers::history(headers),
        bytes: delivery.body.len(),
    }
}
