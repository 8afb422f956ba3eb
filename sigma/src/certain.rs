//! Owns the question whether a match hangs on fields that the event's source cannot have: the rule's condition over three
//! truths (Kleene), where a test of such a field is unknown.

use crate::event::Event;
use crate::reference;
use crate::rule::{Expr, Predicate, Rule, Test};

/// Whether a rule fires whatever the fields were that the event's source cannot have.
pub fn fires(rule: &Rule, event: &Event) -> bool {
    event.source().absent.is_empty() || truth(&rule.condition, rule, event) == Some(true)
}

fn truth(expr: &Expr, rule: &Rule, event: &Event) -> Option<bool> {
    match expr {
        Expr::All(parts) => at_least(parts.len(), parts, rule, event),
        Expr::Any(parts) => at_least(1, parts, rule, event),
        Expr::AtLeast(n, parts) => at_least(*n, parts, rule, event),
        Expr::Not(part) => truth(part, rule, event).map(|truth| !truth),
        Expr::Selection(index) => match rule.selections.get(*index) {
            Some(selection) => truth(&selection.body, rule, event),
            None => Some(false),
        },
        Expr::Test(predicate) if is_unknown(predicate, event) => None,
        Expr::Test(_) | Expr::Elements(_) | Expr::Constant(_) => Some(reference::holds(expr, rule, event)),
    }
}

/// Whether so many of the parts hold: surely, surely not, or by what is unknown.
fn at_least(n: usize, parts: &[Expr], rule: &Rule, event: &Event) -> Option<bool> {
    let (mut yes, mut unknown) = (0, 0);
    for part in parts {
        match truth(part, rule, event) {
            Some(true) => yes += 1,
            Some(false) => {}
            None => unknown += 1,
        }
    }
    if yes >= n {
        Some(true)
    } else if yes + unknown < n {
        Some(false)
    } else {
        None
    }
}

fn is_unknown(predicate: &Predicate, event: &Event) -> bool {
    let absent = |field: &str| event.source().absent.iter().any(|a| **a == *field) && event.get(field).is_none();
    let other = match &predicate.test {
        Test::FieldRef(reference) => absent(&reference.field),
        _ => false,
    };
    other || predicate.field.as_deref().is_some_and(absent)
}

#[cfg(test)]
mod tests {
    use crate::{Builder, Event, EventSource, Options, SourceFile};

    fn certain(detection: &str) -> Option<bool> {
        let text = format!("title: t\nlogsource:\n  category: process_creation\ndetection:\n{detection}");
        let mut builder = Builder::new(Options::default());
        builder.add(&SourceFile { source: "t", file: "t.yml", text: text.as_bytes() });
        let (rules, findings) = builder.build();
        assert!(!rules.rules().is_empty(), "{findings:?}");
        let source = EventSource::new(Some("windows"), ["process_creation"], []).without(["ParentCommandLine"]);
        let mut event = Event::new();
        event.set_source(&source);
        event.push_str("Image", "C:\\a.exe");
        let mut hits = Vec::new();
        rules.matches(&event, &mut rules.scratch(), &mut hits);
        hits.first().map(|hit| rules.is_certain(&event, hit.rule))
    }

    #[test]
    fn a_match_that_hangs_on_a_field_that_cannot_be_there_is_not_certain() {
        let selection = "  selection:\n    Image|endswith: '\\a.exe'\n";
        let filter = "  filter:\n    ParentCommandLine|contains: 'x'\n";
        let other = "  filter:\n    Image|endswith: '\\b.exe'\n    ParentCommandLine|contains: 'x'\n";
        let either = "  filter:\n    - ParentCommandLine|contains: 'x'\n    - Image|endswith: '\\b.exe'\n";
        let not = "  condition: selection and not filter\n";
        let or = "  condition: selection or filter\n";
        assert_eq!(certain(&format!("{selection}  condition: selection\n")), Some(true));
        assert_eq!(certain(&format!("{selection}{filter}{not}")), Some(false));
        assert_eq!(certain(&format!("{selection}{other}{not}")), Some(true), "the filter fails by another field");
        assert_eq!(certain(&format!("{selection}{either}{not}")), Some(false));
        assert_eq!(certain(&format!("{selection}{filter}{or}")), Some(true));
    }
}
