//! Owns auditd's logs: lines of records, joined to events by their stamp (machine, time and serial), which come
//! interleaved and may come out of order.

mod address;
mod event;
mod line;

use crate::decode::{Decoder, Emitter, Head, Input, Place};
use crate::linux::lines::Lines;
use crate::{Config, Context, Kind, Platform};
use event::{Group, Memory};
use line::{AuditRecord, Stamp};
use sandsift_sigma::Event;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::ops::ControlFlow;

/// Logs of the Linux audit daemon.
pub(crate) struct Audit;

const KIND: Kind = Kind(Cow::Borrowed("auditd"));
/// Events that wait for further records; the oldest is judged complete when another one needs the room.
const WAITING: usize = 64;
/// Records that one event may have; what the kernel writes has a few dozen.
const JOINED: usize = 4096;

impl Decoder for Audit {
    fn recognise(&self, head: &Head<'_>, _: &Config) -> Option<Kind> {
        let mut lines = head.content().split(|b| *b == b'\n').map(<[u8]>::trim_ascii_start).filter(|l| !l.is_empty());
        lines.by_ref().take(20).any(|line| !line.starts_with(b"{") && line::looks_like(line)).then_some(KIND)
    }

    fn accepts(&self, kind: &str, _: &Config) -> bool {
        matches!(kind, "auditd" | "audit" | "audit.log")
    }

    fn read(&self, input: &Input<'_>, out: &mut Emitter<'_>) {
        out.platform(Platform::Linux);
        let mut joiner = Joiner::default();
        let lines = Lines::new(input.bytes, out.limits().record_bytes);
        for line in lines {
            if out.begin().is_break() {
                return;
            }
            let flow = match line.text() {
                Err(problem) => {
                    out.skip(problem.code(), || problem.to_string());
                    ControlFlow::Continue(())
                }
                Ok(text) => match line::parse(&text, line.number) {
                    Some(record) => joiner.take(record, out),
                    None => {
                        out.skip("record-unreadable", || format!("line {} is no audit record", line.number));
                        ControlFlow::Continue(())
                    }
                },
            };
            if flow.is_break() {
                return;
            }
        }
        let _ = joiner.finish(out);
    }
}

/// Joins records to events.
#[derive(Default)]
struct Joiner {
    waiting: VecDeque<(Stamp, Group, usize)>,
    memory: Memory,
    event: Event,
}

impl Joiner {
    fn take(&mut self, record: AuditRecord, out: &mut Emitter<'_>) -> ControlFlow<()> {
        let ends = record.kind == "EOE";
        let place = self.waiting.iter().rposition(|(stamp, ..)| *stamp == record.stamp);
        let full = |group: &Group, bytes: usize| {
            group.records.len() >= JOINED || (bytes + record.bytes) as u64 > out.limits().record_bytes
        };
        match place {
            Some(place) if !full(&self.waiting[place].1, self.waiting[place].2) => {
                let (_, group, bytes) = &mut self.waiting[place];
                *bytes += record.bytes;
                group.records.push(record);
                if ends && let Some((_, group, _)) = self.waiting.remove(place) {
                    return self.emit(&group, out);
                }
            }
            _ => {
                let bytes = record.bytes;
                self.waiting.push_back((record.stamp.clone(), Group { records: vec![record] }, bytes));
                let bytes: u64 = self.waiting.iter().map(|(_, _, bytes)| *bytes as u64).sum();
                if (self.waiting.len() > WAITING || bytes > out.limits().record_bytes)
                    && let Some((_, group, _)) = self.waiting.pop_front()
                {
                    return self.emit(&group, out);
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn finish(mut self, out: &mut Emitter<'_>) -> ControlFlow<()> {
        while let Some((_, group, _)) = self.waiting.pop_front() {
            self.emit(&group, out)?;
        }
        ControlFlow::Continue(())
    }

    fn emit(&mut self, group: &Group, out: &mut Emitter<'_>) -> ControlFlow<()> {
        let mut flow = ControlFlow::Continue(());
        group.events(&mut self.memory, &mut self.event, &mut |record, event| {
            let place = Place { channel: None, id: Some(record.line), context: Context::Used, partial: false };
            flow = out.emit(event, &place);
            flow.is_continue()
        });
        flow
    }
}
