//! Owns reading one artifact through a mapping: document after document, first the processes and what records refer
//! to, then the records, each as the events that the mapping makes of it.

use super::expr::{Condition, Expr, Scene};
use super::fill::fill;
use super::model::{Decoder as By, Mapping, ProcessSection};
use super::node::{Node, Over};
use super::path::Path;
use super::process::{Process, ProcessTable};
use super::text::{self, Documents};
use super::transform::{Around, Index, Val, parse_time};
use super::walk::Visit;
use crate::Platform;
use crate::decode::Repeats;
use crate::decode::{Emitter, Place};
use crate::windows::{WindowsRecord, json_record};
use rustc_hash::{FxHashMap, FxHasher};
use sandsift_sigma::Event;
use std::cell::RefCell;
use std::hash::{Hash, Hasher};
use std::ops::ControlFlow;

/// Reads an artifact through a mapping. What it gives back says which of the mapping's paths led somewhere, by number.
pub(super) fn read(mapping: &Mapping, bytes: &[u8], out: &mut Emitter<'_>) -> Vec<bool> {
    let limits = out.limits();
    let text = text::decode(bytes);
    if let Some(why) = text.repaired {
        out.note("text-repaired", || why.to_owned());
    }
    let mut state = State {
        table: ProcessTable::default(),
        told: FxHashMap::default(),
        texts: FxHashMap::default(),
        found: RefCell::new(vec![false; mapping.paths.len()]),
        event: Event::new(),
        windows: WindowsRecord::default(),
        place: 0,
    };
    for document in Documents::new(&text.text) {
        if !mapping.one_run {
            state.table.clear();
            state.texts.clear();
            state.told.clear();
        }
        let platform = out.context().platform;
        let mut prepare = Prepare {
            mapping,
            platform,
            most: limits.processes,
            state: &mut state,
            scopes: (0..mapping.scopes).map(|_| Vec::new()).collect(),
            indexes: (0..mapping.indexes.len()).map(|_| Index::default()).collect(),
        };
        if !mapping.prepare.is_empty() {
            // A document that breaks is told by the second pass.
            let _ = mapping.prepare.walk(&document.text, limits, &mut prepare);
        }
        let (scopes, indexes) = (prepare.scopes, prepare.indexes);
        let platform =
            platform.or_else(|| of_root(mapping, &scopes, &state, &mapping.platform, super::compile::platform_of));
        if let Some(platform) = platform {
            out.platform(platform);
        }
        name_sample(mapping, &scopes, &state, out);
        let first = state.place;
        let mut walk = Emit {
            mapping,
            platform,
            line: document.line,
            scopes: &scopes,
            indexes: &indexes,
            ordinals: vec![0; mapping.scopes],
            open: Vec::new(),
            state: &mut state,
            out: &mut *out,
        };
        let walked = mapping.walk.walk(&document.text, limits, &mut walk);
        if out.stopped() {
            break;
        }
        if let Some(error) = document.error.or_else(|| walked.err().map(|e| e.to_string())) {
            let line = document.line;
            let code = if state.place > first { "document-truncated" } else { "record-unreadable" };
            out.lost(code, || format!("line {line}: {error}"));
        }
    }
    let refused = state.table.refused();
    if refused > 0 {
        let limit = limits.processes;
        out.note("limit-processes", || format!("{refused} processes more than {limit} (limits.processes)"));
    }
    state.found.into_inner()
}

