//! Owns the judgement: from the tree of a run to the origin of every actor. Ancestry decides; looks count only where the
//! ancestry cannot show a process to be the sample's.

use super::rules::{Appearance, OriginRules, Role};
use super::tree::{Face, Parent, Process, SECOND, Seen, Tree, Who, path_hash};
use super::{Hints, Origins};
use crate::Origin;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// How far two records of one start may lie apart.
const SAME_START: i64 = 10 * SECOND;
/// Clocks of guests are off by whole quarters of an hour where one record is in local time.
const ZONE_STEP: i64 = 15 * 60 * SECOND;
const WIDEST_ZONE: i64 = 14 * 60 * 60 * SECOND;
/// Slack where a record's time and the start of its process come from clocks of different precision.
const SLACK: i64 = 2 * SECOND;
/// Processes of one pid that are compared with one another to find the same one told of twice.
const MERGED: usize = 64;
/// The beginning of time: from its birth on.
const ALWAYS: i64 = i64::MIN;

/// Judges the tree.
pub(super) fn judge(tree: &mut Tree, rules: &OriginRules, hints: &Hints) -> Origins {
    let mut family = Family::of(tree);
    let roots = family.roots(rules, hints);
    family.follow_sample(&roots);
    family.mark_sandbox(rules, hints, &roots);
    let background = family.background(rules, &roots);
    let origins = family.tree.seen.iter().map(|seen| family.origin(seen, &background)).collect();
    Origins { origins, roots: roots.len(), overflow: family.tree.overflow }
}

/// The tree with its pids resolved.
struct Family<'t> {
    tree: &'t Tree,
    /// The process that stands for the same one told of twice.
    alias: Vec<u32>,
    /// Each pid's processes, by the time of their start.
    by_pid: HashMap<u32, Vec<u32>>,
    parents: Vec<Option<u32>>,
    children: Vec<Vec<u32>>,
    /// From when on a process is the sample's.
    sample: Vec<Option<i64>>,
    sandbox: Vec<bool>,
}

impl<'t> Family<'t> {
    fn of(tree: &'t Tree) -> Self {
        let count = tree.processes.len();
        let mut family = Self {
            tree,
            alias: (0..u32::try_from(count).unwrap_or(u32::MAX)).collect(),
            by_pid: HashMap::with_capacity(tree.by_pid.len()),
            parents: vec![None; count],
            children: vec![Vec::new(); count],
            sample: vec![None; count],
            sandbox: vec![false; count],
        };
        for (&pid, slot) in &tree.by_pid {
            family.merge(&slot.processes);
            let mut processes: Vec<u32> =
                slot.processes.iter().copied().filter(|&p| family.alias[p as usize] == p).collect();
            processes.sort_by_key(|&p| (tree.processes[p as usize].started, p));
            family.by_pid.insert(pid, processes);
        }
        for (index, process) in tree.processes.iter().enumerate() {
            let child = family.alias[index];
            let Parent::Known { who, at } = process.parent else { continue };
            let latest = u32::try_from(index).unwrap_or(u32::MAX);
            let Some(parent) = family.resolve(who, at, latest, Some(child)) else { continue };
            if parent != child && family.parents[child as usize].is_none() {
                family.parents[child as usize] = Some(parent);
                family.children[parent as usize].push(child);
            }
        }
        family
    }

