//! Owns compiling a mapping file: every key is known, every path, transform and table checked, and each finding names
//! file, line and remedy. Loading never fails as a whole: a file with an error is left out, the others load.

mod expression;
mod section;

use crate::mapping::expr::{self, Alternative, Expr, Source};
use crate::mapping::model::{IndexSection, Mapping, Recognise};
use crate::mapping::path::{Path, Step};
use crate::mapping::transform::{Table, nearest};
use crate::mapping::walk::{Keep, Tree};
use crate::mapping::yaml::{self, Kind, Yaml};
use crate::{Context, Platform};
use expression::{each_path, keep};
use rustc_hash::FxHashMap;
use sandsift_sigma::{Diagnostic, Severity};
use std::sync::Arc;

const FILE_KEYS: &[&str] = &[
    "mapping",
    "title",
    "kind",
    "recognise",
    "priority",
    "platform",
    "sample",
    "one_run",
    "context",
    "partial",
    "roots",
    "tables",
    "groups",
    "indexes",
    "processes",
    "events",
];
const RECOGNISE_KEYS: &[&str] = &["has", "any", "like", "lacks"];

/// Compiles one file; `None` if it had an error.
pub(in crate::mapping) fn compile(file: &str, text: &str, findings: &mut Vec<Diagnostic>) -> Option<Mapping> {
    let file: Arc<str> = file.into();
    let yaml = match yaml::parse(text) {
        Ok(yaml) => yaml,
        Err(broken) => {
            let message = format!("not YAML: {}", broken.message);
            let mut finding =
                Diagnostic::of_file("not-yaml", Severity::Error, file, message, "mend the notation at this place");
            (finding.line, finding.column) = (broken.line, broken.column);
            finding.source_line = line_of(text, broken.line);
            findings.push(finding);
            return None;
        }
    };
    let mut compiler = Compiler {
        file,
        text,
        findings,
        failed: false,
        paths: Vec::new(),
        tables: FxHashMap::default(),
        groups: FxHashMap::default(),
        sets: Vec::new(),
        scopes: Vec::new(),
        roots: Vec::new(),
        indexes: Vec::new(),
    };
    compiler.mapping(&yaml).filter(|_| !compiler.failed)
}

fn line_of(text: &str, line: u32) -> String {
    text.lines().nth(line.saturating_sub(1) as usize).unwrap_or("").trim().chars().take(120).collect()
}

struct Compiler<'c> {
    file: Arc<str>,
    text: &'c str,
    findings: &'c mut Vec<Diagnostic>,
    failed: bool,
    paths: Vec<(Box<str>, u32)>,
    tables: FxHashMap<Box<str>, Arc<Table>>,
    groups: FxHashMap<Box<str>, Vec<(Box<str>, Expr)>>,
    sets: Vec<Box<str>>,
    scopes: Vec<(Vec<Step>, Keep)>,
    roots: Vec<Vec<Step>>,
    indexes: Vec<Box<str>>,
}

