//! Owns work on several threads whose results come in the order of the inputs, with no more of them waiting than a few
//! a thread.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Results that may wait for an earlier one, a thread.
const AHEAD: usize = 8;

struct State<R> {
    next: usize,
    emitted: usize,
    stopped: bool,
    ready: BTreeMap<usize, R>,
}

/// Runs `work` on every input and `emit` on every result in order, on the calling thread; `emit` ends it with `false`.
pub fn run<I: Sync, R: Send>(
    threads: usize,
    inputs: &[I],
    work: impl Fn(&I) -> R + Sync,
    mut emit: impl FnMut(&I, R) -> bool,
) {
    if threads <= 1 {
        for input in inputs {
            if !emit(input, work(input)) {
                return;
            }
        }
        return;
    }
    let state = Mutex::new(State { next: 0, emitted: 0, stopped: false, ready: BTreeMap::new() });
    let changed = Condvar::new();
    let lock = || -> MutexGuard<'_, State<R>> { state.lock().unwrap_or_else(PoisonError::into_inner) };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let mut guard = lock();
                    while !guard.stopped && guard.next < inputs.len() && guard.next >= guard.emitted + threads * AHEAD {
                        guard = changed.wait(guard).unwrap_or_else(PoisonError::into_inner);
                    }
                    if guard.stopped || guard.next >= inputs.len() {
                        return;
                    }
                    let at = guard.next;
                    guard.next += 1;
                    drop(guard);
                    let result = work(&inputs[at]);
                    lock().ready.insert(at, result);
                    changed.notify_all();
                }
            });
        }
        for (at, input) in inputs.iter().enumerate() {
            let mut guard = lock();
            let result = loop {
                if let Some(result) = guard.ready.remove(&at) {
                    break result;
                }
                guard = changed.wait(guard).unwrap_or_else(PoisonError::into_inner);
            };
            guard.emitted = at + 1;
            drop(guard);
            changed.notify_all();
            if !emit(input, result) {
                lock().stopped = true;
                changed.notify_all();
                return;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_inputs() {
        let inputs: Vec<u64> = (0..200).collect();
        let mut seen = Vec::new();
        let work = |input: &u64| {
            std::thread::sleep(std::time::Duration::from_micros((input * 7919) % 300));
            input * 2
        };
        run(4, &inputs, work, |input, result| {
            seen.push((*input, result));
            true
        });
        assert_eq!(seen, inputs.iter().map(|i| (*i, i * 2)).collect::<Vec<_>>());
    }

    #[test]
    fn it_ends_when_told_to() {
        let inputs: Vec<u64> = (0..1000).collect();
        let mut seen = 0;
        run(
            4,
            &inputs,
            |input| *input,
            |_, _| {
                seen += 1;
                seen < 5
            },
        );
        assert_eq!(seen, 5);
    }
}