    fn process(&self, index: u32) -> &'t Process {
        &self.tree.processes[index as usize]
    }

    /// Finds processes of one pid that are the same one, told of by two sources.
    fn merge(&mut self, processes: &[u32]) {
        if processes.len() < 2 || processes.len() > MERGED {
            return;
        }
        for &p in processes {
            let this = self.process(p);
            if this.has_guid {
                continue;
            }
            let best = processes
                .iter()
                .copied()
                .filter(|&q| q != p && self.alias[q as usize] == q)
                .filter(|&q| {
                    let other = self.process(q);
                    let other_source = other.has_guid || (other.artifact != this.artifact && q < p);
                    other_source && alike(this, other) && same_start(this, other)
                })
                .min_by_key(|&q| distance(this, self.process(q)));
            if let Some(q) = best {
                self.alias[p as usize] = q;
            }
        }
        for &p in processes {
            self.alias[p as usize] = self.alias[self.alias[p as usize] as usize];
        }
    }

    /// The process behind a reference: for a pid the one that was started last before that time and had not ended.
    fn resolve(&self, who: Who, at: Option<i64>, latest: u32, but: Option<u32>) -> Option<u32> {
        let pid = match who {
            Who::Process(index) => return Some(self.alias[index as usize]),
            Who::Pid(pid) => pid,
        };
        let processes = self.by_pid.get(&pid)?;
        let Some(at) = at else {
            // Without times the order of reading is all there is.
            let found = &self.tree.by_pid.get(&pid)?.processes;
            let until = found.partition_point(|&p| p <= latest);
            let mut candidates = found[..until].iter().rev().chain(found.get(until)).map(|&p| self.alias[p as usize]);
            return candidates.find(|&p| Some(p) != but);
        };
        let limit = at.saturating_add(SLACK);
        let after = processes.partition_point(|&p| self.process(p).started.is_none_or(|started| started <= limit));
        let mut before = processes[..after].iter().rev().copied().filter(|&p| Some(p) != but);
        let mut best = before.next()?;
        if self.process(best).started.is_some_and(|started| started > at)
            && let Some(earlier) = before.next()
            && self.process(earlier).ended.is_none_or(|ended| ended >= at)
        {
            best = earlier;
        }
        let gone = self.process(best).ended.is_some_and(|ended| ended.saturating_add(SLACK) < at);
        (!gone).then_some(best)
    }

    fn faces(&self, index: u32) -> impl Iterator<Item = &'t Face> {
        self.process(index).faces.iter()
    }

    /// The processes that stand for themselves.
    fn all(&self) -> impl Iterator<Item = u32> + '_ {
        (0..u32::try_from(self.alias.len()).unwrap_or(u32::MAX)).filter(|&p| self.alias[p as usize] == p)
    }

    /// All records of one process: itself and its aliases.
    fn any_record(&self, index: u32, mut holds: impl FnMut(u32) -> bool) -> bool {
        let Some(pid) = self.process(index).pid else { return holds(index) };
        if holds(index) {
            return true;
        }
        self.tree.by_pid.get(&pid).is_some_and(|slot| {
            slot.processes.len() <= MERGED
                && slot.processes.iter().any(|&p| p != index && self.alias[p as usize] == index && holds(p))
        })
    }

    /// Where the sample's own processes begin: by digest, else by image, else by a command line that names it, else by
    /// the agent that started it. What the report says comes on top.
    fn roots(&self, rules: &OriginRules, hints: &Hints) -> Vec<u32> {
        let find = |holds: &dyn Fn(&Process) -> bool| -> Vec<u32> {
            self.all().filter(|&p| self.any_record(p, |r| holds(self.process(r)))).collect()
        };
        let mut roots = find(&|process| process.sha256.is_some_and(|sha256| hints.sha256.contains(&sha256)));
        if !roots.is_empty() {
            // The first process of all is often known without a digest, since its start was not logged; its path is its
            // children's.
            let paths: Vec<&str> =
                roots.iter().flat_map(|&p| self.faces(p)).filter_map(|face| face.image.as_deref()).collect();
            roots.extend(find(&|process| {
                process.sha256.is_none()
                    && process
                        .faces
                        .iter()
                        .filter_map(|face| face.image.as_deref())
                        .any(|image| paths.iter().take(MERGED).any(|path| path.eq_ignore_ascii_case(image)))
            }));
        }
        let names = hints.file_names();
        if roots.is_empty() && !names.is_empty() {
            roots = find(&|process| {
                process.faces.iter().any(|face| {
                    face.image.as_deref().is_some_and(|image| {
                        names.iter().any(|name| base_name(image).eq_ignore_ascii_case(name))
                            && !rules.is_system(appearance(face))
                    })
                })
            });
        }
        if roots.is_empty() && !names.is_empty() {
            roots = find(&|process| {
                process.faces.iter().any(|face| {
                    face.command_line.as_deref().is_some_and(|line| {
                        names.iter().any(|name| mentions(line, name))
                            && !rules.roles(appearance(face)).any(|(_, role)| role <= Role::Tool)
                    })
                })
            });
        }
        roots.extend(hints.root_pids.iter().filter_map(|pid| {
            let processes = self.by_pid.get(pid)?;
            processes.iter().copied().find(|&p| !self.process(p).faces.is_empty()).or(processes.first().copied())
        }));
        if roots.is_empty() {
            let has_role = |p: u32| self.faces(p).any(|face| rules.roles(appearance(face)).next().is_some());
            let is_agent =
                |p: u32| self.faces(p).any(|f| rules.roles(appearance(f)).any(|(_, role)| role == Role::Agent));
            roots = self
                .all()
                .filter(|&p| {
                    self.parents[p as usize].is_some_and(is_agent)
                        && !has_role(p)
                        && !self
                            .faces(p)
                            .any(|face| rules.is_system(appearance(face)) || rules.is_starter(appearance(face)))
                })
                .collect();
        }
        roots.sort_unstable();
        roots.dedup();
        roots
    }

    /// Follows the sample from its roots to children, to what it injected into, and to what it wrote and had started by
    /// others. Earliest first, so that each process is settled once.
    fn follow_sample(&mut self, roots: &[u32]) {
        let mut injected: HashMap<u32, Vec<(u32, Option<i64>)>> = HashMap::new();
        for edge in &self.tree.injections {
            let from = self.resolve(edge.from, edge.at, self.last(), None);
            let to = self.resolve(edge.to, edge.at, self.last(), None);
            if let (Some(from), Some(to)) = (from, to) {
                injected.entry(from).or_default().push((to, edge.at));
            }
        }
        let mut written: HashMap<u32, Vec<(u64, Option<i64>)>> = HashMap::new();
        for write in &self.tree.writes {
            if let Some(by) = self.resolve(write.by, write.at, self.last(), None) {
                written.entry(by).or_default().push((write.path, write.at));
            }
        }
        let mut by_image: HashMap<u64, Vec<u32>> = HashMap::new();
        if !written.is_empty() {
            for p in self.all() {
                let process = self.process(p);
                for image in process.faces.iter().filter_map(|face| face.image.as_deref()) {
                    by_image.entry(path_hash(image)).or_default().push(p);
                }
            }
        }
        // (from when on its doings spread, process, from when on it is the sample's)
        let mut heap: BinaryHeap<Reverse<(i64, u32, i64)>> =
            roots.iter().map(|&root| Reverse((ALWAYS, root, ALWAYS))).collect();
        for &(who, at) in &self.tree.loads {
            if let Some(process) = self.resolve(who, at, self.last(), None) {
                let from = at.unwrap_or(ALWAYS);
                heap.push(Reverse((from, process, from)));
            }
        }
        let mut settled = vec![false; self.sample.len()];
        while let Some(Reverse((reach, p, from))) = heap.pop() {
            let known = &mut self.sample[p as usize];
            *known = Some(known.map_or(from, |known| known.min(from)));
            if std::mem::replace(&mut settled[p as usize], true) {
                continue;
            }
            let mut spread = |to: u32, since: Option<i64>, born: bool| {
                let reached = since.unwrap_or(reach).max(reach);
                heap.push(Reverse((reached, to, if born { ALWAYS } else { reached })));
            };
            for &child in &self.children[p as usize] {
                let started = self.tree.processes[child as usize].earliest();
                if started.is_none_or(|started| started >= reach) {
                    spread(child, started, true);
                }
            }
            for &(target, at) in injected.get(&p).into_iter().flatten() {
                if at.is_none_or(|at| at >= reach) {
                    spread(target, at, false);
                }
            }
            // Each file is followed once: the list is taken out.
            for (path, at) in written.remove(&p).into_iter().flatten() {
                if at.is_some_and(|at| at < reach) {
                    continue;
                }
                for &runner in by_image.get(&path).into_iter().flatten() {
                    let process = &self.tree.processes[runner as usize];
                    let started = process.start_seen.then_some(process.started).flatten();
                    let later = match (started, at) {
                        (Some(started), Some(at)) => started >= at,
                        _ => process.start_seen,
                    };
                    if later && !settled[runner as usize] {
                        spread(runner, started, true);
                    }
                }
            }
        }
    }

    fn last(&self) -> u32 {
        u32::try_from(self.alias.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }

    fn is_born_sample(&self, p: u32) -> bool {
        self.sample[p as usize] == Some(ALWAYS)
    }

    /// Marks the sandbox's own processes: what looks like them and cannot be the sample's by its ancestry, and what these
    /// start.
    fn mark_sandbox(&mut self, rules: &OriginRules, hints: &Hints, roots: &[u32]) {
        let mut present = vec![false; rules.sandboxes()];
        if let Some(name) = &hints.sandbox {
            for index in rules.sandbox_named(name) {
                present[index] = true;
            }
        }
        let mut stack = Vec::new();
        let mut helpers = Vec::new();
        for p in self.all().filter(|&p| !self.is_born_sample(p)) {
            for (sandbox, role) in self.faces(p).flat_map(|face| rules.roles(appearance(face))) {
                match role {
                    Role::Agent | Role::Tool if self.may_be_tooling(p, rules, roots) => {
                        present[sandbox] = true;
                        stack.push(p);
                    }
                    Role::Helper => helpers.push((p, sandbox)),
                    Role::Agent | Role::Tool => {}
                }
            }
        }
        for &root in roots {
            if let Some(parent) = self.parents[root as usize]
                && !self.is_born_sample(parent)
                && self.faces(parent).any(|face| rules.is_starter(appearance(face)))
            {
                stack.push(parent);
            }
        }
        for (p, sandbox) in helpers {
            let parent_tells = self.parents[p as usize]
                .is_none_or(|parent| self.faces(parent).any(|face| rules.is_starter(appearance(face))));
            if present[sandbox] && parent_tells {
                stack.push(p);
            }
        }
        while let Some(p) = stack.pop() {
            if std::mem::replace(&mut self.sandbox[p as usize], true) {
                continue;
            }
            stack
                .extend(self.children[p as usize].iter().filter(|&&child| self.sample[child as usize] != Some(ALWAYS)));
        }
    }

    /// Whether looks may count: the parent was not seen, or could not be the sample's.
    fn may_be_tooling(&self, p: u32, rules: &OriginRules, roots: &[u32]) -> bool {
        let Some(parent) = self.parents[p as usize] else { return true };
        let parent_tells = self.faces(parent).any(|face| {
            rules.is_starter(appearance(face))
                || rules.is_system(appearance(face))
                || rules.roles(appearance(face)).any(|(_, role)| role <= Role::Tool)
        });
        // With a root found, whoever stems from it is known; without one, a stranger's child is not taken at its word.
        parent_tells || !roots.is_empty()
    }

    /// The processes that were there before the sample, or stem from such.
    fn background(&self, rules: &OriginRules, roots: &[u32]) -> Vec<bool> {
        let mut background = vec![false; self.alias.len()];
        if roots.is_empty() {
            return background;
        }
        let began = roots.iter().filter_map(|&root| self.process(root).earliest()).min();
        let mut stack: Vec<u32> = self
            .all()
            .filter(|&p| {
                let process = self.process(p);
                let before = |at: Option<i64>| at.zip(began).is_some_and(|(at, began)| at < began);
                before(process.started)
                    || before(process.first)
                    || matches!(process.pid, Some(0 | 1 | 4))
                    || (self.parents[p as usize].is_none()
                        && !process.start_seen
                        && self.faces(p).any(|face| rules.is_system(appearance(face))))
            })
            .collect();
        while let Some(p) = stack.pop() {
            if std::mem::replace(&mut background[p as usize], true) {
                continue;
            }
            stack.extend(&self.children[p as usize]);
        }
        background
    }

    fn origin(&self, seen: &Seen, background: &[bool]) -> Origin {
        let Some(p) = self.resolve(seen.who, seen.span.map(|(first, _)| first), seen.latest, None) else {
            return Origin::Unknown;
        };
        let p = p as usize;
        match self.sample[p] {
            Some(ALWAYS) => Origin::Sample,
            // A span that straddles the moment counts as the sample's, so that nothing of it is hidden.
            Some(from) if seen.span.is_none_or(|(_, last)| last >= from) => Origin::Sample,
            _ if self.sandbox[p] => Origin::Sandbox,
            _ if background[p] => Origin::Background,
            _ => Origin::Unknown,
        }
    }
}

