//! Owns compiling a mapping file: every key is known, every path, transform and table checked, and each finding names
//! file, line and remedy. Loading never fails as a whole: a file with an error is left out, the others load.

use super::expr::{self, Alternative, Condition, Expr, Parsing, Source, Test};
use super::model::{Decoder, EventSection, IndexSection, Mapping, ProcessSection, Recognise};
use super::path::{Path, Step};
use super::transform::{Table, nearest};
use super::walk::{Keep, Tree};
use super::yaml::{self, Kind, Yaml};
use crate::{Context, Platform};
use rustc_hash::FxHashMap;
use sandsift_sigma::{Diagnostic, EventSource, Severity};
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
const PROCESS_KEYS: &[&str] =
    &["each", "descend", "when", "unless", "pid", "parent", "image", "command_line", "name", "user", "start"];
const EVENT_KEYS: &[&str] = &[
    "name",
    "each",
    "descend",
    "decoder",
    "platforms",
    "when",
    "unless",
    "process",
    "parent",
    "process_text",
    "unless_process",
    "once",
    "time",
    "id",
    "channel",
    "logsource",
    "needs",
    "partial",
    "use",
    "fields",
];
const ALTERNATIVE_KEYS: &[&str] = &["when", "unless", "value", "concat"];

/// Compiles one file; `None` if it had an error.
pub(super) fn compile(file: &str, text: &str, findings: &mut Vec<Diagnostic>) -> Option<Mapping> {
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

    fn process(&mut self, yaml: &Yaml, end: usize, prepare: &mut Tree) -> Option<ProcessSection> {
        self.keys(yaml, PROCESS_KEYS, "a process section");
        let each = self.each(yaml)?;
        let mut part = |key: &str| yaml.get(key).map(|y| self.expr(y)).unwrap_or_default();
        let (pid, parent, image) = (part("pid"), part("parent"), part("image"));
        let (command_line, name, user, start) = (part("command_line"), part("name"), part("user"), part("start"));
        let section = ProcessSection {
            descend: yaml.get("descend").map(|d| self.path(d)),
            when: self.conditions(yaml),
            pid,
            parent,
            image,
            command_line,
            name,
            user,
            start,
        };
        let exprs = [
            &section.pid,
            &section.parent,
            &section.image,
            &section.command_line,
            &section.name,
            &section.user,
            &section.start,
        ];
        let keep = keep(exprs.into_iter(), &section.when, section.descend.as_ref());
        let enclosing = enclosing(exprs.into_iter(), &section.when);
        self.lay(&each, end, keep, enclosing, prepare);
        Some(section)
    }

    fn event(&mut self, yaml: &Yaml, end: usize, walk: &mut Tree) -> Option<EventSection> {
        self.keys(yaml, EVENT_KEYS, "an event section");
        let each = self.each(yaml)?;
        let decoder = match yaml.get("decoder").map(|d| (d, d.scalar())) {
            None => Decoder::Fields,
            Some((_, Some("windows_event"))) => Decoder::WindowsEvent,
            Some((at, _)) => {
                self.error(at, "unknown-decoder", "unknown decoder", "there is `windows_event`");
                return None;
            }
        };
        let mut fields = Vec::new();
        for group in yaml.get("use").map(Yaml::items).unwrap_or_default() {
            let name = group.scalar().unwrap_or("");
            match self.groups.get(name) {
                Some(group) => fields.extend(group.iter().cloned()),
                None => {
                    self.error(group, "unknown-group", format!("unknown group '{name}'"), "define it under `groups`")
                }
            }
        }
        for (name, expr) in yaml.get("fields").map(|f| self.fields(f)).unwrap_or_default() {
            // A section's own field stands instead of the group's.
            fields.retain(|(known, _): &(Box<str>, Expr)| *known != name);
            fields.push((name, expr));
        }
        if fields.is_empty() && decoder == Decoder::Fields {
            self.error(yaml, "missing-key", "an event needs fields", "add `fields` or `use`");
        }
        let platforms = self.platforms(yaml);
        let sources = self.logsource(yaml, decoder)?;
        let once = yaml.get("once").map(|once| {
            let (set, key) = match once.members() {
                Some([(set, key)]) => (self.text_of(set, "a set's name"), self.expr(key)),
                _ => {
                    self.error(once, "bad-shape", "`once` must name a set and a key", "write `once: {created: pid}`");
                    ("".into(), Expr::default())
                }
            };
            let known = self.sets.iter().position(|known| *known == set).unwrap_or_else(|| {
                self.sets.push(set);
                self.sets.len() - 1
            });
            (known as u16, key)
        });
        let mut part = |key: &str| yaml.get(key).map(|y| self.expr(y));
        let (process, parent, process_text) = (part("process"), part("parent"), part("process_text"));
        let (unless_process, time, id) = (part("unless_process"), part("time"), part("id"));
        let section = EventSection {
            name: yaml.get("name").map_or_else(|| "event".into(), |n| self.text_of(n, "an event's name")),
            line: yaml.line,
            decoder,
            descend: yaml.get("descend").map(|d| self.path(d)),
            platforms,
            when: self.conditions(yaml),
            process,
            parent,
            process_text,
            unless_process,
            once,
            time,
            id,
            channel: yaml.get("channel").map(|c| self.text_of(c, "a channel")),
            sources,
            needs: yaml.get("needs").map(|n| self.texts(n, "a field's name")).unwrap_or_default(),
            fields,
            partial: self.flag(yaml.get("partial"), "partial"),
        };
        let filled = |name: &Box<str>| section.fields.iter().any(|(known, _)| known == name);
        if let Some(name) = section.needs.iter().find(|name| !filled(name)) {
            let message = format!("the event needs '{name}', which no field fills");
            self.error(yaml.get("needs").unwrap_or(yaml), "unknown-field", message, "name one of its fields");
        }
        let exprs: Vec<&Expr> = [&section.process, &section.parent, &section.process_text, &section.unless_process]
            .into_iter()
            .chain([&section.time, &section.id])
            .flatten()
            .chain(section.once.iter().map(|(_, key)| key))
            .chain(section.fields.iter().map(|(_, expr)| expr))
            .collect();
        let keep = match section.decoder {
            Decoder::WindowsEvent => Keep::All,
            Decoder::Fields => keep(exprs.iter().copied(), &section.when, section.descend.as_ref()),
        };
        let enclosing = enclosing(exprs.iter().copied(), &section.when).filter(|_| section.descend.is_none());
        self.lay(&each, end, keep, enclosing, walk);
        Some(section)
    }

    fn platforms(&mut self, yaml: &Yaml) -> Vec<Platform> {
        let mut platforms = Vec::new();
        for item in yaml.get("platforms").map(Yaml::items).unwrap_or_default() {
            match item.scalar().and_then(platform_of) {
                Some(platform) => platforms.push(platform),
                None => self.error(item, "unknown-platform", "unknown platform", "there are windows, linux, macos"),
            }
        }
        platforms
    }

    /// The source by platform: none, windows, linux, macos.
    fn logsource(&mut self, yaml: &Yaml, decoder: Decoder) -> Option<[Arc<EventSource>; 4]> {
        let nothing = || EventSource::new(None, [], []);
        let Some(logsource) = yaml.get("logsource") else {
            if decoder == Decoder::Fields {
                self.error(
                    yaml,
                    "missing-key",
                    "an event needs a logsource",
                    "add `logsource: {category: process_creation}`",
                );
            }
            return Some([nothing(), nothing(), nothing(), nothing()]);
        };
        self.keys(logsource, &["product", "category", "service"], "a logsource");
        let mut names = |key: &str| logsource.get(key).map(|n| self.texts(n, "a logsource's part")).unwrap_or_default();
        let (product, categories, services) = (names("product"), names("category"), names("service"));
        let source = |platform: Option<Platform>| {
            // `none` is how a log that is no platform's, such as a proxy's, says so.
            let product = match product.first().map(|p| &**p) {
                Some("none") => None,
                Some(product) => Some(product),
                None => platform.map(Platform::as_str),
            };
            EventSource::new(product, categories.iter().map(|c| &**c), services.iter().map(|s| &**s))
        };
        let [windows, linux, macos] = Platform::ALL.map(|platform| source(Some(platform)));
        Some([source(None), windows, linux, macos])
    }

    fn each(&mut self, yaml: &Yaml) -> Option<(Vec<Step>, Yaml)> {
        let each = match yaml.get("each") {
            // Without a path, the document itself is the record, or each member where it is a list.
            None => return Some((vec![Step::Items], yaml.clone())),
            Some(each) => each,
        };
        let path = self.path(each);
        if path.steps.iter().any(|step| matches!(step, Step::Index(_) | Step::Where(..))) {
            self.error(each, "bad-path", "`each` walks names, `[]` and `*` alone", "put the choice under `when`");
            return None;
        }
        Some((path.steps, each.clone()))
    }

    /// Lays the records of a section into the tree, below each root, and the scope that it refers to.
    fn lay(
        &mut self,
        (each, at): &(Vec<Step>, Yaml),
        end: usize,
        keep: Keep,
        enclosing: Option<Keep>,
        tree: &mut Tree,
    ) {
        for root in self.roots.clone() {
            let steps: Vec<Step> = root.iter().chain(each).cloned().collect();
            if !tree.end(&steps, end, keep.clone()) {
                self.error(at, "bad-path", "a root walks names, `[]` and `*` alone", "put the choice under `when`");
            }
            if each[..] == [Step::Items] && self.roots.len() > 1 {
                // Where other roots begin below this one, a record that is no list is not taken for a list of one.
                tree.end(&root, end, keep.clone());
            }
        }
        if let Some(keep) = enclosing {
            // What `^` means: the nearest list member around, else the report itself.
            let around =
                each[..each.len().saturating_sub(1)].iter().rposition(|s| matches!(s, Step::Items | Step::Members));
            let steps = around.map_or(Vec::new(), |last| each[..=last].to_vec());
            self.scope(steps, keep);
        }
    }

    fn scope(&mut self, steps: Vec<Step>, keep: Keep) -> usize {
        if let Some(known) = self.scopes.iter().position(|(other, _)| *other == steps) {
            if let (Keep::Names(names), Keep::Names(more)) = (&mut self.scopes[known].1, &keep) {
                names.extend(more.iter().cloned());
            } else {
                self.scopes[known].1 = Keep::All;
            }
            return known;
        }
        self.scopes.push((steps, keep));
        self.scopes.len() - 1
    }

    fn lay_scopes(&mut self, first_end: usize, prepare: &mut Tree, walk: &mut Tree) {
        for (scope, (steps, keep)) in self.scopes.iter().enumerate() {
            for root in &self.roots {
                let inside: Vec<Step> = root.iter().chain(steps).cloned().collect();
                // As `lay` has it for records.
                let itself = (steps[..] == [Step::Items] && self.roots.len() > 1).then(|| root.clone());
                for steps in [inside].into_iter().chain(itself) {
                    prepare.end(&steps, first_end + scope, keep.clone());
                    prepare.scope(&steps, scope);
                    walk.scope(&steps, scope);
                }
            }
        }
    }

    fn fields(&mut self, yaml: &Yaml) -> Vec<(Box<str>, Expr)> {
        let Some(members) = yaml.members() else {
            self.error(yaml, "bad-shape", "fields must be a map", "write `Field: path | transform` lines");
            return Vec::new();
        };
        members.iter().map(|(name, value)| (self.text_of(name, "a field's name"), self.expr(value))).collect()
    }

    /// An expression, a list of alternatives, `{all: […]}` or `{when: …, value: …}`.
    fn expr(&mut self, yaml: &Yaml) -> Expr {
        if let Some(all) = yaml.get("all") {
            self.keys(yaml, &["all", "join"], "a field with `all`");
            let join = yaml.get("join").map(|j| self.text_of(j, "what joins"));
            return Expr { all: true, join, ..self.expr(all) };
        }
        let alternatives = yaml.items().iter().filter_map(|item| self.alternative(item)).collect();
        Expr { alternatives, ..Expr::default() }
    }

    fn alternative(&mut self, yaml: &Yaml) -> Option<Alternative> {
        let (value, when) = match &yaml.value {
            Kind::Scalar(..) => (yaml, Vec::new()),
            Kind::Map(_) => {
                self.keys(yaml, ALTERNATIVE_KEYS, "an alternative");
                if let Some(parts) = yaml.get("concat") {
                    let source = Source::Concat(parts.items().iter().map(|part| self.expr(part)).collect());
                    return Some(Alternative { when: self.conditions(yaml), source, transforms: Vec::new() });
                }
                let Some(value) = yaml.get("value") else {
                    self.error(yaml, "missing-key", "an alternative needs a value", "write `{when: …, value: …}`");
                    return None;
                };
                (value, self.conditions(yaml))
            }
            Kind::List(_) => {
                self.error(yaml, "bad-shape", "a list stands in a list", "write one list of alternatives");
                return None;
            }
        };
        let mut parsing = Parsing { tables: &self.tables, indexes: &self.indexes, paths: &mut self.paths };
        match expr::parse(value.scalar().unwrap_or(""), value.line, &mut parsing) {
            Ok(alternative) => Some(Alternative { when, ..alternative }),
            Err((code, message, help)) => {
                self.error(value, code, message, help);
                None
            }
        }
    }

    /// What a condition asks of its path.
    fn test(&mut self, yaml: &Yaml) -> Option<Test> {
        if yaml.members().is_some() {
            self.keys(yaml, &["exists", "same"], "a condition");
        }
        if let Some(exists) = yaml.get("exists") {
            return Some(Test::Exists(self.flag(Some(exists), "exists")));
        }
        let Some(same) = yaml.get("same") else {
            return Some(Test::Any(self.texts(yaml, "a condition's text").into()));
        };
        let mut parsing = Parsing { tables: &self.tables, indexes: &self.indexes, paths: &mut self.paths };
        match expr::source(same.scalar().unwrap_or(""), same.line, &mut parsing) {
            Ok(source) => Some(Test::Same(source)),
            Err((code, message, help)) => {
                self.error(same, code, message, help);
                None
            }
        }
    }

    /// What stands under `when` and `unless`.
    fn conditions(&mut self, yaml: &Yaml) -> Vec<Condition> {
        let mut conditions = Vec::new();
        for (key, negated) in [("when", false), ("unless", true)] {
            let Some(map) = yaml.get(key) else { continue };
            if map.members().is_none() {
                self.error(
                    map,
                    "bad-shape",
                    format!("`{key}` must be a map"),
                    "write `{path: text}` or `{path: {exists: true}}`",
                );
            }
            for (path, test) in map.members().unwrap_or_default() {
                let mut parsing = Parsing { tables: &self.tables, indexes: &self.indexes, paths: &mut self.paths };
                let source = match expr::source(path.scalar().unwrap_or(""), path.line, &mut parsing) {
                    Ok(source) => source,
                    Err((code, message, help)) => {
                        self.error(path, code, message, help);
                        continue;
                    }
                };
                let Some(test) = self.test(test) else { continue };
                conditions.push(Condition { source, test, negated });
            }
        }
        conditions
    }
}

