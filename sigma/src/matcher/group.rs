//! Owns a group: the rules that one kind of event meets, and the searches that find which of them it may make fire.

use super::cover::{Entrance, Gate, GateId, Sign};
use super::literals::{Hits, Literal, Literals, Search};
use super::program::{FieldId, NodeId};
use super::scratch::{Answers, Candidates, Marks, View};
use rustc_hash::FxHashMap;

/// A rule as a group sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct GroupRule {
    /// The condition.
    pub node: NodeId,
    /// The rule's index in the set.
    pub index: u32,
    /// Whether it is another platform's.
    pub cross_platform: bool,
}

/// The rules of one kind of event and the ways in to them.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// In the order of their indices.
    pub rules: Box<[GroupRule]>,
    /// Rules that are asked about every event.
    always: Box<[u32]>,
    plans: Box<[Plan]>,
    /// What is looked for in every value, whatever its field.
    anywhere: Option<Plan>,
    triggers: Box<[Trigger]>,
    answered: Box<[NodeId]>,
    entered: Box<[u32]>,
}

/// What is looked for in one field.
#[derive(Debug, Default)]
struct Plan {
    field: Option<FieldId>,
    /// Fires where the field is there at all.
    present: Option<u32>,
    literals: Option<Literals>,
    /// The triggers of integers, for numbers that are written in another way.
    numbers: Box<[u32]>,
}

/// What follows from a sign: runs in the group's tables.
#[derive(Debug, Clone, Copy, Default)]
struct Trigger {
    answered: (u32, u32),
    entered: (u32, u32),
}

/// What becomes a plan.
#[derive(Default)]
struct Draft<'g> {
    present: Option<u32>,
    literals: Vec<Literal<'g>>,
    numbers: Vec<u32>,
}

impl Group {
    /// Makes a group of rules, sorted by index; `covers` gives each one's ways in, by the rule's index.
    pub fn new(
        rules: Vec<GroupRule>,
        covers: &[Option<Box<[Entrance]>>],
        gates: &[Gate],
        is_number: impl Fn(NodeId) -> bool,
    ) -> Self {
        // For each gate: the rules that it lets in to, and the lists that it answers.
        let mut order: Vec<GateId> = Vec::new();
        let mut through: FxHashMap<GateId, (Vec<u32>, Vec<NodeId>)> = FxHashMap::default();
        let mut always = Vec::new();
        for (local, rule) in rules.iter().enumerate() {
            let Some(entrances) = &covers[rule.index as usize] else {
                always.push(local as u32);
                continue;
            };
            for entrance in entrances {
                let (locals, lists) = through.entry(entrance.gate).or_insert_with(|| {
                    order.push(entrance.gate);
                    Default::default()
                });
                if locals.last() != Some(&(local as u32)) {
                    locals.push(local as u32);
                }
                if let Some(list) = entrance.list
                    && !lists.contains(&list)
                {
                    lists.push(list);
                }
            }
        }
        let (mut triggers, mut answered, mut entered) = (Vec::new(), Vec::new(), Vec::new());
        let mut drafts: FxHashMap<Option<FieldId>, Draft<'_>> = FxHashMap::default();
        for gate_id in order {
            let gate = &gates[gate_id.index()];
            let (locals, lists) = &through[&gate_id];
            let trigger = triggers.len() as u32;
            let first = (answered.len(), entered.len());
            answered.extend(gate.answers.iter().chain(lists));
            entered.extend_from_slice(locals);
            triggers.push(Trigger {
                answered: (first.0 as u32, answered.len() as u32),
                entered: (first.1 as u32, entered.len() as u32),
            });
            let draft = drafts.entry(gate.field).or_default();
            match &gate.sign {
                Sign::Literal(place, bytes) => draft.literals.push(Literal { place: *place, bytes, id: trigger }),
                Sign::Present => draft.present = Some(trigger),
            }
            if gate.answers.is_some_and(&is_number) {
                draft.numbers.push(trigger);
            }
        }
        let plan = |field: Option<FieldId>, draft: Draft<'_>| Plan {
            field,
            present: draft.present,
            literals: (!draft.literals.is_empty()).then(|| Literals::new(&draft.literals)),
            numbers: draft.numbers.into(),
        };
        let anywhere = drafts.remove(&None).map(|draft| plan(None, draft));
        let mut plans: Vec<Plan> = drafts.into_iter().map(|(field, draft)| plan(field, draft)).collect();
        plans.sort_by_key(|plan| plan.field);
        Self {
            rules: rules.into(),
            always: always.into(),
            plans: plans.into(),
            anywhere,
            triggers: triggers.into(),
            answered: answered.into(),
            entered: entered.into(),
        }
    }

    pub fn triggers(&self) -> usize {
        self.triggers.len()
    }

    /// Finds the rules that may fire, and answers on the way what the signs alone answer.
    pub fn enter(&self, view: &View<'_>, answers: &mut Answers, fired: &mut Marks, candidates: &mut Candidates) {
        candidates.start(self.rules.len());
        for &local in &self.always {
            candidates.insert(local);
        }
        let mut sink = Sink { group: self, answers, fired, candidates };
        for plan in &self.plans {
            let values = view.values(plan.field);
            if !values.is_empty() {
                sink.plan(plan, view, values.iter().map(|&value| value as usize));
            }
        }
        if let Some(plan) = &self.anywhere
            && view.len() > 0
        {
            sink.plan(plan, view, 0..view.len());
        }
    }
}

/// Takes the signs that are found in an event.
struct Sink<'s> {
    group: &'s Group,
    answers: &'s mut Answers,
    fired: &'s mut Marks,
    candidates: &'s mut Candidates,
}

impl Sink<'_> {
    #[inline]
    fn plan(&mut self, plan: &Plan, view: &View<'_>, values: impl Iterator<Item = usize>) {
        if let Some(trigger) = plan.present {
            self.hit(trigger);
        }
        let Some(literals) = &plan.literals else { return };
        for value in values {
            if let Some(text) = view.folded(value) {
                literals.search(text, self);
            }
            // `4688.0` is the integer 4688 by value, but not by its text.
            if view.is_number(value) {
                for &trigger in &plan.numbers {
                    self.enter(trigger);
                }
            }
        }
    }

    fn enter(&mut self, trigger: u32) {
        let (from, to) = self.group.triggers[trigger as usize].entered;
        for &local in &self.group.entered[from as usize..to as usize] {
            self.candidates.insert(local);
        }
    }
}

impl Hits for Sink<'_> {
    #[inline]
    fn known(&self, trigger: u32) -> bool {
        self.fired.is_marked(trigger as usize)
    }

    fn hit(&mut self, trigger: u32) -> Search {
        if self.fired.mark(trigger as usize) {
            let (from, to) = self.group.triggers[trigger as usize].answered;
            for &node in &self.group.answered[from as usize..to as usize] {
                self.answers.set(node, true);
            }
            self.enter(trigger);
        }
        Search::Continue
    }
}
