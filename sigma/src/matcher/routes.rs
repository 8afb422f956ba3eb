//! Owns the way from an event's source to the groups of rules that it meets.

use super::group::Group;
use crate::event::EventSource;
use crate::rule::{LogSource, Rule};
use crate::set::{CrossPlatform, Route, route};
use rustc_hash::FxHashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// The groups that one kind of event meets: one, or several where there are too many kinds to make a group for each.
pub(super) type Groups = Arc<[Arc<Group>]>;

/// All groups together may hold each rule this many times, so that a producer of ever new logsources cannot fill the
/// memory; beyond it groups of single logsources are used, of which there are only as many as the rules name.
const COPIES: usize = 8;

/// A logsource that rules name, by number, and whether it is met across platforms in the lowest bit.
type Leaf = u32;

/// The rules by logsource, and the groups that were made so far.
#[derive(Debug)]
pub(super) struct Routes {
    leaves: Box<[(LogSource, Box<[u32]>)]>,
    cross_platform: CrossPlatform,
    /// How many rules all groups of several logsources may hold.
    budget: usize,
    made: RwLock<Made>,
}

#[derive(Debug, Default)]
struct Made {
    groups: FxHashMap<Box<[Leaf]>, Arc<Group>>,
    /// How many rules the groups of several logsources hold.
    held: usize,
}

impl Routes {
    pub fn new(rules: &[Rule], cross_platform: CrossPlatform) -> Self {
        let mut leaves: Vec<(LogSource, Vec<u32>)> = Vec::new();
        let mut known: FxHashMap<&LogSource, usize> = FxHashMap::default();
        for (index, rule) in rules.iter().enumerate() {
            let leaf = *known.entry(&rule.logsource).or_insert_with(|| {
                leaves.push((rule.logsource.clone(), Vec::new()));
                leaves.len() - 1
            });
            leaves[leaf].1.push(index as u32);
        }
        Self {
            leaves: leaves.into_iter().map(|(source, rules)| (source, rules.into())).collect(),
            cross_platform,
            budget: COPIES * rules.len(),
            made: RwLock::default(),
        }
    }

    /// The groups for a source; `make` makes one of rules in ascending order, each with whether it crosses platforms.
    pub fn groups(&self, source: &EventSource, make: impl Fn(Vec<(u32, bool)>) -> Group) -> Groups {
        let leaves: Vec<Leaf> = self
            .leaves
            .iter()
            .enumerate()
            .filter_map(|(leaf, (rules, _))| {
                let route = route(rules, source, self.cross_platform)?;
                Some((leaf as u32) << 1 | u32::from(route == Route::CrossPlatform))
            })
            .collect();
        match self.group(&leaves, &make) {
            Some(group) => [group].into(),
            None => leaves.iter().filter_map(|leaf| self.group(std::slice::from_ref(leaf), &make)).collect(),
        }
    }

    /// How many rules the groups of several logsources hold.
    #[cfg(test)]
    pub fn rules_held(&self) -> usize {
        self.made.read().unwrap_or_else(PoisonError::into_inner).held
    }

    /// The group of these leaves; `None` where it would exceed the budget.
    fn group(&self, leaves: &[Leaf], make: impl Fn(Vec<(u32, bool)>) -> Group) -> Option<Arc<Group>> {
        let made = self.made.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(group) = made.groups.get(leaves) {
            return Some(Arc::clone(group));
        }
        drop(made);
        let mut rules: Vec<(u32, bool)> = leaves
            .iter()
            .flat_map(|leaf| self.leaves[(leaf >> 1) as usize].1.iter().map(move |&rule| (rule, leaf & 1 == 1)))
            .collect();
        rules.sort_unstable();
        let held = if leaves.len() > 1 { rules.len() } else { 0 };
        let mut made = self.made.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have made it in the meantime.
        if let Some(group) = made.groups.get(leaves) {
            return Some(Arc::clone(group));
        }
        if made.held + held > self.budget && held > 0 {
            return None;
        }
        made.held += held;
        let group = Arc::new(make(rules));
        made.groups.insert(leaves.into(), Arc::clone(&group));
        Some(group)
    }
}

/// How many sources a thread remembers the groups of, and how many of those it finds by their address.
const REMEMBERED: usize = 1024;
const ADDRESSES: usize = 64;

/// The groups of the sources that a thread met before.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// By the address of the source, which stays its own as long as it is held here.
    addresses: Vec<Option<(Arc<EventSource>, Groups)>>,
    sources: FxHashMap<Arc<EventSource>, Groups>,
}

impl Recent {
    /// The groups of a source.
    #[inline]
    pub fn groups(&mut self, source: &Arc<EventSource>, find: impl FnOnce() -> Groups) -> &Groups {
        if self.addresses.is_empty() {
            self.addresses.resize_with(ADDRESSES, || None);
        }
        let address = Arc::as_ptr(source) as usize;
        let slot = &mut self.addresses[(address >> 4 ^ address >> 10) % ADDRESSES];
        let known = slot.as_ref().is_some_and(|(known, _)| Arc::ptr_eq(known, source));
        if !known {
            if self.sources.len() >= REMEMBERED {
                self.sources.clear();
            }
            let groups = self.sources.entry(Arc::clone(source)).or_insert_with(find);
            *slot = Some((Arc::clone(source), Arc::clone(groups)));
        }
        match slot {
            Some((_, groups)) => groups,
            None => unreachable!("the slot was just filled"),
        }
    }
}
