//! Owns stories: small intrusions written down readably (`tests/stories/*.yml`), from which the sample completions are
//! made. A story says who did what and when; what a sensor writes of it is the renderers' concern.
//!
//! Everything made from a story is the same on every run and machine: identifiers follow from names, times from the
//! story's start.

mod clock;
mod eslogger;
mod report;
mod samples;
mod sysmon;
mod windows;

pub use clock::Time;
pub use samples::{Sample, SampleError, all};

use serde::Deserialize;
use std::collections::HashMap;

/// A story as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Story {
    /// What happens, in a sentence or two.
    pub title: String,
    pub platform: String,
    pub start: Time,
    /// Seconds after which nothing happens any more.
    pub end: f64,
    /// What is made of it: `evtx`, `evtx.zip`, `behaviour`, `sysmon-linux`, `eslogger`.
    pub render: String,
    pub sample: SampleFile,
    pub sandbox: SandboxName,
    pub host: Host,
    /// What runs before the story begins.
    #[serde(default)]
    pub running: Vec<Start>,
    pub steps: Vec<Step>,
    /// What the system does by itself, again and again.
    #[serde(default)]
    pub noise: Vec<Noise>,
}

/// The sample that was run.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct SampleFile {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub tags: Vec<String>,
}

/// The sandbox that ran it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct SandboxName {
    pub name: String,
    pub version: String,
    pub machine: String,
}

/// The machine in the sandbox.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Host {
    pub name: String,
    pub user: String,
}

/// One thing that happens, so many seconds after the start.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)]
pub struct Step {
    pub at: f64,
    #[serde(flatten)]
    pub action: Action,
}

/// Something that happens every so many seconds; `{n}` in its texts is how often it happened.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)]
pub struct Noise {
    pub every: f64,
    #[serde(flatten)]
    pub action: Action,
}

/// What can happen. `by` names a process of the story.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Action {
    Start(Start),
    Write {
        by: String,
        path: String,
    },
    Delete {
        by: String,
        path: String,
    },
    Load {
        by: String,
        image: String,
        #[serde(default)]
        unsigned: bool,
    },
    SetValue {
        by: String,
        key: String,
        value: String,
    },
    AddKey {
        by: String,
        key: String,
    },
    DeleteValue {
        by: String,
        key: String,
    },
    Connect {
        by: String,
        ip: String,
        port: u16,
        #[serde(default)]
        host: String,
        #[serde(default)]
        udp: bool,
    },
    Resolve {
        by: String,
        name: String,
        to: String,
    },
    Pipe {
        by: String,
        name: String,
    },
    Open {
        by: String,
        target: String,
        access: String,
        trace: String,
    },
    Thread {
        by: String,
        target: String,
        function: String,
        module: String,
    },
    Stream {
        by: String,
        path: String,
        contents: String,
    },
    Script {
        by: String,
        text: String,
    },
    Service {
        name: String,
        path: String,
        #[serde(default)]
        by: String,
    },
    Event(EventStep),
}

/// An event of any channel, for what has no action of its own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct EventStep {
    pub provider: String,
    pub channel: String,
    pub id: u16,
    #[serde(default)]
    pub data: serde_json::Map<String, serde_json::Value>,
    /// The name of the element in `UserData`, for events that have that.
    #[serde(default)]
    pub user_data: Option<String>,
}

/// A process that starts.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Start {
    /// What the story calls it; noise calls nothing by name.
    #[serde(default)]
    pub name: String,
    pub image: String,
    /// Absent, it is the image.
    #[serde(default)]
    pub command: String,
    #[serde(default)]
    pub parent: String,
    #[serde(default)]
    pub cwd: String,
    /// Absent, it is the host's user.
    #[serde(default)]
    pub user: String,
    /// `OriginalFileName`, `Description`, `Product`, `Company` on Windows, in this order, as far as given.
    #[serde(default)]
    pub version_info: Vec<String>,
    /// Seconds until it ends; absent, it does not.
    #[serde(default)]
    pub lasts: Option<f64>,
}

/// A process with all that follows from its start.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct Process {
    pub start: Start,
    pub pid: u32,
    pub guid: u128,
    pub started: Time,
    /// Its parent's place in [`Cast::processes`].
    pub parent: Option<usize>,
    /// Whether it ran before the story began, so that no sensor saw it start.
    pub before: bool,
}

/// What happens, in order of time, with processes by their place.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct Moment {
    pub time: Time,
    pub what: What,
}

/// An action on processes by their place, or the end of a process.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub enum What {
    Started(usize),
    Ended(usize),
    /// By whom, on whom, what.
    Did(usize, Option<usize>, Action),
}

/// A story played: its processes and its moments.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Cast<'s> {
    pub story: &'s Story,
    pub processes: Vec<Process>,
    pub moments: Vec<Moment>,
}

/// A step that names a process that the story does not have.
#[derive(Debug, thiserror::Error)]
#[error("the story names no process '{0}' before it is used")]
pub struct UnknownProcess(String);

