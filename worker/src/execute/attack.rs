//! Owns how ATT&CK stands in a rule's tags: `attack.defense-evasion` is a tactic, `attack.t1059.001` a technique.

/// The tactics that the enterprise matrix numbers; tags may use the number instead of the name.
const TACTIC_IDS: [(&str, &str); 14] = [
    ("ta0001", "initial-access"),
    ("ta0002", "execution"),
    ("ta0003", "persistence"),
    ("ta0004", "privilege-escalation"),
    ("ta0005", "defense-evasion"),
    ("ta0006", "credential-access"),
    ("ta0007", "discovery"),
    ("ta0008", "lateral-movement"),
    ("ta0009", "collection"),
    ("ta0010", "exfiltration"),
    ("ta0011", "command-and-control"),
    ("ta0040", "impact"),
    ("ta0042", "resource-development"),
    ("ta0043", "reconnaissance"),
];

enum Tag {
    Tactic(String),
    Technique(String),
    Other,
}

fn classify(tag: &str) -> Tag {
    let tag = tag.trim().to_ascii_lowercase();
    let Some(name) = tag.strip_prefix("attack.") else { return Tag::Other };
    if let Some((_, tactic)) = TACTIC_IDS.iter().find(|(id, _)| *id == name) {
        return Tag::Tactic((*tactic).to_owned());
    }
    // Techniques, groups, software, campaigns, mitigations, data sources: a short prefix and a number.
    let word = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    let numbered = word.len() < name.len() && matches!(word, "t" | "g" | "s" | "c" | "m" | "ds" | "ta");
    match (numbered, word) {
        (true, "t") => Tag::Technique(name.to_ascii_uppercase()),
        (true, _) => Tag::Other,
        (false, _) => Tag::Tactic(name.replace('_', "-")),
    }
}

/// The tactics that tags name, such as `defense-evasion`, sorted.
pub fn tactics(tags: &[String]) -> Vec<String> {
    sorted(tags.iter().filter_map(|tag| match classify(tag) {
        Tag::Tactic(name) => Some(name),
        _ => None,
    }))
}

/// The number of a tactic, such as `TA0005` for `defense-evasion`.
pub fn tactic_id(tactic: &str) -> Option<String> {
    TACTIC_IDS.iter().find(|(_, name)| *name == tactic).map(|(id, _)| id.to_ascii_uppercase())
}

/// The techniques that tags name, such as `T1059.001`, sorted.
pub fn techniques(tags: &[String]) -> Vec<String> {
    sorted(tags.iter().filter_map(|tag| match classify(tag) {
        Tag::Technique(id) => Some(id),
        _ => None,
    }))
}

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_part_into_tactics_and_techniques() {
        let tags: Vec<String> = [
            "attack.defense-evasion",
            "attack.defense_evasion",
            "attack.TA0002",
            "attack.t1059.001",
            "attack.g0049",
            "attack.s0005",
            "cve.2021-44228",
            "tlp.amber",
        ]
        .map(String::from)
        .into();
        assert_eq!(tactics(&tags), ["defense-evasion", "execution"]);
        assert_eq!(techniques(&tags), ["T1059.001"]);
    }
}
