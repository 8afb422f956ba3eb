//! Owns the origin files (`rules/origins/*.yml`): how a sandbox's own processes and those of a bare operating system are
//! recognised. Data only; that ancestry comes first is decided in `verdict`.

use regex::Regex;
use serde::Deserialize;

/// What origin files say, compiled; immutable and shared by all runs.
#[derive(Debug, Default)]
pub struct OriginRules {
    sandboxes: Vec<Sandbox>,
    system: Vec<Look>,
}

/// How one sandbox's own processes look.
#[derive(Debug)]
struct Sandbox {
    name: String,
    agents: Vec<Look>,
    starters: Vec<Look>,
    tools: Vec<Look>,
    helpers: Vec<Look>,
}

/// Why an origin file was refused.
#[derive(Debug, thiserror::Error)]
pub enum OriginRulesError {
    /// Not YAML, or not of the form that `docs/origin.md` describes.
    #[error("{file}: {source}")]
    Form {
        /// The file.
        file: String,
        /// What is wrong, with its line.
        source: serde_yaml::Error,
    },
    /// A pattern after `re:` that is no regular expression.
    #[error("{file}: pattern '{pattern}' is no regular expression: {source}")]
    Pattern {
        /// The file.
        file: String,
        /// The pattern as written.
        pattern: String,
        /// What is wrong.
        source: Box<regex::Error>,
    },
    /// An entry without any pattern would hold for every process.
    #[error(
        "{file}: an entry under '{list}' has no pattern and would hold for every process; give it an image or a command_line"
    )]
    Empty {
        /// The file.
        file: String,
        /// The list that the entry stands in.
        list: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    sandbox: Option<String>,
    #[serde(default)]
    #[allow(dead_code)] // for readers of the file
    description: String,
    #[serde(default)]
    agents: Vec<Entry>,
    #[serde(default)]
    starters: Vec<Entry>,
    #[serde(default)]
    tools: Vec<Entry>,
    #[serde(default)]
    helpers: Vec<Entry>,
    #[serde(default)]
    system: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(default)]
    #[allow(dead_code)] // for readers of the file
    name: String,
    #[serde(default)]
    image: OneOrMany,
    #[serde(default)]
    command_line: OneOrMany,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl Default for OneOrMany {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

/// One entry: every part that it names must hold, and of each part one pattern.
#[derive(Debug)]
struct Look {
    image: Vec<Pattern>,
    command_line: Vec<Pattern>,
}

/// A whole-text pattern in any case: `*` and `?`, or a regular expression after `re:`.
#[derive(Debug)]
struct Pattern(Regex);

/// What a recognised process is to its sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// Runs the analysis; what it starts is the sandbox's, but for the sample.
    Agent,
    /// Recognised by itself.
    Tool,
    /// An ordinary program that this sandbox runs in this way; told from others only where the sandbox is known to be
    /// at work.
    Helper,
}

/// A process as it looked at one time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Appearance<'a> {
    pub image: Option<&'a str>,
    pub command_line: Option<&'a str>,
}

impl OriginRules {
    /// Adds a file's entries; `name` is for messages.
    ///
    /// # Errors
    /// [`OriginRulesError`] where the file is not of the form that `docs/origin.md` describes; nothing of it is added.
    pub fn add(&mut self, name: &str, text: &str) -> Result<(), OriginRulesError> {
        let file: File =
            serde_yaml::from_str(text).map_err(|source| OriginRulesError::Form { file: name.to_owned(), source })?;
        let compile = |entries: Vec<Entry>, list| -> Result<Vec<Look>, OriginRulesError> {
            entries.into_iter().map(|entry| Look::compile(entry, name, list)).collect()
        };
        let system = compile(file.system, "system")?;
        let sandbox = Sandbox {
            name: file.sandbox.unwrap_or_else(|| name.to_owned()).to_lowercase(),
            agents: compile(file.agents, "agents")?,
            starters: compile(file.starters, "starters")?,
            tools: compile(file.tools, "tools")?,
            helpers: compile(file.helpers, "helpers")?,
        };
        self.system.extend(system);
        self.sandboxes.push(sandbox);
        Ok(())
    }

    /// The sandboxes that recognise the process as theirs, each by its index and the strongest role.
    pub(super) fn roles<'r>(&'r self, process: Appearance<'r>) -> impl Iterator<Item = (usize, Role)> + 'r {
        self.sandboxes.iter().enumerate().filter_map(move |(index, sandbox)| {
            let holds = |looks: &[Look]| looks.iter().any(|look| look.holds(process));
            let role = if holds(&sandbox.agents) {
                Role::Agent
            } else if holds(&sandbox.tools) {
                Role::Tool
            } else if holds(&sandbox.helpers) {
                Role::Helper
            } else {
                return None;
            };
            Some((index, role))
        })
    }

