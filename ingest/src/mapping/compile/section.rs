//! Owns compiling the sections of a mapping file, processes and events, and laying their records into the trees along
//! which a document is walked.

use super::expression::{enclosing, keep};
use super::{Compiler, platform_of};
use crate::Platform;
use crate::mapping::expr::Expr;
use crate::mapping::model::{Decoder, EventSection, ProcessSection};
use crate::mapping::path::Step;
use crate::mapping::walk::{Keep, Tree};
use crate::mapping::yaml::Yaml;
use sandsift_sigma::EventSource;
use std::sync::Arc;

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

impl Compiler<'_> {
    pub(super) fn process(&mut self, yaml: &Yaml, end: usize, prepare: &mut Tree) -> Option<ProcessSection> {
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

    pub(super) fn event(&mut self, yaml: &Yaml, end: usize, walk: &mut Tree) -> Option<EventSection> {
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
        let filled = |name: &str| section.fields.iter().any(|(known, _)| **known == *name);
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

    pub(super) fn platforms(&mut self, yaml: &Yaml) -> Vec<Platform> {
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
    pub(super) fn logsource(&mut self, yaml: &Yaml, decoder: Decoder) -> Option<[Arc<EventSource>; 4]> {
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

    pub(super) fn each(&mut self, yaml: &Yaml) -> Option<(Vec<Step>, Yaml)> {
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
    pub(super) fn lay(
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

    pub(super) fn scope(&mut self, steps: Vec<Step>, keep: Keep) -> usize {
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

    pub(super) fn lay_scopes(&mut self, first_end: usize, prepare: &mut Tree, walk: &mut Tree) {
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
}
