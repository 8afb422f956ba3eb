//! Owns regular expressions: the specification's dialect (PCRE) brought to the linear engine, else to a bounded
//! backtracking one, and compiled on first use so that loading thousands of rules stays fast.

use super::dialect;
use std::sync::OnceLock;

/// The largest compiled program, in bytes; a pattern beyond it is refused when the rule is loaded.
const SIZE_LIMIT: usize = 4 << 20;
/// How many steps the backtracking engine may take on one value; beyond it the value does not match.
const BACKTRACK_LIMIT: usize = 200_000;
/// The longest pattern, in bytes.
const LENGTH_LIMIT: usize = 64 << 10;

/// A regular expression of the specification's dialect, as written, with its flags; found anywhere in a text.
#[derive(Debug, Clone)]
pub struct Regex {
    pattern: Box<str>,
    flags: Flags,
    program: OnceLock<Option<Program>>,
}

/// The flags that modifiers set; inline flags stay in the pattern.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Flags {
    /// `i`
    pub ignore_case: bool,
    /// `m`
    pub multi_line: bool,
    /// `s`
    pub dot_matches_new_line: bool,
}

/// Which engine runs a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Linear in the text.
    Linear,
    /// Backtracking with a limit of steps, for look-around, back-references, possessive and atomic groups.
    Backtracking,
}

#[derive(Debug, Clone)]
enum Program {
    Linear(regex::Regex),
    Backtracking(Box<fancy_regex::Regex>),
}

impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.pattern == other.pattern && self.flags == other.flags
    }
}

impl Eq for Regex {}

impl std::hash::Hash for Regex {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.pattern.hash(state);
        self.flags.hash(state);
    }
}

impl Regex {
    /// Checks a pattern; the error says what is wrong with it.
    ///
    /// # Errors
    /// Where the pattern is no regular expression of the dialect, or its program would be larger than 4 MiB.
    pub fn new(pattern: &str, flags: Flags) -> Result<Self, String> {
        if pattern.len() > LENGTH_LIMIT {
            return Err(format!("the pattern is longer than {LENGTH_LIMIT} bytes"));
        }
        let regex = Self { pattern: pattern.into(), flags, program: OnceLock::new() };
        match regex.engine() {
            Engine::Linear => {
                let hir = regex_syntax::ParserBuilder::new()
                    .case_insensitive(flags.ignore_case)
                    .multi_line(flags.multi_line)
                    .dot_matches_new_line(flags.dot_matches_new_line)
                    .build()
                    .parse(&regex.translated())
                    .map_err(|error| syntax_message(&error))?;
                if dialect::weight(&hir) > dialect::SURELY_SMALL {
                    let program = regex.build_linear().map_err(|_| too_large())?;
                    let _ = regex.program.set(Some(Program::Linear(program)));
                }
            }
            Engine::Backtracking => {
                let program = regex.build_backtracking().map_err(|error| first_line(&error.to_string()))?;
                let _ = regex.program.set(Some(Program::Backtracking(Box::new(program))));
            }
        }
        Ok(regex)
    }

    /// The pattern, as written.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// The flags that modifiers set.
    pub fn flags(&self) -> Flags {
        self.flags
    }

    /// Which engine runs it.
    pub fn engine(&self) -> Engine {
        if dialect::needs_backtracking(&self.pattern) { Engine::Backtracking } else { Engine::Linear }
    }

    /// The pattern in the syntax of crate `regex`, flags not included; meaningful for [`Engine::Linear`].
    pub fn translated(&self) -> String {
        dialect::translate(&self.pattern, self.engine() == Engine::Linear)
    }

