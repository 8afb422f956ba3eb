//! Owns the choice of what lets an event in to a rule: a few literals, of which at least one must stand in any event on
//! which the rule fires, and as rare ones as the rule offers.
//!
//! A conjunction is entered by the rarest of its parts, a disjunction by all of its parts together. Rules that only say
//! what must not be have no such set and are asked about every event of their logsource.

use super::literals::{Place, rarity};
use super::program::{Ask, FieldId, Node, NodeId, Program, Question};
use super::required;
use super::text::{GlobPiece, TextTest};
use crate::fold::fold_into;
use crate::rule::Test;
use rustc_hash::FxHashMap;
use std::rc::Rc;

/// A sign in the event, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct GateId(pub u32);

impl GateId {
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A sign in the event without which some question cannot be answered with yes.
#[derive(Debug)]
pub(super) struct Gate {
    /// The field that it stands in; absent for any value of the event.
    pub field: Option<FieldId>,
    pub sign: Sign,
    /// The question that the sign alone answers with yes.
    pub answers: Option<NodeId>,
}

/// What is looked for.
#[derive(Debug)]
pub(super) enum Sign {
    /// Folded text.
    Literal(Place, Box<[u8]>),
    /// That the field is there.
    Present,
}

/// A way in to a rule.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entrance {
    pub gate: GateId,
    /// A list that the gate answers with yes, beside its own question.
    pub list: Option<NodeId>,
}

/// The ways in to a node: at least one is open whenever the node holds.
#[derive(Debug, Clone)]
pub(super) struct Cover {
    /// A guess at how many of them are open for an event.
    cost: f32,
    pub entrances: Rc<[Entrance]>,
}

/// A guess at what a node's answer costs and how often it is yes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Estimate {
    /// From 0 to 1.
    pub share: f32,
    /// In units of a short comparison.
    pub cost: f32,
}

/// Gates, covers and estimates of a program's nodes, made once each.
#[derive(Debug, Default)]
pub(super) struct Covers {
    pub gates: Vec<Gate>,
    /// The one gate of each field's presence.
    present: FxHashMap<Option<FieldId>, Cover>,
    covers: Vec<Option<Option<Cover>>>,
    estimates: Vec<Option<Estimate>>,
}

impl Covers {
    /// The ways in to a node; `None` where it may hold without any sign.
    pub fn cover(&mut self, program: &Program, id: NodeId) -> Option<Cover> {
        if let Some(Some(known)) = self.covers.get(id.index()) {
            return known.clone();
        }
        let cover = self.make_cover(program, id);
        if self.covers.len() <= id.index() {
            self.covers.resize(program.len(), None);
        }
        self.covers[id.index()] = Some(cover.clone());
        cover
    }

    fn make_cover(&mut self, program: &Program, id: NodeId) -> Option<Cover> {
        match program.node(id) {
            Node::Constant(true) => None,
            Node::Constant(false) => Some(Cover { cost: 0.0, entrances: Rc::new([]) }),
            Node::Ask(question) => self.question(id, &program.questions[question as usize]),
            Node::List(list) => {
                let members = &program.lists[list as usize].members;
                let covers = members.iter().map(|&part| self.cover(program, part)).collect::<Option<Vec<_>>>()?;
                let mut cover = union(covers);
                cover.entrances = cover.entrances.iter().map(|e| Entrance { list: Some(id), ..*e }).collect();
                Some(cover)
            }
            Node::All(parts) => {
                let covers = program.parts(parts).iter().filter_map(|&part| self.cover(program, part));
                covers.min_by(|a, b| a.cost.total_cmp(&b.cost))
            }
            Node::Any(parts) => {
                let covers = program.parts(parts).iter().map(|&part| self.cover(program, part));
                Some(union(covers.collect::<Option<Vec<_>>>()?))
            }
            Node::AtLeast(needed, parts) => {
                // Of any n - k + 1 parts at least one holds where k of n do.
                let parts = program.parts(parts);
                let mut covers: Vec<Cover> = parts.iter().filter_map(|&part| self.cover(program, part)).collect();
                covers.sort_by(|a, b| a.cost.total_cmp(&b.cost));
                let enough = parts.len() + 1 - needed as usize;
                (covers.len() >= enough).then(|| union(covers[..enough].to_vec()))
            }
            Node::Not(part) => self.negated(program, part),
        }
    }

