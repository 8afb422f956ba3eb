//! Owns reading one artifact through a mapping: document after document, first the processes and what records refer
//! to, then the records, each as the events that the mapping makes of it.

use super::expr::{Condition, Scene};
use super::model::{Decoder as Kind, EventSection, Mapping, ProcessSection};
use super::node::{Node, Over};
use super::path::Path;
use super::process::{Process, ProcessTable};
use super::text::{self, Documents};
use super::transform::{Around, Index, Val, parse_time};
use super::walk::Visit;
use crate::{Context, Limits, Platform};
use rustc_hash::{FxHashMap, FxHasher};
use sandsift_sigma::{Event, Value};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::ops::ControlFlow;

/// One event on its way to the run.
#[allow(dead_code)]
pub(crate) struct Emitted<'e> {
    pub(crate) event: &'e mut Event,
    /// The record's number: the document's line in a log of lines, else the record's place in the report, from 1.
    pub(crate) id: u64,
    pub(crate) channel: Option<&'e str>,
    pub(crate) context: Context,
    pub(crate) partial: bool,
}

/// What reading came to.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) platform: Option<Platform>,
    /// Records seen: those that became events and those in `skipped`.
    pub(crate) records: u64,
    /// Records that became no event, by reason, with the first case in words.
    pub(crate) skipped: BTreeMap<&'static str, (u64, String)>,
    /// Which of the mapping's paths led somewhere, by number.
    pub(crate) found: Vec<bool>,
}

impl Reading {
    fn skip(&mut self, code: &'static str, detail: impl FnOnce() -> String) {
        self.skipped.entry(code).or_insert_with(|| (0, detail())).0 += 1;
    }
}

/// Decodes a record of a Windows event log in JSON; `false` if it is none.
pub(crate) type WindowsEvent<'f> = &'f dyn Fn(&Node<'_>, &mut Event) -> bool;

/// What a reading needs beside the mapping.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'r> {
    pub(crate) limits: &'r Limits,
    /// The platform that the completion names; it wins over the report's.
    pub(crate) platform: Option<Platform>,
    pub(crate) windows_event: Option<WindowsEvent<'r>>,
}

impl Reader<'_> {
    /// Reads an artifact and hands out each event; `Break` ends the reading.
    pub(crate) fn read(
        &self,
        mapping: &Mapping,
        bytes: &[u8],
        emit: &mut dyn FnMut(Emitted<'_>) -> ControlFlow<()>,
    ) -> Reading {
        let text = text::decode(bytes);
        let mut state = State {
            reading: Reading { platform: self.platform, ..Reading::default() },
            table: ProcessTable::default(),
            told: FxHashMap::default(),
            texts: FxHashMap::default(),
            found: RefCell::new(vec![false; mapping.paths.len()]),
            event: Event::new(),
            stopped: false,
        };
        if let Some(why) = text.repaired {
            state.reading.records += 1;
            state.reading.skip("text-repaired", || why.to_owned());
        }
        for document in Documents::new(&text.text) {
            if !mapping.one_run {
                state.table.clear();
                state.texts.clear();
                state.told.clear();
            }
            let mut prepare = Prepare {
                mapping,
                reader: *self,
                state: &mut state,
                scopes: (0..mapping.scopes).map(|_| Vec::new()).collect(),
                indexes: (0..mapping.indexes.len()).map(|_| Index::default()).collect(),
            };
            if !mapping.prepare.is_empty() {
                // A document that breaks is told by the second pass.
                let _ = mapping.prepare.walk(&document.text, self.limits, &mut prepare);
            }
            let (scopes, indexes) = (prepare.scopes, prepare.indexes);
            let platform = self.platform.or_else(|| platform(mapping, &scopes, &state));
            state.reading.platform = state.reading.platform.or(platform);
            let records = state.reading.records;
            let mut walk = Emit {
                mapping,
                reader: *self,
                platform,
                line: document.line,
                scopes: &scopes,
                indexes: &indexes,
                ordinals: vec![0; mapping.scopes],
                open: Vec::new(),
                state: &mut state,
                emit,
            };
            let walked = mapping.walk.walk(&document.text, self.limits, &mut walk);
            if state.stopped {
                break;
            }
            if let Some(error) = document.error.or_else(|| walked.err().map(|e| e.to_string())) {
                state.reading.records += 1;
                let line = document.line;
                let code = if state.reading.records - 1 > records { "document-truncated" } else { "record-unreadable" };
                state.reading.skip(code, || format!("line {line}: {error}"));
            }
            if state.reading.records >= self.limits.records {
                state
                    .reading
                    .skip("too-many-records", || format!("more than {} (limits.records)", self.limits.records));
                break;
            }
        }
        let refused = state.table.refused();
        if refused > 0 {
            let limit = self.limits.processes;
            let told = format!("{refused} processes beyond the limit of {limit} (limits.processes) cannot be parents");
            state.reading.records += 1;
            state.reading.skip("too-many-processes", || told);
        }
        state.reading.found = state.found.into_inner();
        state.reading
    }
}

