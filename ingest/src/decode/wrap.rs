//! Owns the wrappers of one content, gzip and zstd: unpacks within the limits and hands what is inside to its decoder.

use super::{Decoder, Emitter, Head, Input};
use crate::{Config, Kind};
use std::borrow::Cow;
use std::io::Read;

/// A content packed by gzip, of any number of members.
pub(crate) struct Gzip;

/// A content packed by zstd, of any number of frames.
pub(crate) struct Zstandard;

impl Decoder for Gzip {
    fn recognise(&self, head: &Head<'_>, _: &Config) -> Option<Kind> {
        head.bytes().starts_with(&[0x1f, 0x8b, 8]).then_some(Kind(Cow::Borrowed("gzip")))
    }

    fn accepts(&self, kind: &str, _: &Config) -> bool {
        kind == "gzip"
    }

    fn read(&self, input: &Input<'_>, out: &mut Emitter<'_>) {
        inside(input, flate2::bufread::MultiGzDecoder::new(input.bytes), out);
    }
}

impl Decoder for Zstandard {
    fn recognise(&self, head: &Head<'_>, _: &Config) -> Option<Kind> {
        head.bytes().starts_with(&[0x28, 0xb5, 0x2f, 0xfd]).then_some(Kind(Cow::Borrowed("zstd")))
    }

    fn accepts(&self, kind: &str, _: &Config) -> bool {
        kind == "zstd"
    }

    fn read(&self, input: &Input<'_>, out: &mut Emitter<'_>) {
        match zstd::stream::read::Decoder::with_buffer(input.bytes) {
            Ok(mut reader) => {
                // 128 MiB, what the tool itself allows without being told to; a frame may ask for 2 GiB.
                let bounded = reader.window_log_max(27);
                match bounded {
                    Ok(()) => inside(input, reader, out),
                    Err(error) => out.lost("unpack-failed", || format!("'{}': {error}", input.name)),
                }
            }
            Err(error) => out.lost("unpack-failed", || format!("'{}': {error}", input.name)),
        }
    }
}

fn inside(input: &Input<'_>, reader: impl Read, out: &mut Emitter<'_>) {
    if out.enter().is_none() {
        out.lost("nested-too-deep", || format!("'{}' is packed more than three times", input.name));
        return;
    }
    if let Some(content) = unpack(input.name, input.bytes.len() as u64, reader, out) {
        out.unwrapped();
        if !super::read(input.name, None, &content, out) {
            out.lost("unrecognised", || format!("'{}' holds no format that can be read", input.name));
        }
    }
    out.leave();
}

/// Unpacks what `packed` bytes hold, within the limits on size and ratio. What a damaged content gave before its
/// damage is handed on, the damage counted.
pub(crate) fn unpack(name: &str, packed: u64, reader: impl Read, out: &mut Emitter<'_>) -> Option<Vec<u8>> {
    let limits = out.limits();
    // Small entries compress without meaning harm; the ratio is for those that would cost something.
    let by_ratio = packed.saturating_mul(limits.unpack_ratio).max(4 << 20);
    let (ratio, size) = (limits.unpack_ratio, limits.artifact_bytes);
    let most = by_ratio.min(limits.artifact_bytes).min(out.unpack_allowance());
    let mut content = Vec::new();
    let result = reader.take(most.saturating_add(1)).read_to_end(&mut content);
    out.unpack(content.len() as u64);
    if content.len() as u64 > most {
        out.lost("unpack-limit", || {
            if most == by_ratio {
                format!("'{name}' unpacks to more than {ratio} times its size (limits.unpack_ratio)")
            } else if most == size {
                format!("'{name}' unpacks to more than {size} bytes (limits.artifact_bytes)")
            } else {
                format!("'{name}' and what was unpacked before it are too large together (limits.unpacked_bytes)")
            }
        });
        return None;
    }
    if let Err(error) = result {
        out.lost("unpack-failed", || format!("'{name}' is damaged after {} bytes: {error}", content.len()));
    }
    Some(content)
}
