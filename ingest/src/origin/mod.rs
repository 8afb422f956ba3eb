//! Owns the question of who caused what: the process tree of a run, rebuilt from its events, and the origin of each.
//!
//! A [`Tracker`] sees every event of a completion as it is read and hands out an [`Actor`] for it; when all was read it
//! becomes [`Origins`], which tell each actor's origin. Ancestry decides, not names: what the sample started, injected
//! into, or wrote and had started is `sample`, whatever it is called. `docs/origin.md` has the rules in full.

mod rules;
mod sight;
mod tree;
mod verdict;

#[cfg(test)]
mod tests;

pub use rules::{OriginRules, OriginRulesError};

use crate::{Actor, Limits, Origin};
use sandsift_sigma::Event;
use std::sync::Arc;

/// Watches the events of one completion and rebuilds its process tree; bounded by `limits.processes`.
#[derive(Debug)]
pub struct Tracker {
    rules: Arc<OriginRules>,
    hints: Hints,
    tree: tree::Tree,
}

/// What is known of the sample and the sandbox beside the events.
#[derive(Debug, Default)]
struct Hints {
    names: Vec<String>,
    sha256: Vec<[u8; 32]>,
    root_pids: Vec<u32>,
    sandbox: Option<String>,
}

impl Tracker {
    /// Starts with an empty tree.
    pub fn new(rules: Arc<OriginRules>, limits: &Limits) -> Self {
        Self { rules, hints: Hints::default(), tree: tree::Tree::new(limits.processes) }
    }

    /// Names the detonated sample, as the completion or a report does; all that are given count.
    pub fn sample(&mut self, name: Option<&str>, sha256: Option<&str>) {
        if let Some(name) = name.map(verdict::base_name).filter(|name| !name.is_empty())
            && self.hints.names.len() < 16
            && !self.hints.names.iter().any(|known| known.eq_ignore_ascii_case(name))
        {
            self.hints.names.push(name.to_owned());
        }
        if let Some(sha256) = sha256.and_then(sight::digest)
            && self.hints.sha256.len() < 16
            && !self.hints.sha256.contains(&sha256)
        {
            self.hints.sha256.push(sha256);
        }
    }

    /// Names the process that a report says to be the sample's first.
    pub fn root_pid(&mut self, pid: u32) {
        if self.hints.root_pids.len() < 16 && !self.hints.root_pids.contains(&pid) {
            self.hints.root_pids.push(pid);
        }
    }

    /// Names the sandbox, such as `cape`, so that its ordinary helpers are recognised too.
    pub fn sandbox(&mut self, name: &str) {
        self.hints.sandbox = Some(name.to_owned());
    }

    /// Takes in one event of an artifact; the process behind it, where the event names one.
    pub fn observe(&mut self, event: &Event, artifact: u32) -> Option<Actor> {
        let sight = sight::Sight::of(event);
        self.tree.observe(&sight, artifact, self.hints.sha256.first()).map(Actor)
    }

    /// Ends the watching and judges every actor.
    pub fn finish(mut self) -> Origins {
        verdict::judge(&mut self.tree, &self.rules, &self.hints)
    }
}

impl Hints {
    /// The names that the sample's file may have in the guest.
    fn file_names(&self) -> Vec<String> {
        let mut names = self.names.clone();
        for sha256 in &self.sha256 {
            use std::fmt::Write as _;
            let mut hex = String::with_capacity(64);
            for byte in sha256 {
                let _ = write!(hex, "{byte:02x}");
            }
            for extension in ["", ".exe", ".dll", ".elf", ".sh"] {
                names.push(format!("{hex}{extension}"));
            }
        }
        names
    }
}

/// Whether an event of `process_access` tells of a handle opened to write code into another process.
pub(crate) fn reaches_in(event: &Event) -> bool {
    sight::reaches_in(event)
}

/// Who caused what in one completion.
#[derive(Debug, Default)]
pub struct Origins {
    origins: Vec<Origin>,
    roots: usize,
    overflow: u64,
}

impl Origins {
    /// The origin of what a process caused; `unknown` without one.
    pub fn of(&self, actor: Option<Actor>) -> Origin {
        actor.and_then(|actor| self.origins.get(actor.0 as usize).copied()).unwrap_or(Origin::Unknown)
    }

    /// How many processes the sample's tree is rooted at; 0 where it was not found and nothing can be told.
    pub fn roots(&self) -> usize {
        self.roots
    }

    /// What had no room in the tree (`limits.processes`); its origin is `unknown`.
    pub fn overflow(&self) -> u64 {
        self.overflow
    }
}