/// The platform that the report itself tells.
fn platform(mapping: &Mapping, scopes: &[Vec<Node<'_>>], state: &State) -> Option<Platform> {
    for root in scopes.get(mapping.root_scope?)? {
        let scene = Scene {
            record: root,
            enclosing: None,
            process: None,
            parent: None,
            around: Around::NOWHERE,
            guess: state.table.guess(),
            found: &state.found,
        };
        if let Some(platform) = mapping.platform.text(&scene).as_deref().and_then(super::compile::platform_of) {
            return Some(platform);
        }
    }
    None
}

struct State {
    reading: Reading,
    table: ProcessTable,
    /// How often each section told the same thing, by set and key.
    told: FxHashMap<(u16, u64), Vec<(usize, u32)>>,
    /// How many processes of a command line were asked for, by section and text.
    texts: FxHashMap<(usize, u64), usize>,
    found: RefCell<Vec<bool>>,
    event: Event,
    stopped: bool,
}

impl State {
    /// Whether a section may tell an event that others tell too: only what it tells more often than each of them.
    fn may_tell(&mut self, set: u16, key: &str, section: usize, most: u64) -> bool {
        if self.told.len() as u64 >= most {
            return true;
        }
        let counts = self.told.entry((set, hash(key))).or_default();
        let others = counts.iter().filter(|(other, _)| *other != section).map(|(_, count)| *count).max().unwrap_or(0);
        match counts.iter_mut().find(|(own, _)| *own == section) {
            Some((_, count)) => {
                *count += 1;
                *count > others
            }
            None => {
                counts.push((section, 1));
                1 > others
            }
        }
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = FxHasher::default();
    text.hash(&mut hasher);
    hasher.finish()
}

/// The records below a record of the same kind, and it itself, each with the one above; depth first, in order.
fn descend<'n, 'd>(
    record: &'n Node<'d>,
    below: Option<&Path>,
    take: &mut dyn FnMut(&'n Node<'d>, Option<&'n Node<'d>>, Option<u32>) -> Option<u32>,
) {
    let mut stack = vec![(record, None, None)];
    while let Some((node, above, under)) = stack.pop() {
        let mark = take(node, above, under);
        if let Some(path) = below {
            let first = stack.len();
            path.each(node, &mut |child| stack.push((child, Some(node), mark)));
            stack[first..].reverse();
        }
    }
}

/// The first pass over a document.
struct Prepare<'p, 'r, 'de> {
    mapping: &'p Mapping,
    reader: Reader<'r>,
    state: &'p mut State,
    scopes: Vec<Vec<Node<'de>>>,
    indexes: Vec<Index>,
}

impl<'de> Visit<'de> for Prepare<'_, '_, 'de> {
    fn enter(&mut self, _: usize) {}

    fn leave(&mut self, _: usize) {}

    fn record(&mut self, ends: &[usize], record: Result<Node<'de>, Over>) {
        // One over its limits stays in its place, empty, so that the others keep theirs.
        let record = record.unwrap_or(Node::Null);
        let mapping = self.mapping;
        let first_scope = mapping.processes.len() + mapping.indexes.len();
        for end in ends.iter().filter(|end| **end < first_scope) {
            match end.checked_sub(mapping.processes.len()) {
                None => self.processes(&mapping.processes[*end], &record),
                Some(index) => self.index(index, &record),
            }
        }
        let mut scopes = ends.iter().filter_map(|end| end.checked_sub(first_scope));
        if let Some(scope) = scopes.next() {
            if self.scopes[scope].len() < self.reader.limits.processes as usize {
                self.scopes[scope].push(record);
            }
        }
    }

    fn stopped(&self) -> bool {
        false
    }
}