pub(super) fn platform_of(name: &str) -> Option<Platform> {
    Platform::ALL.into_iter().find(|platform| platform.as_str().eq_ignore_ascii_case(name))
}

fn each_path(expr: &Expr, of_enclosing: bool, found: &mut dyn FnMut(&Path)) {
    for alternative in &expr.alternatives {
        if let Source::Concat(parts) = &alternative.source {
            // Parts nest as deep as the file's author wrote them.
            parts.iter().for_each(|part| each_path(part, of_enclosing, found));
        }
        each_condition(&alternative.when, of_enclosing, found);
        of_source(&alternative.source, of_enclosing, found);
    }
}

fn each_condition(conditions: &[Condition], of_enclosing: bool, found: &mut dyn FnMut(&Path)) {
    conditions.iter().flat_map(Condition::sources).for_each(|source| of_source(source, of_enclosing, found));
}

fn of_source(source: &Source, of_enclosing: bool, found: &mut dyn FnMut(&Path)) {
    if let Source::Path { path, enclosing, .. } = source
        && *enclosing == of_enclosing
    {
        found(path);
    }
}

/// What a section needs of its records.
fn keep<'e>(exprs: impl Iterator<Item = &'e Expr>, when: &[Condition], descend: Option<&Path>) -> Keep {
    let mut keep = Keep::nothing();
    let whole_tree = descend.is_some();
    for expr in exprs {
        each_path(expr, false, &mut |path| keep.add(path));
        // Below `descend`, `^` is the record above, which is of the same kind.
        if whole_tree {
            each_path(expr, true, &mut |path| keep.add(path));
        }
    }
    each_condition(when, false, &mut |path| keep.add(path));
    if let Some(descend) = descend {
        keep.add(descend);
    }
    keep
}

/// What a section needs of the record around; `None` if nothing.
fn enclosing<'e>(exprs: impl Iterator<Item = &'e Expr>, when: &[Condition]) -> Option<Keep> {
    let mut keep: Option<Keep> = None;
    let mut add = |path: &Path| keep.get_or_insert_with(Keep::nothing).add(path);
    for expr in exprs {
        each_path(expr, true, &mut add);
    }
    each_condition(when, true, &mut add);
    keep
}
