//! Owns which values of an event belong to which member of an array, beside the flat table of fields.
//!
//! Only rules that ask two things of one member need it (draft, SEP 212). It costs nothing where no array is entered.

use std::ops::Range;

/// The members of an event's arrays, numbered from 1 in the order in which they were entered; 0 is the event itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Members {
    /// The paths of the arrays, one after another.
    paths: String,
    list: Vec<Member>,
    open: u32,
    /// From which value on which member is open.
    changes: Vec<(usize, u32)>,
}

#[derive(Debug, Clone)]
struct Member {
    array: Range<usize>,
    outer: u32,
}

impl Members {
    pub fn clear(&mut self) {
        self.paths.clear();
        self.list.clear();
        self.changes.clear();
        self.open = 0;
    }

    /// Starts a member of the array at a path; `values` is how many values the event has by now.
    pub fn enter(&mut self, array: &str, values: usize) {
        let Ok(number) = u32::try_from(self.list.len() + 1) else { return };
        // Members of one array follow one another, so the path of the last one mostly serves again.
        let array = match self.list.last() {
            Some(last) if &self.paths[last.array.clone()] == array => last.array.clone(),
            _ => {
                let start = self.paths.len();
                self.paths.push_str(array);
                start..self.paths.len()
            }
        };
        self.list.push(Member { array, outer: self.open });
        self.change(values, number);
    }

    /// Ends the member that was entered last.
    pub fn leave(&mut self, values: usize) {
        if let Some(member) = self.get(self.open) {
            let outer = member.outer;
            self.change(values, outer);
        }
    }

    fn change(&mut self, values: usize, member: u32) {
        self.open = member;
        match self.changes.last_mut() {
            Some(last) if last.0 == values => last.1 = member,
            _ => self.changes.push((values, member)),
        }
    }

    fn get(&self, number: u32) -> Option<&Member> {
        (number as usize).checked_sub(1).and_then(|at| self.list.get(at))
    }

    /// The innermost member that a value belongs to.
    pub fn of(&self, value: usize) -> u32 {
        let after = self.changes.partition_point(|(from, _)| *from <= value);
        after.checked_sub(1).map_or(0, |at| self.changes[at].1)
    }

    /// The members of the array at a path that lie in another member.
    pub fn at(&self, array: &str, within: u32) -> impl Iterator<Item = u32> {
        let of = move |(at, member): (usize, &Member)| {
            (&self.paths[member.array.clone()] == array && self.is_within(member.outer, within))
                .then_some(at as u32 + 1)
        };
        self.list.iter().enumerate().filter_map(of)
    }

    /// Whether a member is another one or lies in it; everything lies in 0.
    pub fn is_within(&self, mut member: u32, within: u32) -> bool {
        while member != within {
            match self.get(member) {
                // What holds a member was entered before it, so this ends.
                Some(inner) => member = inner.outer,
                None => return false,
            }
        }
        true
    }

    /// Forgets a value, so that those behind it move up by one.
    pub fn remove(&mut self, value: usize) {
        for (from, _) in &mut self.changes {
            if *from > value {
                *from -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Members;

    #[test]
    fn values_belong_to_the_innermost_member() {
        let mut members = Members::default();
        members.enter("a", 1);
        members.enter("a.b", 2);
        members.leave(3);
        members.leave(4);
        members.enter("a", 4);
        members.leave(5);
        members.leave(5);
        assert_eq!((0..6).map(|value| members.of(value)).collect::<Vec<_>>(), [0, 1, 2, 1, 3, 0]);
        assert_eq!(members.at("a", 0).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(members.at("a.b", 1).collect::<Vec<_>>(), [2]);
        assert_eq!(members.at("a.b", 3).count(), 0);
        members.remove(0);
        assert_eq!((0..5).map(|value| members.of(value)).collect::<Vec<_>>(), [1, 2, 1, 3, 0]);
    }
}