    /// What must be there where a node does not hold: a field that it would hold without.
    fn negated(&mut self, program: &Program, id: NodeId) -> Option<Cover> {
        match program.node(id) {
            Node::Ask(question) => {
                let question = &program.questions[question as usize];
                matches!(question.ask, Ask::Null | Ask::Exists(false)).then(|| self.present(question.field))
            }
            Node::Any(parts) => {
                let covers = program.parts(parts).iter().filter_map(|&part| self.negated(program, part));
                covers.min_by(|a, b| a.cost.total_cmp(&b.cost))
            }
            _ => None,
        }
    }

    fn question(&mut self, id: NodeId, question: &Question) -> Option<Cover> {
        let field = question.field;
        match &question.ask {
            Ask::Folded(test) => Some(self.text(id, field, test, true)),
            Ask::Cased(test) => Some(self.text(id, field, test, false)),
            Ask::Number(number, text) => match number {
                crate::rule::Number::Int(_) => Some(self.literal(field, Place::Whole, text.clone(), Some(id), 0.08)),
                crate::rule::Number::Decimal(_) => Some(self.present(field)),
            },
            Ask::Null | Ask::Exists(false) => None,
            Ask::Exists(true) | Ask::Refer(..) => Some(self.present(field)),
            Ask::Regex(regex, _) => match required::literals(regex) {
                Some(literals) => {
                    let covers = literals.into_iter().map(|text| {
                        let share = rarity::share(&text);
                        self.literal(field, Place::Anywhere, text, None, share)
                    });
                    Some(union(covers.collect()))
                }
                None => Some(self.present(field)),
            },
            Ask::Plain(test) => match &**test {
                Test::Null | Test::Exists(_) => None,
                _ => Some(self.present(field)),
            },
        }
    }

    fn text(&mut self, id: NodeId, field: Option<FieldId>, test: &TextTest, folded: bool) -> Cover {
        let (place, text): (Place, &[u8]) = match test {
            TextTest::Anything => return self.present(field),
            TextTest::Whole(text) => (Place::Whole, text),
            TextTest::Start(text) => (Place::Start, text),
            TextTest::End(text) => (Place::End, text),
            TextTest::Anywhere(text) => (Place::Anywhere, text),
            TextTest::Glob(pieces) => match rarest(pieces) {
                Some((place, text)) => (place, text),
                None => return self.present(field),
            },
        };
        let share = if place == Place::Whole { rarity::share(text).min(0.1) } else { rarity::share(text) };
        let answers = (folded && !matches!(test, TextTest::Glob(_))).then_some(id);
        let text = if folded { text.into() } else { fold(text) };
        self.literal(field, place, text, answers, share)
    }

    fn literal(
        &mut self,
        field: Option<FieldId>,
        place: Place,
        text: Box<[u8]>,
        answers: Option<NodeId>,
        cost: f32,
    ) -> Cover {
        self.gate(Gate { field, sign: Sign::Literal(place, text), answers }, cost)
    }

    fn present(&mut self, field: Option<FieldId>) -> Cover {
        if let Some(known) = self.present.get(&field) {
            return known.clone();
        }
        let cover = self.gate(Gate { field, sign: Sign::Present, answers: None }, 0.9);
        self.present.insert(field, cover.clone());
        cover
    }

    fn gate(&mut self, gate: Gate, cost: f32) -> Cover {
        let id = GateId(self.gates.len() as u32);
        self.gates.push(gate);
        Cover { cost, entrances: Rc::new([Entrance { gate: id, list: None }]) }
    }

