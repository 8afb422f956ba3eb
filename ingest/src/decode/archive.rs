//! Owns zip archives: each member to its own decoder, within the limits. Names of members are words in messages and
//! nothing else. A damaged directory is made up for by reading the members one after another.

use super::{Decoder, Emitter, Head, Input, wrap};
use crate::{Config, Kind};
use std::borrow::Cow;
use std::io::{Cursor, Read};
use zip::ZipArchive;
use zip::read::read_zipfile_from_stream;

/// A zip of artifacts, such as the event logs that CAPE packs as `<Channel>.evtx` or `<N>_<Channel>.evtx`.
pub(crate) struct Zip;

const EVTX: Kind = Kind(Cow::Borrowed("evtx.zip"));
const MIXED: Kind = Kind(Cow::Borrowed("zip"));

impl Decoder for Zip {
    fn recognise(&self, head: &Head<'_>, _: &Config) -> Option<Kind> {
        (head.bytes().starts_with(b"PK\x03\x04") || head.bytes().starts_with(b"PK\x05\x06")).then_some(MIXED)
    }

    fn accepts(&self, kind: &str, _: &Config) -> bool {
        matches!(kind, "zip" | "evtx.zip")
    }

    fn read(&self, input: &Input<'_>, out: &mut Emitter<'_>) {
        // Nobody packs logs twice; who does packs a bomb.
        if !out.enter_archive() {
            out.lost("nested-too-deep", || format!("'{}' is an archive in an archive", input.name));
            return;
        }
        let mut members = Members { kinds: Vec::new(), count: 0 };
        match ZipArchive::new(Cursor::new(input.bytes)) {
            Ok(archive) => members.by_directory(archive, input.name, out),
            Err(error) => {
                out.note("archive-damaged", || format!("'{}' has no directory: {error}", input.name));
                members.one_by_one(input, out);
            }
        }
        out.leave_archive();
        let evtx = !members.kinds.is_empty() && members.kinds.iter().all(|k| k.0 == "evtx");
        out.refine_kind(if evtx { EVTX } else { MIXED });
    }
}

/// What was found in an archive so far.
struct Members {
    kinds: Vec<Kind>,
    count: u64,
}

impl Members {
    fn by_directory(&mut self, mut archive: ZipArchive<Cursor<&[u8]>>, archive_name: &str, out: &mut Emitter<'_>) {
        for index in 0..archive.len() {
            if out.stopped() || !self.may_go_on(archive_name, out) {
                return;
            }
            match archive.by_index(index) {
                Ok(member) if member.is_dir() => {}
                Ok(member) => {
                    let name = shown(member.name_raw());
                    let packed = member.compressed_size();
                    self.member(&name, packed, member, out);
                }
                Err(error) => out.lost("member-unreadable", || format!("member {index} of '{archive_name}': {error}")),
            }
        }
    }

    fn one_by_one(&mut self, input: &Input<'_>, out: &mut Emitter<'_>) {
        let mut reader = Cursor::new(input.bytes);
        loop {
            if out.stopped() || !self.may_go_on(input.name, out) {
                return;
            }
            match read_zipfile_from_stream(&mut reader) {
                Ok(Some(member)) => {
                    let name = shown(member.name_raw());
                    let packed = member.compressed_size().min(input.bytes.len() as u64);
                    self.member(&name, packed, member, out);
                }
                Ok(None) => return,
                Err(error) => {
                    out.lost("member-unreadable", || format!("'{}' after {} members: {error}", input.name, self.count));
                    return;
                }
            }
        }
    }

    fn may_go_on(&mut self, archive: &str, out: &mut Emitter<'_>) -> bool {
        let limit = out.limits().archive_entries;
        if self.count == limit {
            out.lost("archive-entries", || {
                format!("'{archive}' has more than {limit} members (limits.archive_entries)")
            });
            return false;
        }
        self.count += 1;
        true
    }

    fn member(&mut self, name: &str, packed: u64, reader: impl Read, out: &mut Emitter<'_>) {
        let Some(content) = wrap::unpack(name, packed, reader, out) else { return };
        out.unwrapped();
        if !super::read(name, None, &content, out) {
            out.note("member-unrecognised", || format!("'{name}' is of no format that can be read"));
            return;
        }
        if let Some(kind) = out.noted_kind()
            && !self.kinds.contains(kind)
        {
            self.kinds.push(kind.clone());
        }
    }
}

/// A member's name for messages: an attacker wrote it.
fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(&name[..name.len().min(200)]).escape_debug().collect()
}
