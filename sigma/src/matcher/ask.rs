//! Owns the answers: what a node of the program comes to for one event, each worked out once and only when asked.

use super::literals::{Hits, Literal, Literals, Place, Search};
use super::program::{Ask, Cased, FieldId, List, Node, NodeId, Program, Question};
use super::scratch::{Answers, View};
use super::text::TextTest;
use crate::event::Value;
use crate::rule::{Anchor, Number, Test};
use crate::time::DateTime;
use memchr::memmem;

/// Asks a program about one event.
pub(super) struct Asker<'a> {
    pub program: &'a Program,
    pub view: View<'a>,
    pub answers: &'a mut Answers,
}

impl Asker<'_> {
    /// Whether a node holds. The depth of a program is that of the rules' conditions, which the parser bounds.
    pub fn holds(&mut self, id: NodeId) -> bool {
        let answer = match self.program.node(id) {
            Node::Constant(truth) => return truth,
            Node::Not(part) => return !self.holds(part),
            _ if let Some(known) = self.answers.get(id) => return known,
            Node::Ask(question) => self.question(&self.program.questions[question as usize]),
            Node::List(list) => self.list(&self.program.lists[list as usize]),
            Node::All(parts) => self.program.parts(parts).iter().all(|&part| self.holds(part)),
            Node::Any(parts) => self.program.parts(parts).iter().any(|&part| self.holds(part)),
            Node::AtLeast(needed, parts) => {
                let mut missing = needed;
                self.program.parts(parts).iter().any(|&part| {
                    missing -= u32::from(self.holds(part));
                    missing == 0
                })
            }
        };
        self.answers.set(id, answer);
        answer
    }

    fn question(&self, question: &Question) -> bool {
        match &question.ask {
            Ask::Null => {
                let mut values = self.view.values(question.field).iter();
                values.len() == 0 || values.any(|&at| self.view.value(at as usize) == Value::Null)
            }
            Ask::Exists(wanted) => self.view.values(question.field).is_empty() != *wanted,
            Ask::Plain(test) if matches!(**test, Test::Exists(_) | Test::Null) => self.keyword_presence(test),
            ask => self.any_value(question.field, |at| self.value(ask, at)),
        }
    }

    /// Presence asked of no field: of the event's values as a whole.
    fn keyword_presence(&self, test: &Test) -> bool {
        match test {
            Test::Exists(wanted) => (self.view.len() > 0) == *wanted,
            _ => self.view.len() == 0 || (0..self.view.len()).any(|at| self.view.value(at) == Value::Null),
        }
    }

    #[inline]
    fn any_value(&self, field: Option<FieldId>, mut test: impl FnMut(usize) -> bool) -> bool {
        match field {
            Some(_) => self.view.values(field).iter().any(|&at| test(at as usize)),
            None => (0..self.view.len()).any(test),
        }
    }

    fn value(&self, ask: &Ask, at: usize) -> bool {
        match ask {
            Ask::Folded(test) => self.view.folded(at).is_some_and(|text| test.matches(text)),
            Ask::Cased(test) => self.view.text(at).is_some_and(|text| test.matches(text.as_bytes())),
            Ask::Number(number, text) => self.is_number(number, text, at),
            Ask::Plain(test) => self.view.text(at).is_some_and(|text| plain(test, text)),
            // A text is at least as long as what is found in it; most values are too short for the long ones.
            Ask::Regex(regex, length) => {
                self.view.text(at).is_some_and(|text| text.len() >= *length && regex.is_match(text))
            }
            Ask::Refer(other, anchor, cased) => self.refers(at, *other, *anchor, *cased),
            Ask::Null | Ask::Exists(_) => false,
        }
    }

    fn is_number(&self, number: &Number, own: &[u8], at: usize) -> bool {
        match self.view.value(at) {
            Value::Int(int) => match number {
                Number::Int(number) => i128::from(int) == *number,
                Number::Decimal(_) => self.view.text(at).is_some_and(|text| equal(number, text)),
            },
            Value::Number(text) => equal(number, text),
            Value::Str(text) => text.as_bytes() == own,
            Value::Null | Value::Bool(_) | Value::Empty => false,
        }
    }

    fn refers(&self, at: usize, other: FieldId, anchor: Anchor, cased: Cased) -> bool {
        let text = |at: usize| match cased {
            Cased(true) => self.view.text(at).map(str::as_bytes),
            Cased(false) => self.view.folded(at),
        };
        let Some(own) = text(at) else { return false };
        let others = self.view.values(Some(other)).iter();
        others.filter_map(|&other| text(other as usize)).any(|other| stands(anchor, own, other))
    }

    fn list(&self, list: &List) -> bool {
        // A member may be known to hold by the sign that let the event in.
        let literals = list.literals.get_or_init(|| prepare(self.program, list));
        let mut first = First(false);
        self.any_value(list.field, |at| {
            self.view.folded(at).is_some_and(|text| literals.search(text, &mut first) == Search::Stop)
        })
    }
}

/// Answers what is asked of a text as it is.
fn plain(test: &Test, text: &str) -> bool {
    match test {
        Test::Cidr(cidr) => cidr.contains(text),
        Test::Compare(comparison, number) => number.compare_with(text).is_some_and(|order| comparison.holds(order)),
        Test::TimePart(part, comparison, number) => {
            DateTime::parse(text).is_some_and(|time| comparison.holds(time.part(*part).cmp(number)))
        }
        Test::Text(_)
        | Test::Regex(_)
        | Test::Number(_)
        | Test::Bool(_)
        | Test::Null
        | Test::Exists(_)
        | Test::FieldRef(_) => false,
    }
}

/// Prepares a list's literals for the search.
fn prepare(program: &Program, list: &List) -> Literals {
    let literals: Vec<Literal<'_>> = list
        .members
        .iter()
        .filter_map(|&member| {
            let Ask::Folded(test) = &program.question(member)?.ask else { return None };
            let (place, bytes) = match test {
                TextTest::Whole(text) => (Place::Whole, text),
                TextTest::Start(text) => (Place::Start, text),
                TextTest::End(text) => (Place::End, text),
                TextTest::Anywhere(text) => (Place::Anywhere, text),
                TextTest::Anything | TextTest::Glob(_) => return None,
            };
            Some(Literal { place, bytes, id: 0 })
        })
        .collect();
    Literals::new(&literals)
}

/// Stops a search at its first hit.
struct First(bool);

impl Hits for First {
    fn known(&self, _: u32) -> bool {
        self.0
    }

    fn hit(&mut self, _: u32) -> Search {
        self.0 = true;
        Search::Stop
    }
}

fn equal(number: &Number, text: &str) -> bool {
    number.compare_with(text).is_some_and(std::cmp::Ordering::is_eq)
}

fn stands(anchor: Anchor, text: &[u8], other: &[u8]) -> bool {
    match anchor {
        Anchor::Whole => text == other,
        Anchor::Start => text.starts_with(other),
        Anchor::End => text.ends_with(other),
        Anchor::Anywhere => memmem::find(text, other).is_some(),
    }
}