impl<'s> Cast<'s> {
    /// Plays a story.
    pub fn play(story: &'s Story) -> Result<Self, UnknownProcess> {
        let mut cast = Self { story, processes: Vec::new(), moments: Vec::new() };
        let mut names = HashMap::new();
        for start in &story.running {
            let parent = names.get(&start.parent).copied();
            let index = cast.add(start.clone(), story.start.plus(-600.0), parent, true);
            names.insert(start.name.clone(), index);
        }
        let mut steps: Vec<(f64, Action)> = story.steps.iter().map(|step| (step.at, step.action.clone())).collect();
        for (index, noise) in story.noise.iter().enumerate() {
            let mut count = 0;
            // Each kind of noise starts at its own moment, so that they do not come in bursts.
            let mut at = noise.every * (0.3 + 0.17 * index as f64).fract();
            while at < story.end {
                count += 1;
                steps.push((at, noise.action.numbered(count)));
                at += noise.every;
            }
        }
        steps.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (at, action) in steps {
            cast.step(story.start.plus(at), action, &mut names)?;
        }
        cast.moments.sort_by_key(|moment| moment.time);
        Ok(cast)
    }

    fn step(&mut self, time: Time, action: Action, names: &mut HashMap<String, usize>) -> Result<(), UnknownProcess> {
        let find = |names: &HashMap<String, usize>, name: &str| {
            names.get(name).copied().ok_or_else(|| UnknownProcess(name.to_owned()))
        };
        let what = match action {
            Action::Start(start) => {
                let parent = find(names, &start.parent)?;
                let (name, lasts) = (start.name.clone(), start.lasts);
                let index = self.add(start, time, Some(parent), false);
                if !name.is_empty() {
                    names.insert(name, index);
                }
                if let Some(lasts) = lasts {
                    self.moments.push(Moment { time: time.plus(lasts), what: What::Ended(index) });
                }
                What::Started(index)
            }
            action => {
                let by = action.by().map_or(Ok(0), |by| find(names, by))?;
                let target = action.target().map(|target| find(names, target)).transpose()?;
                What::Did(by, target, action)
            }
        };
        self.moments.push(Moment { time, what });
        Ok(())
    }

    fn add(&mut self, mut start: Start, started: Time, parent: Option<usize>, before: bool) -> usize {
        if start.command.is_empty() {
            start.command.clone_from(&start.image);
        }
        if start.user.is_empty() {
            start.user.clone_from(&self.story.host.user);
        }
        let index = self.processes.len();
        // Windows hands out multiples of four; elsewhere any number will do.
        let pid = 1_200 + index as u32 * 36 + (index as u32 * index as u32 % 7) * 4;
        let guid = made_id(&format!("{}/{index}/{}", self.story.host.name, start.image));
        self.processes.push(Process { start, pid, guid, started, parent, before });
        index
    }

    /// The process that a process came from.
    pub fn parent(&self, process: &Process) -> Option<&Process> {
        process.parent.and_then(|index| self.processes.get(index))
    }
}

impl Action {
    /// Who does it.
    fn by(&self) -> Option<&str> {
        match self {
            Self::Start(_) | Self::Event(_) => None,
            Self::Service { by, .. } => Some(by.as_str()).filter(|by| !by.is_empty()),
            Self::Write { by, .. }
            | Self::Delete { by, .. }
            | Self::Load { by, .. }
            | Self::SetValue { by, .. }
            | Self::AddKey { by, .. }
            | Self::DeleteValue { by, .. }
            | Self::Connect { by, .. }
            | Self::Resolve { by, .. }
            | Self::Pipe { by, .. }
            | Self::Open { by, .. }
            | Self::Thread { by, .. }
            | Self::Stream { by, .. }
            | Self::Script { by, .. } => Some(by),
        }
    }

    /// Which process it is done to.
    fn target(&self) -> Option<&str> {
        match self {
            Self::Open { target, .. } | Self::Thread { target, .. } => Some(target),
            _ => None,
        }
    }

    /// The same action with `{n}` in its texts replaced.
    fn numbered(&self, n: u32) -> Self {
        let mut action = self.clone();
        let texts: Vec<&mut String> = match &mut action {
            Self::Start(start) => vec![&mut start.image, &mut start.command],
            Self::Write { path, .. } | Self::Delete { path, .. } => vec![path],
            Self::SetValue { key, value, .. } => vec![key, value],
            Self::Resolve { name, .. } => vec![name],
            _ => vec![],
        };
        for text in texts {
            *text = text.replace("{n}", &n.to_string());
        }
        action
    }
}

/// An identifier that follows from a name alone.
fn made_id(name: &str) -> u128 {
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, format!("sandsift:story:{name}").as_bytes()).as_u128()
}

/// A SHA-256 in lower-case hex that follows from a name alone: no such file exists.
fn made_sha256(name: &str) -> String {
    format!("{:032x}{:032x}", made_id(name), made_id(&format!("{name}/2")))
}

/// Sysmon's `Hashes` of a file that exists in stories alone.
fn made_hashes(name: &str) -> String {
    let sha256 = made_sha256(name).to_uppercase();
    format!("MD5={},SHA256={sha256},IMPHASH={}", &sha256[..32], &sha256[32..])
}