fn appearance(face: &Face) -> Appearance<'_> {
    Appearance { image: face.image.as_deref(), command_line: face.command_line.as_deref() }
}

/// Whether two processes share the name of an image, as far as both are known.
fn alike(a: &Process, b: &Process) -> bool {
    let names = |process: &'_ Process| -> Vec<String> {
        process.faces.iter().filter_map(|f| f.image.as_deref()).map(|i| base_name(i).to_lowercase()).collect()
    };
    let (a, b) = (names(a), names(b));
    a.is_empty() || b.is_empty() || a.iter().any(|name| b.contains(name))
}

fn distance(a: &Process, b: &Process) -> i64 {
    match (a.earliest(), b.earliest()) {
        (Some(a), Some(b)) => a.saturating_sub(b).saturating_abs(),
        _ => 0,
    }
}

/// Whether two records may be of one start: close together, apart by a time zone, or without a time.
fn same_start(a: &Process, b: &Process) -> bool {
    if !a.start_seen && a.first.is_some() {
        // Only seen to act: whether it is the other one is told by time, event by event.
        return false;
    }
    let apart = distance(a, b);
    let in_step = apart % ZONE_STEP;
    apart <= SAME_START
        || (a.artifact != b.artifact
            && apart <= WIDEST_ZONE + SAME_START
            && in_step.min(ZONE_STEP - in_step) <= SAME_START)
}

/// The last part of a path, of either kind.
pub(super) fn base_name(path: &str) -> &str {
    path.rsplit(['\\', '/']).next().unwrap_or(path)
}

/// Whether a command line names a file: its whole name, not the end of a longer one.
fn mentions(line: &str, name: &str) -> bool {
    let (line, name) = (line.to_lowercase(), name.to_lowercase());
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    line.match_indices(&name).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = &line[at + name.len()..];
        let ends = match after.chars().next() {
            Some('.') => after[1..].chars().next().is_none_or(|c| !is_part(c)),
            Some(c) => !is_part(c),
            None => true,
        };
        ends && before.is_none_or(|c| !is_part(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_mentions_a_whole_name() {
        assert!(mentions(r#"cmd /c start /wait "" "C:\Temp\Bits.bat""#, "bits.bat"));
        assert!(mentions("sudo ./bits.bat", "bits.bat"));
        assert!(!mentions(r"C:\Temp\orbits.bat", "bits.bat"));
        assert!(!mentions(r"C:\Temp\bits.bat.txt", "bits.bat"));
        assert!(!mentions(r"C:\Temp\my-bits.bat", "bits.bat"));
        assert!(mentions("see bits.bat.", "bits.bat"));
    }
}