    /// Whether it is found anywhere in the text; compiles on first use.
    ///
    /// A search that reaches the limit of backtracking steps counts as not found.
    pub fn is_match(&self, text: &str) -> bool {
        let program = self.program.get_or_init(|| match self.engine() {
            Engine::Linear => self.build_linear().ok().map(Program::Linear),
            Engine::Backtracking => self.build_backtracking().ok().map(|p| Program::Backtracking(Box::new(p))),
        });
        match program {
            Some(Program::Linear(regex)) => regex.is_match(text),
            Some(Program::Backtracking(regex)) => regex.is_match(text).unwrap_or(false),
            None => false,
        }
    }

    fn build_linear(&self) -> Result<regex::Regex, regex::Error> {
        regex::RegexBuilder::new(&self.translated())
            .case_insensitive(self.flags.ignore_case)
            .multi_line(self.flags.multi_line)
            .dot_matches_new_line(self.flags.dot_matches_new_line)
            .size_limit(SIZE_LIMIT)
            .build()
    }

    fn build_backtracking(&self) -> Result<fancy_regex::Regex, fancy_regex::Error> {
        fancy_regex::RegexBuilder::new(&self.translated())
            .case_insensitive(self.flags.ignore_case)
            .multi_line(self.flags.multi_line)
            .dot_matches_new_line(self.flags.dot_matches_new_line)
            .backtrack_limit(BACKTRACK_LIMIT)
            .delegate_size_limit(SIZE_LIMIT)
            .build()
    }
}

impl std::fmt::Display for Regex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.pattern)
    }
}

fn too_large() -> String {
    format!("the compiled pattern is larger than {SIZE_LIMIT} bytes")
}

fn syntax_message(error: &regex_syntax::Error) -> String {
    match error {
        regex_syntax::Error::Parse(error) => error.kind().to_string(),
        regex_syntax::Error::Translate(error) => error.kind().to_string(),
        other => first_line(&other.to_string()),
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pattern: &str, text: &str) -> bool {
        Regex::new(pattern, Flags::default()).unwrap_or_else(|e| panic!("{pattern}: {e}")).is_match(text)
    }

    #[test]
    fn what_pcre_allows_and_the_linear_engine_does_not() {
        assert!(found(r#"\"x\""#, r#"a "x" b"#));
        assert!(found(r"http:\/\/a", "http://a"));
        assert!(found(r"\<script\>", "<script>"));
        assert!(found(r"a]b", "a]b"));
        assert!(found(r"{a}", "{a}"));
        assert!(found(r"${env:x}", "${env:x}") || !found(r"${env:x}", ""));
        assert!(found(r"[[]x", "[x"));
        assert!(found(r"[\w-.]+$", "-"));
        assert!(found(r"a&&b", "a&&b"));
        assert!(found(r"[a&&b]", "&"));
        assert!(found(r"[]a]", "]"));
        assert!(found(r"\Qa.b\E", "a.b"));
        assert!(!found(r"\Qa.b\E", "axb"));
        assert!(found(r"[[:alpha:]]", "x"));
        assert!(!found(r"^\d$", "٣"), "classes are ASCII, as in PCRE");
    }

    #[test]
    fn what_needs_backtracking_runs_and_is_bounded() {
        let regex = Regex::new(r"^(?!evil)\w+$", Flags::default()).unwrap();
        assert_eq!(regex.engine(), Engine::Backtracking);
        assert!(regex.is_match("good") && !regex.is_match("evil"));
        assert!(found(r"(a)\1", "aa"));
        assert!(!found(r"a++a", "aaa"), "possessive");
        let slow = Regex::new(r"^(?=(a+)+$)\1b", Flags::default()).unwrap();
        assert!(!slow.is_match(&"a".repeat(4000)));
    }

    #[test]
    fn flags_and_limits() {
        let i = Flags { ignore_case: true, ..Flags::default() };
        assert!(Regex::new("abc", i).unwrap().is_match("xABC"));
        assert!(!found("abc", "ABC"));
        assert!(!found("a.b", "a\nb"));
        assert!(Regex::new(r"(\w{1000}){1000}", Flags::default()).is_err());
        assert!(Regex::new("(", Flags::default()).is_err());
    }
}
