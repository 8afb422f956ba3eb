//! Owns what a mapping means once compiled: plain, immutable data that all threads share.

use super::expr::{Condition, Expr};
use super::path::Path;
use super::walk::Tree;
use crate::{Context, Platform};
use sandsift_sigma::EventSource;
use std::sync::Arc;

/// How one kind of artifact becomes events.
#[derive(Debug)]
pub struct Mapping {
    pub(super) name: Box<str>,
    pub(super) title: Box<str>,
    pub(super) file: Arc<str>,
    /// The artifact kinds that a completion may claim for it; the first is its own.
    pub(super) kinds: Vec<Box<str>>,
    /// How it is recognised: any of these.
    pub(super) recognise: Vec<Recognise>,
    /// Which of several mappings that recognise a document takes it: the highest.
    pub(super) priority: i64,
    /// Where the platform stands in the report; the texts it may give are the platforms' names.
    pub(super) platform: Expr,
    /// Whether pids mean the same over all documents of the artifact, as in a log of lines.
    pub(super) one_run: bool,
    pub(super) context: Context,
    pub(super) partial: bool,
    /// What is read before the events: processes, and the records that others refer to.
    pub(super) prepare: Tree,
    /// The sample's name, hash and first process, where the report tells them.
    pub(super) sample_name: Expr,
    pub(super) sample_sha256: Expr,
    pub(super) sample_pid: Expr,
    /// The scope of the report itself, where the platform and the sample are looked for.
    pub(super) root_scope: Option<usize>,
    pub(super) walk: Tree,
    pub(super) scopes: usize,
    pub(super) processes: Vec<ProcessSection>,
    pub(super) indexes: Vec<IndexSection>,
    pub(super) events: Vec<EventSection>,
    /// Every path with its line, by number, to tell which never led anywhere.
    pub(super) paths: Vec<(Box<str>, u32)>,
}

/// A set of conditions that all hold for a document of this kind.
#[derive(Debug)]
pub(super) struct Recognise {
    /// Paths that all lead somewhere, each below any root.
    pub(super) has: Vec<Vec<Path>>,
    /// Paths of which one at least leads somewhere.
    pub(super) any: Vec<Path>,
    /// Paths whose text matches a pattern.
    pub(super) like: Vec<(Vec<Path>, Vec<Box<str>>)>,
    /// Paths that must lead nowhere.
    pub(super) lacks: Vec<Path>,
}

/// A list in the report that says something by a key.
#[derive(Debug)]
pub(super) struct IndexSection {
    pub(super) key: Expr,
    pub(super) value: Expr,
}

/// A list of processes in the report.
#[derive(Debug)]
pub(super) struct ProcessSection {
    pub(super) descend: Option<Path>,
    pub(super) when: Vec<Condition>,
    pub(super) pid: Expr,
    pub(super) parent: Expr,
    pub(super) image: Expr,
    pub(super) command_line: Expr,
    pub(super) name: Expr,
    pub(super) user: Expr,
    pub(super) start: Expr,
}

/// What decodes a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decoder {
    /// The section's own fields.
    Fields,
    /// A Windows event log record in one of its JSON forms, logsource and all.
    WindowsEvent,
}

/// One kind of event that records become.
#[derive(Debug)]
pub(super) struct EventSection {
    pub(super) name: Box<str>,
    pub(super) line: u32,
    pub(super) decoder: Decoder,
    pub(super) descend: Option<Path>,
    pub(super) platforms: Vec<Platform>,
    pub(super) when: Vec<Condition>,
    /// The pid of the process that the record is about.
    pub(super) process: Option<Expr>,
    /// The pid of its parent, where the record knows it better than the process table.
    pub(super) parent: Option<Expr>,
    /// The command line by which the process is found where the record has no pid.
    pub(super) process_text: Option<Expr>,
    /// A pid that, if the process table has it, is told elsewhere.
    pub(super) unless_process: Option<Expr>,
    /// What the same event is known by in other sections of the same set.
    pub(super) once: Option<(u16, Expr)>,
    pub(super) time: Option<Expr>,
    pub(super) id: Option<Expr>,
    pub(super) channel: Option<Box<str>>,
    /// By platform: unknown, windows, linux, macos.
    pub(super) sources: [Arc<EventSource>; 4],
    pub(super) fields: Vec<(Box<str>, Expr)>,
    /// Fields without which there is no event.
    pub(super) needs: Vec<Box<str>>,
    /// Whether the record holds only a part of the event.
    pub(super) partial: bool,
}

impl EventSection {
    pub(super) fn source(&self, platform: Option<Platform>) -> &Arc<EventSource> {
        let index = match platform {
            None => 0,
            Some(Platform::Windows) => 1,
            Some(Platform::Linux) => 2,
            Some(Platform::Macos) => 3,
        };
        &self.sources[index]
    }
}

impl Mapping {
    /// The name that diagnostics and reports use.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the mapping reads, in words.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The file that it was compiled from.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The artifact kinds that it answers to; the first is its own.
    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        self.kinds.iter().map(|kind| &**kind)
    }

    /// Every kind of event that it makes: its name and its line in the file.
    pub fn sections(&self) -> impl Iterator<Item = (&str, u32)> {
        self.events.iter().map(|section| (&*section.name, section.line))
    }

    /// Every logsource that it can feed, with the fields that it can fill, for figures of coverage.
    pub fn feeds(&self) -> impl Iterator<Item = (&EventSource, Vec<&str>)> {
        self.events.iter().flat_map(|section| {
            let platforms = if section.platforms.is_empty() { &Platform::ALL[..] } else { &section.platforms };
            platforms.iter().map(|platform| {
                let fields = section.fields.iter().map(|(name, _)| &**name).collect();
                (&**section.source(Some(*platform)), fields)
            })
        })
    }
}
