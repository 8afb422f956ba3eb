//! Owns the lints of what stands beside a detection.

use crate::parse::{Problem, Report, nearest};
use crate::yaml::{Entry, Kind, Node};
use uuid::Uuid;

/// Every key that the specification gives a meaning.
const KEYS: [&str; 22] = [
    "title",
    "id",
    "name",
    "related",
    "taxonomy",
    "status",
    "description",
    "license",
    "references",
    "author",
    "date",
    "modified",
    "logsource",
    "detection",
    "fields",
    "falsepositives",
    "level",
    "tags",
    "scope",
    "correlation",
    "filter",
    "generate",
];

/// What SigmaHQ asks of every detection rule.
const EXPECTED: [&str; 6] = ["id", "status", "description", "author", "date", "level"];

const RELATIONS: [&str; 5] = ["derived", "obsolete", "merged", "renamed", "similar"];

pub(super) fn lint(report: &mut Report<'_>, root: &Node<'_>, entries: &[Entry<'_>]) {
    if root.get("detection").is_some() {
        for key in EXPECTED.into_iter().filter(|key| root.get(key).is_none_or(Node::is_null)) {
            let code = if key == "id" { "missing-id" } else { "missing-metadata" };
            let help = match key {
                "id" => "add a random UUID (version 4), so that results and filters can name the rule for good",
                _ => "add it, so that others can judge the rule",
            };
            report.note(root.mark, "", Problem::new(code, format!("the rule has no {key}"), help));
        }
    }
    for entry in entries {
        key(report, entry);
    }
    title(report, root);
    id(report, root);
    dates(report, root);
    related(report, root);
    lists(report, root);
    logsource(report, root);
    taxonomy(report, root);
}

/// A key of one's own is allowed; one that is nearly a known key is a slip.
fn key(report: &mut Report<'_>, entry: &Entry<'_>) {
    if KEYS.contains(&&*entry.key) {
        return;
    }
    let lower = entry.key.to_lowercase();
    if let Some(known) = KEYS.into_iter().find(|key| *key == lower).or_else(|| nearest(&lower, KEYS.into_iter())) {
        let message = format!("'{}' is no key of the specification and is kept as a field of its own", entry.key);
        let problem = Problem::new("misspelt-key", message, format!("did you mean '{known}'?"));
        report.warning(entry.key_mark, &entry.key, problem);
    }
}

fn title(report: &mut Report<'_>, root: &Node<'_>) {
    let Some(node) = root.get("title") else { return };
    let text = node.as_text().unwrap_or_default();
    let length = text.chars().count();
    if length > 256 {
        let message = format!("the title has {length} characters, more than 256");
        report.warning(node.mark, text, Problem::new("title-too-long", message, "say the rest in the description"));
    }
}

fn id(report: &mut Report<'_>, root: &Node<'_>) {
    let Some(node) = root.get("id") else { return };
    let text = node.as_text().unwrap_or_default();
    if let Ok(id) = Uuid::try_parse(text)
        && id.get_version_num() != 4
    {
        let message = format!("the id is a UUID of version {}, not a random one", id.get_version_num());
        report.note(node.mark, text, Problem::new("id-version", message, "use a UUID of version 4 for new rules"));
    }
}

fn dates(report: &mut Report<'_>, root: &Node<'_>) {
    let mut read = |key: &str| {
        let node = root.get(key)?;
        let text = node.as_text().unwrap_or_default();
        if !is_date(text) {
            let message = format!("'{text}' is no date of the form 2024-12-31");
            report.warning(node.mark, text, Problem::new("invalid-date", message, "write year-month-day"));
            return None;
        }
        Some((text.to_owned(), node.mark))
    };
    if let (Some((date, _)), Some((modified, mark))) = (read("date"), read("modified"))
        && modified < date
    {
        let message = format!("modified on {modified}, before its date {date}");
        report.warning(mark, &modified, Problem::new("date-order", message, "correct one of the two"));
    }
}

fn is_date(text: &str) -> bool {
    text.len() == 10 && text.as_bytes()[4] == b'-' && crate::time::DateTime::parse(text).is_some()
}

fn related(report: &mut Report<'_>, root: &Node<'_>) {
    let Some(node) = root.get("related") else { return };
    let Kind::List(items) = &node.kind else {
        let problem = Problem::new("invalid-related", "related is no list", "list maps with id and type");
        report.warning(node.mark, "", problem);
        return;
    };
    for item in items {
        let (id, kind) = (item.get("id").and_then(Node::as_text), item.get("type").and_then(Node::as_text));
        if id.is_none_or(|id| Uuid::try_parse(id).is_err()) {
            let problem =
                Problem::new("invalid-related", "a related rule has no UUID", "write 'id:' of the other rule");
            report.warning(item.mark, id.unwrap_or_default(), problem);
        }
        if kind.is_none_or(|kind| !RELATIONS.contains(&kind)) {
            let message = format!("'{}' is no relation", kind.unwrap_or_default());
            let problem = Problem::new("invalid-related", message, format!("use one of {}", RELATIONS.join(", ")));
            report.warning(item.mark, kind.unwrap_or_default(), problem);
        }
    }
}

/// Lists that should be lists, hold text, and hold nothing twice.
fn lists(report: &mut Report<'_>, root: &Node<'_>) {
    for key in ["references", "falsepositives", "fields", "tags"] {
        let Some(node) = root.get(key) else { continue };
        let Kind::List(items) = &node.kind else {
            if key != "falsepositives" && !node.is_null() {
                let message = format!("{key} is {}, not a list", node.describe());
                report.warning(node.mark, "", Problem::new("not-a-list", message, "write a list with one entry"));
            }
            continue;
        };
        let mut seen = std::collections::HashSet::new();
        for item in items {
            let Some(text) = item.as_text() else {
                let message = format!("{} stands in {key}", item.describe());
                report.warning(item.mark, "", Problem::new("not-text", message, "write text"));
                continue;
            };
            if !seen.insert(text) {
                let message = format!("'{text}' stands twice in {key}");
                report.note(item.mark, text, Problem::new("duplicate-entry", message, "remove one"));
            }
        }
    }
}

fn logsource(report: &mut Report<'_>, root: &Node<'_>) {
    let Some(entries) = root.get("logsource").and_then(Node::as_map) else { return };
    for entry in entries.iter().filter(|e| matches!(&*e.key, "category" | "product" | "service")) {
        let text = entry.value.as_text().unwrap_or_default();
        if text.chars().any(|c| c.is_uppercase() || c.is_whitespace()) {
            let message = format!("'{text}' is not lower case without spaces");
            let help = "write it in lower case with '_' for spaces; it is compared so";
            report.warning(entry.value.mark, text, Problem::new("logsource-case", message, help));
        }
    }
}

fn taxonomy(report: &mut Report<'_>, root: &Node<'_>) {
    let Some(node) = root.get("taxonomy") else { return };
    let text = node.as_text().unwrap_or_default();
    if text != "sigma" {
        let message = format!("the taxonomy '{text}' is not 'sigma'");
        let help = "fields are compared by these names as they are; map the events to them or the rule to 'sigma'";
        report.warning(node.mark, text, Problem::new("foreign-taxonomy", message, help));
    }
}

/// The specification's form of file names.
pub(super) fn file_name(report: &mut Report<'_>, path: &str) {
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    let stem = name.strip_suffix(".yml").or(name.strip_suffix(".yaml")).unwrap_or(name);
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !stem.chars().all(good) || !(10..=90).contains(&stem.len()) || !name.ends_with(".yml") {
        let help = "use 10 to 90 lower-case letters, digits and '_', and '.yml'";
        let message = format!("'{name}' is not named as rule files are");
        report.rule = None;
        report.note(crate::yaml::Mark::default(), name, Problem::new("file-name", message, help));
    }
}