/// Tells the origin tracker what the report says of the sample.
fn name_sample(mapping: &Mapping, scopes: &[Vec<Node<'_>>], state: &State, out: &mut Emitter<'_>) {
    let text = |expr: &Expr| of_root(mapping, scopes, state, expr, |text| Some(text.to_owned()));
    let (name, sha256) = (text(&mapping.sample_name), text(&mapping.sample_sha256));
    if name.is_some() || sha256.is_some() {
        out.tracker().sample(name.as_deref(), sha256.as_deref());
    }
    if let Some(pid) = text(&mapping.sample_pid).and_then(|pid| pid.parse().ok()) {
        out.tracker().root_pid(pid);
    }
}

/// What an expression over the report itself gives, taken as `take` takes it.
fn of_root<T>(
    mapping: &Mapping,
    scopes: &[Vec<Node<'_>>],
    state: &State,
    expr: &Expr,
    take: impl Fn(&str) -> Option<T>,
) -> Option<T> {
    let of = |root: &Node<'_>| {
        let scene = Scene {
            record: root,
            enclosing: None,
            process: None,
            parent: None,
            around: Around::NOWHERE,
            guess: state.table.guess(),
            found: &state.found,
        };
        expr.text(&scene).and_then(|text| take(&text))
    };
    match mapping.root_scope.and_then(|scope| scopes.get(scope)) {
        Some(roots) if !roots.is_empty() => roots.iter().find_map(of),
        // A constant says the same of every report.
        _ => of(&Node::Null),
    }
}

struct State {
    table: ProcessTable,
    /// How often each section told the same thing, by set and key.
    told: FxHashMap<(u16, u64), Vec<(usize, u32)>>,
    /// How many processes of a command line were asked for, by section and text.
    texts: FxHashMap<(usize, u64), usize>,
    found: RefCell<Vec<bool>>,
    event: Event,
    windows: WindowsRecord,
    /// The number of the record at hand.
    place: u64,
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
struct Prepare<'p, 'de> {
    mapping: &'p Mapping,
    platform: Option<Platform>,
    /// How many processes, and records that others refer to, are kept.
    most: u32,
    state: &'p mut State,
    scopes: Vec<Vec<Node<'de>>>,
    indexes: Vec<Index>,
}

impl<'de> Visit<'de> for Prepare<'_, 'de> {
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
        if let Some(scope) = scopes.next()
            && self.scopes[scope].len() < self.most as usize
        {
            self.scopes[scope].push(record);
        }
    }

    fn stopped(&self) -> bool {
        false
    }
}

impl Prepare<'_, '_> {
    fn index(&mut self, number: usize, record: &Node<'_>) {
        let section = &self.mapping.indexes[number];
        let scene = Scene {
            record,
            enclosing: None,
            process: None,
            parent: None,
            around: Around { platform: self.platform, indexes: &[] },
            guess: None,
            found: &self.state.found,
        };
        let values: Vec<Box<str>> =
            section.value.values(&scene).iter().filter_map(|v| Some(v.text()?.into())).collect();
        for key in section.key.values(&scene).iter().filter_map(Val::text) {
            let index = &mut self.indexes[number];
            if index.len() >= self.most as usize {
                return;
            }
            let known = index.entry((*key).into()).or_default();
            known.extend(values.iter().take(16_usize.saturating_sub(known.len())).cloned());
        }
    }

    fn processes(&mut self, section: &ProcessSection, record: &Node<'_>) {
        let (platform, most) = (self.platform, self.most);
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
            let text = |expr: &Expr| expr.text(&scene).map(String::into_boxed_str);
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
    platform: Option<Platform>,
    line: u64,
    scopes: &'p [Vec<Node<'de>>],
    indexes: &'p [Index],
    /// How many values opened each scope so far.
    ordinals: Vec<usize>,
    /// The scopes that are open, outermost first, each with its place.
    open: Vec<(usize, usize)>,
    state: &'p mut State,
    out: &'p mut Emitter<'r>,
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
            Err(over) => return self.over(over),
        };
        let scopes = self.scopes;
        let around = self.open.last().and_then(|(scope, place)| scopes.get(*scope)?.get(*place));
        // Sections with the same `descend` see the same records; each record counts once.
        let below = ends.iter().find_map(|end| self.mapping.events[*end].descend.as_ref());
        descend(&record, below, &mut |node, above, _| {
            // What breaks off here is seen by `stopped`.
            let _ = self.one(ends, node, above.or(around));
            None
        });
    }

    fn stopped(&self) -> bool {
        self.out.stopped()
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
    fn over(&mut self, over: Over) {
        let limits = self.out.limits();
        self.state.place += 1;
        if self.out.begin().is_break() {
            return;
        }
        match over {
            Over::Bytes => self.out.skip("record-too-large", || {
                format!("a record of more than {} bytes (limits.record_bytes)", limits.record_bytes)
            }),
            Over::Depth => self
                .out
                .skip("record-too-deep", || format!("a record of more than {} levels (limits.depth)", limits.depth)),
        }
    }

    fn one(&mut self, ends: &[usize], record: &Node<'_>, enclosing: Option<&Node<'_>>) -> ControlFlow<()> {
        if self.out.stopped() {
            return ControlFlow::Break(());
        }
        self.state.place += 1;
        let mapping = self.mapping;
        if ends.iter().any(|end| mapping.events[*end].decoder == By::WindowsEvent) {
            return self.windows_event(record);
        }
        self.out.begin()?;
        let mut events = 0;
        let mut elsewhere = false;
        for end in ends {
            match self.section(*end, record, enclosing)? {
                Made::Event => events += 1,
                Made::Elsewhere => elsewhere = true,
                Made::Nothing => {}
            }
        }
        if events == 0 {
            let kind = ends.first().map_or("", |end| &*mapping.events[*end].name);
            if elsewhere {
                self.out.skip("record-duplicate", || format!("'{kind}' stands elsewhere in the report too"));
            } else {
                self.out.skip("record-unmapped", || {
                    let text: String = record.to_json().to_string().chars().take(160).collect();
                    format!("feeds no category, near '{kind}': {text}")
                });
            }
        }
        ControlFlow::Continue(())
    }

    /// A record of a Windows event log inside a report: the same as from the log itself, and once with it.
    fn windows_event(&mut self, record: &Node<'_>) -> ControlFlow<()> {
        self.state.windows.clear();
        if json_record(&record.to_json(), &mut self.state.windows) {
            return self.state.windows.finish(Repeats::Drop, self.out);
        }
        self.out.begin()?;
        self.out.skip("record-unreadable", || "a record is not of a Windows event log".to_owned());
        ControlFlow::Continue(())
    }

    fn section(&mut self, end: usize, record: &Node<'_>, enclosing: Option<&Node<'_>>) -> ControlFlow<(), Made> {
        let mapping = self.mapping;
        let section = &mapping.events[end];
        if !section.platforms.is_empty() && self.platform.is_some_and(|p| !section.platforms.contains(&p)) {
            return ControlFlow::Continue(Made::Nothing);
        }
        let limits = self.out.limits();
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
            return ControlFlow::Continue(Made::Nothing);
        }
        let time = section.time.as_ref().and_then(|expr| expr.text(&scene)).and_then(|text| parse_time(&text));
        let known = |pid: String| state.table.by_pid(&pid, time);
        if let Some(expr) = &section.unless_process
            && let Some(text) = expr.text(&scene)
            && (state.table.by_pid(&text, time).is_some() || state.table.by_text(&text, 0).is_some())
        {
            return ControlFlow::Continue(Made::Elsewhere);
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
        state.event.set_source(section.source(self.platform));
        if !fill(section, &scene, &mut state.event, limits.event_fields as usize) {
            return ControlFlow::Continue(Made::Nothing);
        }
        state.event.set_time(time);
        let id = section.id.as_ref().and_then(|expr| expr.text(&scene)).and_then(|text| text.parse().ok());
        if let Some((set, key)) = once
            && !state.may_tell(set, &key, end, limits.records)
        {
            return ControlFlow::Continue(Made::Elsewhere);
        }
        let place = Place {
            channel: section.channel.as_deref(),
            id: id.or(Some(if mapping.one_run { self.line } else { state.place })),
            context: mapping.context,
            partial: mapping.partial || section.partial,
        };
        self.out.emit(&state.event, &place)?;
        ControlFlow::Continue(Made::Event)
    }
}