impl Prepare<'_, '_, '_> {
    fn index(&mut self, number: usize, record: &Node<'_>) {
        let section = &self.mapping.indexes[number];
        let scene = Scene {
            record,
            enclosing: None,
            process: None,
            parent: None,
            around: Around { platform: self.reader.platform, indexes: &[] },
            guess: None,
            found: &self.state.found,
        };
        let values: Vec<Box<str>> =
            section.value.values(&scene).iter().filter_map(|v| Some(v.text()?.into())).collect();
        for key in section.key.values(&scene).iter().filter_map(Val::text) {
            let index = &mut self.indexes[number];
            if index.len() as u64 >= self.reader.limits.event_fields.into() {
                return;
            }
            let known = index.entry((*key).into()).or_default();
            known.extend(values.iter().take(16_usize.saturating_sub(known.len())).cloned());
        }
    }

    fn processes(&mut self, section: &ProcessSection, record: &Node<'_>) {
        let platform = self.reader.platform;
        let most = self.reader.limits.processes;
        descend(record, section.descend.as_ref(), &mut |node, above, under| {
            let scene = Scene {
                record: node,
                enclosing: above,
                process: None,
                parent: None,
                around: Around { platform, indexes: &[] },
                guess: None,
                found: &self.state.found,
            };
            if !Condition::hold(&section.when, &scene) {
                return None;
            }
            let text = |expr: &super::expr::Expr| expr.text(&scene).map(String::into_boxed_str);
            let process = Process {
                pid: text(&section.pid),
                parent_pid: text(&section.parent),
                image: text(&section.image),
                command_line: text(&section.command_line),
                name: text(&section.name),
                user: text(&section.user),
                start: text(&section.start).and_then(|t| parse_time(&t)),
                under,
            };
            if process.pid.is_none() && process.command_line.is_none() && process.image.is_none() {
                return None;
            }
            self.state.table.add(process, most)
        });
    }
}

/// The second pass over a document.
struct Emit<'p, 'r, 'de> {
    mapping: &'p Mapping,
    reader: Reader<'r>,
    platform: Option<Platform>,
    line: u64,
    scopes: &'p [Vec<Node<'de>>],
    indexes: &'p [Index],
    /// How many values opened each scope so far.
    ordinals: Vec<usize>,
    /// The scopes that are open, outermost first, each with its place.
    open: Vec<(usize, usize)>,
    state: &'p mut State,
    emit: &'p mut dyn FnMut(Emitted<'_>) -> ControlFlow<()>,
}

impl<'de> Visit<'de> for Emit<'_, '_, 'de> {
    fn enter(&mut self, scope: usize) {
        self.open.push((scope, self.ordinals[scope]));
        self.ordinals[scope] += 1;
    }

    fn leave(&mut self, _: usize) {
        self.open.pop();
    }

    fn record(&mut self, ends: &[usize], record: Result<Node<'de>, Over>) {
        let record = match record {
            Ok(record) => record,
            Err(over) => {
                let limits = self.reader.limits;
                self.state.reading.records += 1;
                match over {
                    Over::Bytes => self.state.reading.skip("record-too-large", || {
                        format!("more than {} bytes (limits.record_bytes)", limits.record_bytes)
                    }),
                    Over::Depth => self
                        .state
                        .reading
                        .skip("record-too-deep", || format!("more than {} levels (limits.depth)", limits.depth)),
                }
                return;
            }
        };
        let around = self.open.last().and_then(|(scope, place)| self.scopes.get(*scope)?.get(*place));
        // Sections with the same `descend` see the same records; each record counts once.
        let below = ends.iter().find_map(|end| self.mapping.events[*end].descend.as_ref());
        descend(&record, below, &mut |node, above, _| {
            if !self.state.stopped {
                self.one(ends, node, above.or(around));
            }
            None
        });
    }

    fn stopped(&self) -> bool {
        self.state.stopped || self.state.reading.records >= self.reader.limits.records
    }
}

