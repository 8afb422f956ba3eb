//! Owns the wrappings of Tracee's events: CAPE packs a whole log into one text of its report (base64 of zlib), and the
//! container's log has each event as a text inside a line of JSON. What the events mean is the mapping's.

use crate::decode::{Decoder, Emitter, Head, Input};
use crate::{Config, Kind};
use std::borrow::Cow;

/// Tracee's container log: `{"log": "{…}"}` after `{"log": "{…}"}`.
pub(crate) struct Tracee;

const KIND: Kind = Kind(Cow::Borrowed("tracee.log"));

impl Decoder for Tracee {
    fn recognise(&self, head: &Head<'_>, _: &Config) -> Option<Kind> {
        let line = head.first_line();
        let is = line.starts_with(b"{\"log\":") && memchr::memmem::find(line, b"eventName").is_some();
        is.then_some(KIND)
    }

    fn accepts(&self, kind: &str, _: &Config) -> bool {
        kind == "tracee.log"
    }

    fn read(&self, input: &Input<'_>, out: &mut Emitter<'_>) {
        #[derive(serde::Deserialize)]
        struct Line<'a> {
            #[serde(borrow)]
            log: Cow<'a, str>,
        }
        let mut inner = Vec::with_capacity(input.bytes.len());
        for line in input.bytes.split(|b| *b == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
            match serde_json::from_slice::<Line<'_>>(line) {
                Ok(line) => inner.extend_from_slice(line.log.trim().as_bytes()),
                // Kept as it is: whoever reads the events counts it.
                Err(_) => inner.extend_from_slice(line),
            }
            inner.push(b'\n');
        }
        inside(input.name, &inner, out);
    }
}

/// Reads the log that CAPE packs into a report under `tracee`: base64 of zlib of JSON. Tells whether there was one.
pub(crate) fn attached(head: &Head<'_>, name: &str, out: &mut Emitter<'_>) -> bool {
    #[derive(serde::Deserialize)]
    struct Report<'a> {
        #[serde(borrow, default)]
        tracee: Option<Cow<'a, str>>,
    }
    if !head.json().is_some_and(|json| json.has("tracee")) {
        return false;
    }
    // A report that is no JSON was counted by whoever read it.
    let Ok(Report { tracee: Some(packed) }) = serde_json::from_slice::<Report<'_>>(head.content()) else {
        return false;
    };
    if packed.is_empty() {
        return false;
    }
    let limit = out.limits().artifact_bytes.min(out.unpack_allowance());
    match unpack(&packed, limit) {
        Ok(content) => {
            out.unpack(content.len() as u64);
            inside(name, &content, out);
        }
        Err(problem) => out.lost("unpack-failed", || format!("'{name}': the log under 'tracee': {problem}")),
    }
    true
}

/// Reads what was unwrapped.
fn inside(name: &str, content: &[u8], out: &mut Emitter<'_>) {
    if out.enter().is_none() {
        out.lost("nested-too-deep", || format!("'{name}' is packed more than three times"));
        return;
    }
    if !crate::decode::read(name, None, content, out) {
        out.lost("unrecognised", || format!("what '{name}' packs is of no format that can be read"));
    }
    out.leave();
}

/// Unpacks what CAPE leaves under `tracee`: base64 of zlib, to at most `limit` bytes.
fn unpack(text: &str, limit: u64) -> Result<Vec<u8>, String> {
    use base64::Engine;
    use std::io::Read;
    let packed = base64::engine::general_purpose::STANDARD.decode(text.trim()).map_err(|error| error.to_string())?;
    let mut content = Vec::new();
    flate2::read::ZlibDecoder::new(packed.as_slice())
        .take(limit.saturating_add(1))
        .read_to_end(&mut content)
        .map_err(|error| error.to_string())?;
    if content.len() as u64 > limit {
        return Err(format!("unpacks to more than {limit} bytes (limits.artifact_bytes)"));
    }
    Ok(content)
}
