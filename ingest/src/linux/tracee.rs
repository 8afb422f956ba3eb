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
        if out.enter().is_some() {
            crate::decode::read(input.name, None, &inner, out);
            out.leave();
        }
    }
}

/// Unpacks what CAPE leaves under `tracee`: base64 of zlib, to at most `limit` bytes.
pub(crate) fn unpack(text: &str, limit: u64) -> Result<Vec<u8>, String> {
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