    /// A guess at a node's cost and the share of events that it holds for.
    pub fn estimate(&mut self, program: &Program, id: NodeId) -> Estimate {
        if let Some(Some(known)) = self.estimates.get(id.index()) {
            return *known;
        }
        let estimate = match program.node(id) {
            Node::Constant(truth) => Estimate { share: f32::from(u8::from(truth)), cost: 0.0 },
            Node::Ask(question) => ask(&program.questions[question as usize]),
            Node::List(list) => {
                let members = &program.lists[list as usize].members;
                let share = members.iter().map(|&part| self.estimate(program, part).share).sum::<f32>();
                Estimate { share: share.min(0.9), cost: 2.0 + (members.len() as f32).min(10.0) }
            }
            Node::All(parts) => program.parts(parts).iter().fold(Estimate { share: 1.0, cost: 1.0 }, |sum, &part| {
                let next = self.estimate(program, part);
                Estimate { share: sum.share * next.share, cost: sum.cost + sum.share * next.cost }
            }),
            Node::Any(parts) | Node::AtLeast(_, parts) => {
                program.parts(parts).iter().fold(Estimate { share: 0.0, cost: 1.0 }, |sum, &part| {
                    let next = self.estimate(program, part);
                    Estimate {
                        share: (sum.share + next.share).min(0.95),
                        cost: sum.cost + (1.0 - sum.share) * next.cost,
                    }
                })
            }
            Node::Not(part) => {
                let part = self.estimate(program, part);
                Estimate { share: 1.0 - part.share, cost: part.cost }
            }
        };
        if self.estimates.len() <= id.index() {
            self.estimates.resize(program.len(), None);
        }
        self.estimates[id.index()] = Some(estimate);
        estimate
    }
}

fn ask(question: &Question) -> Estimate {
    let (share, cost) = match &question.ask {
        Ask::Folded(test) | Ask::Cased(test) => match test {
            TextTest::Anything => (0.8, 0.5),
            TextTest::Whole(text) => (rarity::share(text).min(0.1), 1.0),
            TextTest::Start(text) | TextTest::End(text) => (rarity::share(text), 1.0),
            TextTest::Anywhere(text) => (rarity::share(text), 4.0),
            TextTest::Glob(pieces) => (rarest(pieces).map_or(0.5, |(_, text)| rarity::share(text)), 8.0),
        },
        Ask::Number(..) => (0.08, 1.0),
        Ask::Null => (0.3, 0.5),
        Ask::Exists(true) => (0.7, 0.5),
        Ask::Exists(false) => (0.3, 0.5),
        Ask::Refer(..) => (0.1, 3.0),
        Ask::Regex(..) => (0.05, 40.0),
        Ask::Plain(test) => match &**test {
            Test::Cidr(_) => (0.2, 10.0),
            _ => (0.3, 15.0),
        },
    };
    // A keyword asks every value of the event.
    Estimate { share, cost: if question.field.is_some() { cost } else { cost * 10.0 } }
}

/// The best literal of a pattern with wildcards inside, and where it must stand.
fn rarest(pieces: &[GlobPiece]) -> Option<(Place, &[u8])> {
    let last = pieces.len().saturating_sub(1);
    pieces
        .iter()
        .enumerate()
        .filter_map(|(index, piece)| match piece {
            GlobPiece::Literal(text) if index == 0 => Some((Place::Start, &**text)),
            GlobPiece::Literal(text) if index == last => Some((Place::End, &**text)),
            GlobPiece::Literal(text) => Some((Place::Anywhere, &**text)),
            _ => None,
        })
        .min_by(|a, b| rarity::share(a.1).total_cmp(&rarity::share(b.1)).then(b.1.len().cmp(&a.1.len())))
}

fn fold(text: &[u8]) -> Box<[u8]> {
    let mut folded = String::new();
    fold_into(&String::from_utf8_lossy(text), &mut folded);
    folded.into_bytes().into()
}

fn union(covers: Vec<Cover>) -> Cover {
    match <[Cover; 1]>::try_from(covers) {
        Ok([only]) => only,
        Err(covers) => Cover {
            cost: covers.iter().map(|cover| cover.cost).sum(),
            entrances: covers.iter().flat_map(|cover| cover.entrances.iter().copied()).collect(),
        },
    }
}
