//! Owns filling an event with what a section's fields give. Knows nothing of documents.

use super::expr::Scene;
use super::model::EventSection;
use super::node::Node;
use super::transform::Val;
use sandsift_sigma::{Event, Value};

/// Fills an event's fields; `false` if the record gave none but constants.
pub(super) fn fill(section: &EventSection, scene: &Scene<'_>, event: &mut Event, most: usize) -> bool {
    let mut told = false;
    for (name, expr) in &section.fields {
        for value in expr.values(scene) {
            if event.len() >= most {
                return told;
            }
            told |= !expr.is_constant();
            if &**name == "*" {
                spread(event, "", &value, most);
            } else {
                push(event, name, &value, most);
            }
        }
    }
    told && section.needs.iter().all(|name| event.get(name).is_some())
}

fn push(event: &mut Event, name: &str, value: &Val<'_>, most: usize) {
    match value {
        Val::Node(node) => push_node(event, name, node, most),
        Val::Text(text) => event.push_str(name, text),
        Val::Int(number) => event.push(name, Value::Int(*number)),
    }
}

/// Every member of a map as a field of its own name.
fn spread(event: &mut Event, prefix: &str, value: &Val<'_>, most: usize) {
    let Val::Node(Node::Map(members)) = value else { return };
    for (name, node) in members {
        push_node(event, &format!("{prefix}{name}"), node, most);
    }
}

/// A nested value under dotted names, a list as several values. Iterative: the depth is the attacker's.
fn push_node(event: &mut Event, name: &str, node: &Node<'_>, most: usize) {
    let mut stack = vec![(name.to_owned(), node)];
    while let Some((name, node)) = stack.pop() {
        if event.len() >= most {
            return;
        }
        match node {
            Node::Null => {}
            Node::Bool(b) => event.push(&name, Value::Bool(*b)),
            Node::Int(number) => event.push(&name, Value::Int(*number)),
            Node::Number(text) => event.push(&name, Value::Number(text)),
            Node::Str(text) => event.push_str(&name, text),
            Node::List(items) => stack.extend(items.iter().rev().map(|item| (name.clone(), item))),
            Node::Map(members) => {
                stack.extend(members.iter().rev().map(|(key, value)| (format!("{name}.{key}"), value)));
            }
        }
    }
}
