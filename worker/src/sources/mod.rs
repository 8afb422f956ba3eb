//! Owns where rules come from: named sources on disk and what ships, read into one rule set. One bad file never stops
//! the rest; every file or rule left out has its diagnostic.

mod assembly;
mod folder;
mod glob;

pub use assembly::{Assembled, Assembly};
pub use folder::{FileOnDisk, walk};
pub use glob::glob;

use crate::shipped;
use sandsift_sigma::rule::{Level, Rule};
use sandsift_sigma::{Builder, Diagnostic, Options, RuleSet, Severity, SourceFile};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// Bytes that a rule file may have; SigmaHQ's largest has a quarter of one.
const FILE_LIMIT: u64 = 4 << 20;

/// A named part of the rule set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Becomes `rule_source` of every match.
    pub name: String,
    /// A rule file or a folder of them.
    pub path: PathBuf,
    /// The licence of its rules, where these name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// Whether it is read at all.
    #[serde(default = "enabled")]
    pub enabled: bool,
    /// Rules below this level are left out; one without a level counts as `informational`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_level: Option<MinimumLevel>,
    /// Only rules of these statuses; empty takes all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub statuses: Vec<String>,
    /// Only these: rule ids, or globs over the path below `path`; empty takes all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// Not these, in the same words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// Where an archive of the source can be fetched from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The SHA-256 that the archive must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The folder inside the archive that holds the rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subfolder: Option<String>,
}

fn enabled() -> bool {
    true
}

/// A level as configuration names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum MinimumLevel {
    Informational,
    Low,
    Medium,
    High,
    Critical,
}

impl From<MinimumLevel> for Level {
    fn from(level: MinimumLevel) -> Self {
        match level {
            MinimumLevel::Informational => Self::Informational,
            MinimumLevel::Low => Self::Low,
            MinimumLevel::Medium => Self::Medium,
            MinimumLevel::High => Self::High,
            MinimumLevel::Critical => Self::Critical,
        }
    }
}

impl Source {
    /// All of a file or folder, named as in `name=path`, else after the last part of the path.
    pub fn from_argument(argument: &str) -> Self {
        let named = argument.split_once('=').filter(|(name, _)| !name.is_empty() && !name.contains(['/', '\\']));
        let (name, path) = match named {
            Some((name, path)) if !Path::new(argument).exists() => (name.to_owned(), PathBuf::from(path)),
            _ => (name_of(Path::new(argument)), PathBuf::from(argument)),
        };
        Self {
            name,
            path,
            licence: None,
            enabled: true,
            minimum_level: None,
            statuses: Vec::new(),
            include: Vec::new(),
            exclude: Vec::new(),
            url: None,
            sha256: None,
            subfolder: None,
        }
    }

    /// Whether the source takes a rule that stands at `relative` below its path.
    fn takes(&self, relative: &str, rule: &Rule) -> bool {
        let id = rule.id.to_string();
        let named = |patterns: &[String]| {
            patterns.iter().any(|pattern| pattern.eq_ignore_ascii_case(&id) || glob(pattern, relative))
        };
        let level = rule.metadata.level.unwrap_or(Level::Informational);
        self.minimum_level.is_none_or(|minimum| level >= minimum.into())
            && (self.statuses.is_empty()
                || rule.metadata.status.as_ref().is_some_and(|status| self.statuses.iter().any(|s| s == status)))
            && (self.include.is_empty() || named(&self.include))
            && !named(&self.exclude)
    }
}

/// The last part of a path, `rules` for one that has none.
fn name_of(path: &Path) -> String {
    let full = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = if full.is_file() { full.file_stem() } else { full.file_name() };
    name.map_or_else(|| "rules".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// A rule set and all that was said while it was read.
#[derive(Debug)]
pub struct Loaded {
    /// The compiled rules.
    pub rules: Arc<RuleSet>,
    /// Findings by file and line; an error means that a rule or a file was left out.
    pub diagnostics: Vec<Diagnostic>,
    /// Files that were read.
    pub files: usize,
}

impl Loaded {
    /// How many findings are errors.
    pub fn errors(&self) -> usize {
        self.diagnostics.iter().filter(|finding| finding.severity == Severity::Error).count()
    }
}

/// Reads sources, and what ships where `with_shipped`, into one rule set.
pub fn load(sources: &[Source], with_shipped: bool, options: Options) -> Loaded {
    let mut builder = Builder::new(options);
    let mut findings = Vec::new();
    let mut files = 0;
    if with_shipped {
        for file in shipped::files(shipped::Class::Rule) {
            let name = format!("shipped:{}", file.path);
            builder.add(&SourceFile { source: shipped::SOURCE, file: &name, text: file.bytes });
            files += 1;
        }
    }
    for source in sources.iter().filter(|source| source.enabled) {
        let (found, problems) = walk(&source.path);
        findings.extend(problems);
        for file in found.iter().filter(|file| is_rule_file(&file.relative)) {
            let name = file.path.display().to_string();
            match read(&file.path) {
                Ok(text) => {
                    let text = SourceFile { source: &source.name, file: &name, text: &text };
                    builder.add_if(&text, |rule| source.takes(&file.relative, rule));
                }
                Err(finding) => findings.push(*finding),
            }
            files += 1;
        }
    }
    let (rules, mut diagnostics) = builder.build();
    diagnostics.extend(findings);
    diagnostics.sort_by(|a, b| (&a.file, a.line, a.column, a.code).cmp(&(&b.file, b.line, b.column, b.code)));
    Loaded { rules: Arc::new(rules), diagnostics, files }
}

/// Whether a file below a source's path holds rules.
pub fn is_rule_file(relative: &str) -> bool {
    shipped::class_of(relative) == shipped::Class::Rule
}

/// Reads a rule file within [`FILE_LIMIT`].
fn read(path: &Path) -> Result<Vec<u8>, Box<Diagnostic>> {
    let unreadable = |error: std::io::Error| Box::new(folder::unreadable(path, &error));
    let length = std::fs::metadata(path).map_err(unreadable)?.len();
    if length > FILE_LIMIT {
        let message = format!("{length} bytes exceed the limit of {FILE_LIMIT} for a rule file");
        let help = "split the file, or leave it out with 'exclude'";
        return Err(Box::new(folder::finding("file-too-large", path, message, help)));
    }
    std::fs::read(path).map_err(unreadable)
}

/// Tells whether anything under the sources changed: a digest over paths, lengths and times of change.
pub fn fingerprint(paths: &[PathBuf]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for path in paths {
        let (files, _) = walk(path);
        for file in files {
            hash.update(file.path.as_os_str().as_encoded_bytes());
            if let Ok(metadata) = std::fs::metadata(&file.path) {
                hash.update(metadata.len().to_le_bytes());
                let changed =
                    metadata.modified().ok().and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
                hash.update(changed.map_or(0, |time| time.as_nanos()).to_le_bytes());
            }
        }
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_names_its_source() {
        assert_eq!(Source::from_argument("SigmaHQ=/nowhere/rules").name, "SigmaHQ");
        assert_eq!(Source::from_argument("SigmaHQ=/nowhere/rules").path, Path::new("/nowhere/rules"));
        assert_eq!(Source::from_argument("/nowhere/a=b/rules").name, "rules");
    }

    #[test]
    fn a_missing_path_is_a_finding_and_the_rest_loads() {
        let loaded = load(&[Source::from_argument("/nowhere/at/all")], true, Options::default());
        assert_eq!(loaded.errors(), 1);
        assert_eq!(loaded.diagnostics[0].code, "file-unreadable");
    }
}