/// What a section made of a record.
enum Made {
    Event,
    /// Told by another section already.
    Elsewhere,
    Nothing,
}

impl Emit<'_, '_, '_> {
    fn one(&mut self, ends: &[usize], record: &Node<'_>, enclosing: Option<&Node<'_>>) {
        self.state.reading.records += 1;
        let mut events = 0;
        let mut elsewhere = false;
        for end in ends {
            match self.section(*end, record, enclosing) {
                Made::Event => events += 1,
                Made::Elsewhere => elsewhere = true,
                Made::Nothing => {}
            }
            if self.state.stopped {
                return;
            }
        }
        if events == 0 {
            let mapping = self.mapping;
            let kind = ends.first().map_or("", |end| &*mapping.events[*end].name);
            if elsewhere {
                self.state.reading.skip("record-duplicate", || format!("'{kind}' stands elsewhere in the report too"));
            } else {
                self.state.reading.skip("record-unmapped", || {
                    let text: String = record.to_json().to_string().chars().take(160).collect();
                    format!("feeds no category, near '{kind}': {text}")
                });
            }
        }
    }

    fn section(&mut self, end: usize, record: &Node<'_>, enclosing: Option<&Node<'_>>) -> Made {
        let mapping = self.mapping;
        let section = &mapping.events[end];
        if !section.platforms.is_empty() && self.platform.is_some_and(|p| !section.platforms.contains(&p)) {
            return Made::Nothing;
        }
        let state = &mut *self.state;
        let mut scene = Scene {
            record,
            enclosing,
            process: None,
            parent: None,
            around: Around { platform: self.platform, indexes: self.indexes },
            guess: None,
            found: &state.found,
        };
        if !Condition::hold(&section.when, &scene) {
            return Made::Nothing;
        }
        let time = section.time.as_ref().and_then(|expr| expr.text(&scene)).and_then(|text| parse_time(&text));
        let known = |pid: String| state.table.by_pid(&pid, time);
        if let Some(expr) = &section.unless_process
            && expr.text(&scene).and_then(known).is_some()
        {
            return Made::Elsewhere;
        }
        let mut process = section.process.as_ref().and_then(|expr| expr.text(&scene)).and_then(known);
        if let Some(text) = section.process_text.as_ref().and_then(|expr| expr.text(&scene)) {
            let nth = state.texts.entry((end, hash(&text))).or_insert(0);
            process = process.or_else(|| state.table.by_text(&text, *nth));
            *nth += 1;
        }
        let parent = match &section.parent {
            Some(expr) => expr.text(&scene).and_then(known),
            None => process.and_then(|process| state.table.parent_of(process)),
        };
        scene.process = process.and_then(|process| state.table.get(process));
        scene.parent = parent.and_then(|parent| state.table.get(parent));
        let once = section.once.as_ref().and_then(|(set, key)| Some((*set, key.text(&scene)?)));

        state.event.clear();
        let made = match section.decoder {
            Kind::WindowsEvent => self.reader.windows_event.is_some_and(|decode| decode(record, &mut state.event)),
            Kind::Fields => {
                state.event.set_source(section.source(self.platform));
                fill(section, &scene, &mut state.event, self.reader.limits.event_fields as usize)
            }
        };
        if !made {
            return Made::Nothing;
        }
        if time.is_some() {
            state.event.set_time(time);
        }
        let id = section.id.as_ref().and_then(|expr| expr.text(&scene)).and_then(|text| text.parse().ok());
        if let Some((set, key)) = once
            && !self.state.may_tell(set, &key, end, self.reader.limits.records)
        {
            return Made::Elsewhere;
        }
        let id = id.unwrap_or(if mapping.one_run { self.line } else { self.state.reading.records });
        let emitted = Emitted {
            event: &mut self.state.event,
            id,
            channel: section.channel.as_deref(),
            context: mapping.context,
            partial: mapping.partial || section.partial,
        };
        if (self.emit)(emitted).is_break() {
            self.state.stopped = true;
        }
        Made::Event
    }
}

/// Fills an event's fields; `false` if the record gave none but constants.
fn fill(section: &EventSection, scene: &Scene<'_>, event: &mut Event, most: usize) -> bool {
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
    told
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