impl Compiler<'_> {
    fn error(&mut self, at: &Yaml, code: &'static str, message: impl Into<String>, help: impl Into<String>) {
        self.failed = true;
        let mut finding = Diagnostic::of_file(code, Severity::Error, Arc::clone(&self.file), message, help);
        (finding.line, finding.column) = (at.line, at.column);
        finding.text = at.scalar().unwrap_or("").chars().take(120).collect();
        finding.source_line = line_of(self.text, at.line);
        self.findings.push(finding);
    }

    /// Refuses unknown keys, each with the nearest right one.
    fn keys<'y>(&mut self, yaml: &'y Yaml, known: &[&str], what: &str) -> &'y [(Yaml, Yaml)] {
        let Some(members) = yaml.members() else {
            self.error(
                yaml,
                "bad-shape",
                format!("{what} must be a map"),
                format!("its keys are {}", known.join(", ")),
            );
            return &[];
        };
        for (at, (key, _)) in members.iter().enumerate() {
            let name = key.scalar().unwrap_or("");
            if !known.contains(&name) {
                let help = match nearest(name, known.iter().copied()) {
                    Some(near) => format!("did you mean '{near}'?"),
                    None => format!("the keys of {what} are {}", known.join(", ")),
                };
                self.error(key, "unknown-key", format!("unknown key '{name}' in {what}"), help);
            }
            if members[..at].iter().any(|(other, _)| other.scalar() == Some(name)) {
                self.error(key, "repeated-key", format!("'{name}' stands twice"), "keep one of them");
            }
        }
        members
    }

    fn text_of(&mut self, yaml: &Yaml, what: &str) -> Box<str> {
        match yaml.scalar() {
            Some(text) if !text.is_empty() => text.into(),
            _ => {
                self.error(yaml, "bad-shape", format!("{what} must be a text"), "write one word or line");
                "".into()
            }
        }
    }

    fn flag(&mut self, yaml: Option<&Yaml>, what: &str) -> bool {
        match yaml.map(|y| (y, y.scalar())) {
            None | Some((_, Some("false"))) => false,
            Some((_, Some("true"))) => true,
            Some((at, _)) => {
                self.error(at, "bad-shape", format!("{what} must be true or false"), "write true or false");
                false
            }
        }
    }

    fn path(&mut self, yaml: &Yaml) -> Path {
        match Path::parse(yaml.scalar().unwrap_or("")) {
            Ok(path) => path,
            Err(why) => {
                self.error(yaml, "bad-path", why, "docs/mappings.md tells how a path is written");
                Path { steps: Vec::new() }
            }
        }
    }

    fn texts(&mut self, yaml: &Yaml, what: &str) -> Vec<Box<str>> {
        yaml.items().iter().map(|item| self.text_of(item, what)).collect()
    }

    fn mapping(&mut self, yaml: &Yaml) -> Option<Mapping> {
        self.keys(yaml, FILE_KEYS, "a mapping file");
        let Some(name) = yaml.get("mapping").cloned() else {
            self.error(yaml, "missing-key", "a mapping needs a name", "begin the file with `mapping: NAME`");
            return None;
        };
        let name = self.text_of(&name, "the mapping's name");
        let title = yaml.get("title").map_or_else(|| name.clone(), |t| self.text_of(t, "the title"));
        let kinds = yaml.get("kind").map_or_else(|| vec![name.clone()], |k| self.texts(k, "a kind"));
        let priority = match yaml.get("priority") {
            None => 0,
            Some(at) => at.scalar().and_then(|t| t.parse().ok()).unwrap_or_else(|| {
                self.error(at, "bad-shape", "the priority must be a number", "write 0, 10 or -10");
                0
            }),
        };
        self.read_tables(yaml);
        self.roots = match yaml.get("roots") {
            None => vec![Vec::new()],
            Some(roots) => roots.items().iter().map(|root| self.path(root).steps).collect(),
        };
        let indexes = yaml.get("indexes").and_then(Yaml::members).unwrap_or_default();
        self.indexes = indexes.iter().map(|(name, _)| self.text_of(name, "an index's name")).collect();
        self.read_groups(yaml);
        let recognise = yaml.get("recognise").map(|r| self.recognise(r)).unwrap_or_default();
        let context = match yaml.get("context").map(|c| (c, c.scalar())) {
            None | Some((_, Some("used"))) => Context::Used,
            Some((_, Some("whole"))) => Context::Whole,
            Some((at, _)) => {
                self.error(at, "bad-shape", "the context must be used or whole", "write `context: used`");
                Context::Used
            }
        };
        let (one_run, partial) = (self.flag(yaml.get("one_run"), "one_run"), self.flag(yaml.get("partial"), "partial"));

        let mut prepare = Tree::default();
        let mut walk = Tree::default();
        // The report itself is a scope, so that the platform can be read from it and `^` finds it from a flat list.
        let platform = yaml.get("platform").map(|p| self.platform(p)).unwrap_or_default();
        let mut sample =
            |key: &str| yaml.get("sample").and_then(|s| s.get(key)).map(|y| self.expr(y)).unwrap_or_default();
        let (sample_name, sample_sha256, sample_pid) = (sample("name"), sample("sha256"), sample("pid"));
        if let Some(sample) = yaml.get("sample") {
            self.keys(sample, &["name", "sha256", "pid"], "`sample`");
        }
        let of_root = [&platform, &sample_name, &sample_sha256, &sample_pid];
        let root_scope = of_root.iter().any(|expr| !expr.is_constant()).then(|| {
            let mut keep = Keep::nothing();
            of_root.iter().for_each(|expr| each_path(expr, false, &mut |path| keep.add(path)));
            let sections = ["processes", "events"].map(|key| yaml.get(key).map(Yaml::items).unwrap_or_default());
            let of_lines = sections.concat().iter().all(|section| section.get("each").is_none());
            self.scope(if of_lines { vec![Step::Items] } else { Vec::new() }, keep)
        });

        let mut processes = Vec::new();
        for section in yaml.get("processes").map(Yaml::items).unwrap_or_default() {
            processes.extend(self.process(section, processes.len(), &mut prepare));
        }
        let first_index = processes.len();
        let mut index_sections = Vec::new();
        for (_, section) in indexes {
            self.keys(section, &["each", "key", "value"], "an index");
            let mut part = |key: &str| section.get(key).map(|y| self.expr(y)).unwrap_or_default();
            let index = IndexSection { key: part("key"), value: part("value") };
            if let Some(each) = self.each(section) {
                let keep = keep([&index.key, &index.value].into_iter(), &[], None);
                self.lay(&each, first_index + index_sections.len(), keep, None, &mut prepare);
            }
            index_sections.push(index);
        }
        let mut events = Vec::new();
        for section in yaml.get("events").map(Yaml::items).unwrap_or_default() {
            events.extend(self.event(section, events.len(), &mut walk));
        }
        if events.is_empty() {
            self.error(yaml, "missing-key", "a mapping needs at least one event", "add a list `events`");
        }
        self.lay_scopes(first_index + index_sections.len(), &mut prepare, &mut walk);
        if let Some(name) = prepare.overlap().or_else(|| walk.overlap()) {
            let message = format!("'{name}' is both a field of a record and holds records of its own");
            self.error(
                yaml,
                "overlapping-records",
                message,
                "read it in the section of its own records alone, with `^` for what stands around",
            );
        }
        Some(Mapping {
            name,
            title,
            file: Arc::clone(&self.file),
            kinds,
            recognise,
            priority,
            platform,
            one_run,
            context,
            partial,
            prepare,
            sample_name,
            sample_sha256,
            sample_pid,
            root_scope,
            walk,
            scopes: self.scopes.len(),
            processes,
            indexes: index_sections,
            events,
            paths: std::mem::take(&mut self.paths),
        })
    }

    fn read_tables(&mut self, yaml: &Yaml) {
        for (name, table) in yaml.get("tables").and_then(Yaml::members).unwrap_or_default() {
            let mut entries = FxHashMap::default();
            for (key, value) in table.members().unwrap_or_default() {
                let (key, value) = (self.text_of(key, "a table's key"), self.text_of(value, "a table's value"));
                entries.insert(key.to_lowercase().into(), value);
            }
            if entries.is_empty() {
                self.error(table, "bad-shape", "a table must be a map of texts", "write `key: value` lines");
            }
            let name = self.text_of(name, "a table's name");
            self.tables.insert(name, Arc::new(Table(entries)));
        }
    }

    fn read_groups(&mut self, yaml: &Yaml) {
        for (name, fields) in yaml.get("groups").and_then(Yaml::members).unwrap_or_default() {
            let fields = self.fields(fields);
            let name = self.text_of(name, "a group's name");
            self.groups.insert(name, fields);
        }
    }

    fn recognise(&mut self, yaml: &Yaml) -> Vec<Recognise> {
        let mut ways = Vec::new();
        for way in yaml.items() {
            self.keys(way, RECOGNISE_KEYS, "`recognise`");
            let mut paths = |key: &str| -> Vec<Vec<Path>> {
                way.get(key).map(Yaml::items).unwrap_or_default().iter().map(|path| self.rooted(path)).collect()
            };
            let (has, any, lacks) = (paths("has"), paths("any").concat(), paths("lacks").concat());
            let mut like = Vec::new();
            for (path, patterns) in way.get("like").and_then(Yaml::members).unwrap_or_default() {
                like.push((self.rooted(path), self.texts(patterns, "a pattern")));
            }
            if has.is_empty() && like.is_empty() && any.is_empty() {
                let help = "name a path that only this format has";
                self.error(way, "bad-shape", "a way to recognise needs `has`, `any` or `like`", help);
            }
            ways.push(Recognise { has, any, like, lacks });
        }
        ways
    }

    /// A path below each root, or with a slash before it from the document's own.
    fn rooted(&mut self, yaml: &Yaml) -> Vec<Path> {
        let text = yaml.scalar().unwrap_or("");
        let absolute = text.strip_prefix('/');
        let path = Yaml { value: Kind::Scalar(absolute.unwrap_or(text).to_owned()), ..yaml.clone() };
        let path = self.path(&path);
        if path.steps.iter().any(|step| matches!(step, Step::Index(_) | Step::Where(..))) {
            self.error(
                yaml,
                "bad-path",
                "`recognise` walks names, `[]` and `*` alone",
                "name a member without a choice",
            );
        }
        match absolute {
            Some(_) => vec![path],
            None => self.roots.iter().map(|root| Path { steps: [&root[..], &path.steps].concat() }).collect(),
        }
    }

    /// `platform: windows`, or where in the report it stands.
    fn platform(&mut self, yaml: &Yaml) -> Expr {
        match yaml.scalar() {
            Some(name) if platform_of(name).is_some() => Expr {
                alternatives: vec![Alternative {
                    when: Vec::new(),
                    source: Source::Constant(expr::Constant::Text(name.into())),
                    transforms: Vec::new(),
                }],
                ..Expr::default()
            },
            _ => self.expr(yaml),
        }
    }
}

pub(in crate::mapping) fn platform_of(name: &str) -> Option<Platform> {
    Platform::ALL.into_iter().find(|platform| platform.as_str().eq_ignore_ascii_case(name))
}