    /// Whether a process that is known to have started the sample looks like what starts samples.
    pub(super) fn is_starter(&self, process: Appearance<'_>) -> bool {
        self.sandboxes.iter().flat_map(|s| &s.starters).any(|look| look.holds(process))
    }

    /// Whether a process looks like one that the operating system starts when it boots.
    pub(super) fn is_system(&self, process: Appearance<'_>) -> bool {
        self.system.iter().any(|look| look.holds(process))
    }

    /// The index of the sandbox of this name.
    pub(super) fn sandbox_named<'r>(&'r self, name: &'r str) -> impl Iterator<Item = usize> + 'r {
        let wanted = name.to_lowercase();
        self.sandboxes.iter().enumerate().filter(move |(_, s)| s.name == wanted).map(|(index, _)| index)
    }

    /// How many sandboxes the files describe.
    pub(super) fn sandboxes(&self) -> usize {
        self.sandboxes.len()
    }
}

impl Look {
    fn compile(entry: Entry, file: &str, list: &'static str) -> Result<Self, OriginRulesError> {
        let patterns = |texts: OneOrMany| -> Result<Vec<Pattern>, OriginRulesError> {
            let texts = match texts {
                OneOrMany::One(text) => vec![text],
                OneOrMany::Many(texts) => texts,
            };
            texts.iter().map(|text| Pattern::compile(text, file)).collect()
        };
        let look = Self { image: patterns(entry.image)?, command_line: patterns(entry.command_line)? };
        if look.image.is_empty() && look.command_line.is_empty() {
            return Err(OriginRulesError::Empty { file: file.to_owned(), list });
        }
        Ok(look)
    }

    fn holds(&self, process: Appearance<'_>) -> bool {
        let part = |patterns: &[Pattern], text: Option<&str>| {
            patterns.is_empty() || text.is_some_and(|text| patterns.iter().any(|p| p.0.is_match(text)))
        };
        part(&self.image, process.image) && part(&self.command_line, process.command_line)
    }
}

impl Pattern {
    fn compile(text: &str, file: &str) -> Result<Self, OriginRulesError> {
        let expression = match text.strip_prefix("re:") {
            Some(expression) => format!("^(?:{expression})$"),
            None => {
                let mut expression = String::from("^");
                for c in text.chars() {
                    match c {
                        '*' => expression.push_str(".*"),
                        '?' => expression.push('.'),
                        c => expression.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
                    }
                }
                expression.push('$');
                expression
            }
        };
        regex::RegexBuilder::new(&expression)
            .case_insensitive(true)
            .dot_matches_new_line(true)
            .size_limit(1 << 20)
            .build()
            .map(Self)
            .map_err(|source| OriginRulesError::Pattern {
                file: file.to_owned(),
                pattern: text.to_owned(),
                source: Box::new(source),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> OriginRules {
        let mut rules = OriginRules::default();
        rules.add("test.yml", text).unwrap();
        rules
    }

    fn process<'a>(image: &'a str, command_line: &'a str) -> Appearance<'a> {
        Appearance { image: Some(image), command_line: Some(command_line) }
    }

    #[test]
    fn every_named_part_must_hold_and_case_does_not_matter() {
        let rules = rules(
            "sandbox: x\nhelpers:\n  - image: ['*\\net.exe', '*\\net1.exe']\n    command_line: '*stop BITS?/y'\n",
        );
        let roles = |image, line| rules.roles(process(image, line)).collect::<Vec<_>>();
        assert_eq!(roles("C:\\Windows\\NET.EXE", "net stop bits /y"), [(0, Role::Helper)]);
        assert_eq!(roles("C:\\Windows\\net1.exe", "net stop bits"), []);
        assert_eq!(rules.roles(Appearance { image: Some("C:\\a\\net.exe"), command_line: None }).count(), 0);
    }

    #[test]
    fn an_entry_that_would_hold_for_all_is_refused() {
        let error = OriginRules::default().add("a.yml", "sandbox: x\ntools:\n  - name: all\n").unwrap_err();
        assert!(error.to_string().contains("'tools'"), "{error}");
        assert!(OriginRules::default().add("a.yml", "sandbox: x\ntools:\n  - image: 're:('\n").is_err());
        assert!(OriginRules::default().add("a.yml", "sandbox: x\ntoolz: []\n").is_err());
    }
}
