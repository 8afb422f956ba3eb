//! Owns fast matching: thousands of rules compiled so that an event pays for what it holds, not for how many rules there
//! are.
//!
//! 1. [`compile`] turns all rules into one [`program`]: a graph of questions in which whatever rules share stands once.
//! 2. [`cover`] chooses for each rule a few literals of which one must stand in any event on which it fires.
//! 3. A [`group`], made when the first event of a kind comes, files the literals of the rules that such events meet in
//!    one search a field ([`literals`]).
//! 4. An event is folded once ([`scratch`]), its fields are searched, and only rules whose literals were found are
//!    asked ([`ask`]); every question is answered once at most.
//!
//! What a rule means is not decided here: [`crate::reference`] says it, and tests hold this module to it.

mod ask;
mod compile;
mod cover;
mod group;
mod literals;
mod program;
mod required;
mod routes;
mod scratch;
mod text;

use crate::event::Event;
use crate::rule::Rule;
use crate::set::{CrossPlatform, Hit, RuleIndex};
use ask::Asker;
use compile::Compiler;
use cover::{Entrance, Gate};
use group::Group;
use program::{NodeId, Program};
use routes::{Recent, Routes};
use scratch::{Answers, Candidates, Marks, Views};
use std::sync::atomic::{AtomicU64, Ordering};

/// A rule set in its compiled form; immutable but for what is prepared when it is first needed.
#[derive(Debug)]
pub(crate) struct Matcher {
    /// Tells the matchers of a process apart, so that a scratch knows its own.
    id: u64,
    program: Program,
    /// Each rule's condition.
    nodes: Box<[NodeId]>,
    /// Each rule's ways in; `None` for rules that any event may make fire.
    covers: Box<[Option<Box<[Entrance]>>]>,
    gates: Box<[Gate]>,
    routes: Routes,
}

/// What matching writes to; one a thread.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    matcher: u64,
    views: Views,
    answers: Answers,
    fired: Marks,
    candidates: Candidates,
    recent: Recent,
}

impl Matcher {
    pub fn new(rules: &[Rule], cross_platform: CrossPlatform) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let mut compiler = Compiler::default();
        let mut nodes = Vec::with_capacity(rules.len());
        let mut covers = Vec::with_capacity(rules.len());
        for rule in rules {
            let node = compiler.rule(rule);
            nodes.push(node);
            let cover = compiler.covers.cover(compiler.builder.program(), node);
            covers.push(cover.map(|cover| cover.entrances.iter().copied().collect()));
        }
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            program: compiler.builder.finish(),
            nodes: nodes.into(),
            covers: covers.into(),
            gates: compiler.covers.gates.into(),
            routes: Routes::new(rules, cross_platform),
        }
    }

    /// Appends every rule that fires on the event, in the order of the rules.
    pub fn matches(&self, event: &Event, scratch: &mut Scratch, hits: &mut Vec<Hit>) {
        if scratch.matcher != self.id {
            *scratch = Scratch { matcher: self.id, ..Scratch::default() };
        }
        let Scratch { views, answers, fired, candidates, recent, .. } = scratch;
        let groups = recent.groups(event.source(), || self.route(event));
        if groups.iter().all(|group| group.rules.is_empty()) {
            return;
        }
        let view = views.view(event, &self.program.fields);
        answers.start(self.program.len());
        let before = hits.len();
        for group in groups.iter() {
            fired.start(group.triggers());
            group.enter(&view, answers, fired, candidates);
            let mut asker = Asker { program: &self.program, view, answers };
            candidates.drain(|local| {
                let rule = group.rules[local as usize];
                if asker.holds(rule.node) {
                    hits.push(Hit { rule: RuleIndex(rule.index), cross_platform: rule.cross_platform });
                }
            });
        }
        if groups.len() > 1 {
            hits[before..].sort_unstable();
        }
    }

    fn route(&self, event: &Event) -> routes::Groups {
        self.routes.groups(event.source(), |rules| self.group(rules))
    }

    fn group(&self, rules: Vec<(u32, bool)>) -> Group {
        let rules = rules
            .into_iter()
            .map(|(index, cross_platform)| group::GroupRule { node: self.nodes[index as usize], index, cross_platform })
            .collect();
        let is_number = |node| self.program.question(node).is_some_and(|q| matches!(q.ask, program::Ask::Number(..)));
        Group::new(rules, &self.covers, &self.gates, is_number)
    }
}

#[cfg(test)]
mod tests;
