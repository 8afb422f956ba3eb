//! Owns the way from a rule's tree to the program: connections are flattened, literals of one field gathered into
//! lists, and parts put in the order in which they are cheapest to ask.

use super::cover::Covers;
use super::program::{Ask, FieldId, Node, NodeId, ProgramBuilder};
use super::text::TextTest;
use crate::rule::{Expr, Rule};

/// From this many literals of one field on, a list is searched at once instead of one by one.
const LIST: usize = 4;

/// Compiles rules into one program.
#[derive(Debug, Default)]
pub(super) struct Compiler {
    pub builder: ProgramBuilder,
    pub covers: Covers,
}

impl Compiler {
    /// Compiles one rule's condition and returns its node.
    pub fn rule(&mut self, rule: &Rule) -> NodeId {
        // A selection is compiled once a rule, however often the condition names it.
        let mut selections = vec![None; rule.selections.len()];
        self.expr(&rule.condition, rule, &mut selections)
    }

    fn expr(&mut self, expr: &Expr, rule: &Rule, selections: &mut [Option<NodeId>]) -> NodeId {
        match expr {
            Expr::Constant(truth) => self.builder.constant(*truth),
            // Rules that ask about array members are left to the plain evaluator, whatever the program says of them.
            Expr::Elements(_) => self.builder.constant(false),
            Expr::Test(predicate) => self.builder.ask(predicate),
            Expr::Not(part) => {
                let part = self.expr(part, rule, selections);
                self.builder.not(part)
            }
            Expr::Selection(index) => {
                if let Some(Some(known)) = selections.get(*index) {
                    return *known;
                }
                let Some(selection) = rule.selections.get(*index) else { return self.builder.constant(false) };
                let node = self.expr(&selection.body, rule, selections);
                selections[*index] = Some(node);
                node
            }
            Expr::All(parts) => {
                let parts = self.parts(parts, rule, selections);
                self.all(parts)
            }
            Expr::Any(parts) => {
                let parts = self.parts(parts, rule, selections);
                self.any(parts)
            }
            Expr::AtLeast(needed, parts) => {
                let parts = self.parts(parts, rule, selections);
                self.at_least(*needed, &parts)
            }
        }
    }

    fn parts(&mut self, parts: &[Expr], rule: &Rule, selections: &mut [Option<NodeId>]) -> Vec<NodeId> {
        parts.iter().map(|part| self.expr(part, rule, selections)).collect()
    }

    fn all(&mut self, parts: Vec<NodeId>) -> NodeId {
        let mut flat = Vec::with_capacity(parts.len());
        for part in parts {
            match self.builder.program().node(part) {
                Node::Constant(true) => {}
                Node::Constant(false) => return part,
                Node::All(inner) => flat.extend_from_slice(self.builder.program().parts(inner)),
                _ => flat.push(part),
            }
        }
        unique(&mut flat);
        if flat.is_empty() {
            return self.builder.constant(true);
        }
        let mut ranked: Vec<(f32, NodeId)> = flat
            .into_iter()
            .map(|part| {
                let estimate = self.covers.estimate(self.builder.program(), part);
                (estimate.cost / (1.0 - estimate.share).max(0.001), part)
            })
            .collect();
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let parts: Vec<NodeId> = ranked.into_iter().map(|(_, part)| part).collect();
        self.builder.all(&parts)
    }

    fn any(&mut self, parts: Vec<NodeId>) -> NodeId {
        let mut flat = Vec::with_capacity(parts.len());
        for part in parts {
            match self.builder.program().node(part) {
                Node::Constant(false) => {}
                Node::Constant(true) => return part,
                Node::Any(inner) => flat.extend_from_slice(self.builder.program().parts(inner)),
                Node::List(list) => flat.extend_from_slice(&self.builder.program().lists[list as usize].members),
                _ => flat.push(part),
            }
        }
        unique(&mut flat);
        if flat.is_empty() {
            return self.builder.constant(false);
        }
        let parts = self.gather_lists(flat);
        self.builder.any(&parts)
    }

    /// Puts the literals of each field into a list where there are enough of them; the rest stays, cheapest first.
    fn gather_lists(&mut self, parts: Vec<NodeId>) -> Vec<NodeId> {
        let (mut literals, mut others): (Vec<(Option<FieldId>, NodeId)>, Vec<NodeId>) = (Vec::new(), Vec::new());
        for part in parts {
            match self.listed_field(part) {
                Some(field) => literals.push((field, part)),
                None => others.push(part),
            }
        }
        literals.sort();
        let mut gathered = Vec::new();
        for members in literals.chunk_by(|a, b| a.0 == b.0) {
            let nodes: Vec<NodeId> = members.iter().map(|(_, node)| *node).collect();
            if nodes.len() >= LIST {
                gathered.push(self.builder.list(members[0].0, &nodes));
            } else {
                others.extend(nodes);
            }
        }
        gathered.append(&mut others);
        let mut ranked: Vec<(f32, NodeId)> =
            gathered.into_iter().map(|part| (self.covers.estimate(self.builder.program(), part).cost, part)).collect();
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        ranked.into_iter().map(|(_, part)| part).collect()
    }

    /// The field of a question that a list can hold.
    fn listed_field(&self, node: NodeId) -> Option<Option<FieldId>> {
        let question = self.builder.program().question(node)?;
        match &question.ask {
            Ask::Folded(TextTest::Whole(_) | TextTest::Start(_) | TextTest::End(_) | TextTest::Anywhere(_)) => {
                Some(question.field)
            }
            _ => None,
        }
    }

    fn at_least(&mut self, needed: usize, parts: &[NodeId]) -> NodeId {
        match needed {
            0 => self.builder.constant(true),
            _ if needed > parts.len() => self.builder.constant(false),
            1 => self.any(parts.to_vec()),
            _ if needed == parts.len() => self.all(parts.to_vec()),
            _ => self.builder.at_least(needed as u32, parts),
        }
    }
}

/// Removes repeats; the first of each stays in its place.
fn unique(parts: &mut Vec<NodeId>) {
    let mut seen = rustc_hash::FxHashSet::default();
    parts.retain(|part| seen.insert(*part));
}
