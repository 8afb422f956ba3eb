//! Owns the lints of tags: their form, their namespaces, and the names of ATT&CK.

use crate::parse::{Problem, Report, nearest};
use crate::yaml::{Kind, Mark, Node};

const NAMESPACES: [&str; 7] = ["attack", "car", "cve", "d3fend", "detection", "stp", "tlp"];

/// Tactics of ATT&CK Enterprise, with those that version 19 made of Defense Evasion, and of the other matrices.
const TACTICS: [&str; 20] = [
    "reconnaissance",
    "resource-development",
    "initial-access",
    "execution",
    "persistence",
    "privilege-escalation",
    "defense-evasion",
    "stealth",
    "defense-impairment",
    "credential-access",
    "discovery",
    "lateral-movement",
    "collection",
    "command-and-control",
    "exfiltration",
    "impact",
    "evasion",
    "inhibit-response-function",
    "impair-process-control",
    "network-effects",
];

const TLP: [&str; 5] = ["red", "amber", "amber-strict", "green", "clear"];
const DETECTION: [&str; 3] = ["dfir", "emerging-threats", "threat-hunting"];

pub(super) fn lint(report: &mut Report<'_>, root: &Node<'_>) {
    let Some(Kind::List(items)) = root.get("tags").map(|node| &node.kind) else { return };
    for item in items {
        if let Some(tag) = item.as_text() {
            one(report, item.mark, tag);
        }
    }
}

fn one(report: &mut Report<'_>, mark: Mark, tag: &str) {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-' | '.');
    let (namespace, name) = match tag.split_once('.') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && tag.chars().all(good) => {
            (namespace, name)
        }
        _ => {
            let message = format!("'{tag}' is no tag of the form namespace.name");
            let help = "use lower-case letters, digits, '_', '-' and one namespace before a dot";
            return report.warning(mark, tag, Problem::new("tag-format", message, help));
        }
    };
    let unknown = match namespace {
        "attack" => attack(name),
        "tlp" => known(name, &TLP),
        "detection" => known(name, &DETECTION),
        "cve" => shape(is_cve(name), "write 'cve.2021-44228'"),
        "car" => shape(is_car(name), "write 'car.2016-04-005'"),
        "stp" => shape(is_stp(name), "write 'stp.1' to 'stp.5', and 'a', 'u' or 'k' behind it"),
        "d3fend" => None,
        _ => {
            let message = format!("'{namespace}' is no namespace of the specification");
            let help = format!("use one of {}, or keep it as one of your own", NAMESPACES.join(", "));
            return report.note(mark, tag, Problem::new("tag-namespace", message, help));
        }
    };
    if let Some(help) = unknown {
        let message = format!("'{name}' is not known in the namespace '{namespace}'");
        report.warning(mark, tag, Problem::new("unknown-tag", message, help));
    }
}

/// What to do about a name, where it is wrong.
fn attack(name: &str) -> Option<String> {
    let number = |text: &str, digits: usize| text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
    let technique = |rest: &str| match rest.split_once('.') {
        Some((technique, part)) => number(technique, 4) && number(part, 3),
        None => number(rest, 4),
    };
    let id = name.strip_prefix('t').is_some_and(technique)
        || ["g", "s", "ds", "m", "a", "c"].iter().any(|p| name.strip_prefix(p).is_some_and(|rest| number(rest, 4)));
    if id || TACTICS.contains(&name) {
        return None;
    }
    let dashed = name.replace('_', "-");
    Some(match TACTICS.into_iter().find(|t| *t == dashed).or_else(|| nearest(&dashed, TACTICS.into_iter())) {
        Some(tactic) => format!("did you mean 'attack.{tactic}'?"),
        None => "write a tactic's name, or an id such as 't1059.001', 'g0016', 's0002'".to_owned(),
    })
}

fn known(name: &str, names: &[&str]) -> Option<String> {
    (!names.contains(&name)).then(|| format!("use one of {}", names.join(", ")))
}

fn shape(good: bool, help: &str) -> Option<String> {
    (!good).then(|| help.to_owned())
}

fn parts(name: &str, lengths: &[std::ops::RangeInclusive<usize>]) -> bool {
    let parts: Vec<&str> = name.split(['-', '.']).collect();
    parts.len() == lengths.len()
        && parts.iter().zip(lengths).all(|(p, l)| l.contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit()))
}

fn is_cve(name: &str) -> bool {
    parts(name, &[4..=4, 4..=9])
}

fn is_car(name: &str) -> bool {
    parts(name, &[4..=4, 2..=2, 3..=3])
}

fn is_stp(name: &str) -> bool {
    let rest = name.strip_prefix(['1', '2', '3', '4', '5']);
    rest.is_some_and(|rest| matches!(rest, "" | "a" | "u" | "k"))
}
