//! Owns the seam between a run and its formats: what a decoder is, the table of all of them, and which one reads an
//! artifact. Knows no format itself.
//!
//! To add a format, write a [`Decoder`] in a module of its own and name it in [`DECODERS`], before any whose
//! recognition is more general.

mod archive;
mod emit;
mod head;
mod wrap;

pub(crate) use emit::{Emitter, Identity, Place, Repeats, Seen};
pub(crate) use head::{Head, JsonHead};

use crate::{Config, Kind};

/// What a decoder is given to read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Input<'a> {
    /// The kind as recognised, or as the completion names it.
    pub kind: &'a Kind,
    /// A name for messages; never opened.
    pub name: &'a str,
    /// The content.
    pub bytes: &'a [u8],
}

/// Reads the artifacts of one kind: bytes to records, bounded, without a panic on any content.
pub(crate) trait Decoder: Sync {
    /// The kind if the content is this decoder's. Looks at the content alone, never at a name.
    fn recognise(&self, head: &Head<'_>, config: &Config) -> Option<Kind>;

    /// Whether a completion that names this kind means this decoder.
    fn accepts(&self, kind: &str, config: &Config) -> bool;

    /// Hands every record to `out`: [`Emitter::begin`] once a record, then [`Emitter::emit`] for each event of it or
    /// [`Emitter::skip`] with the reason. Ends when `out` says `Break`.
    fn read(&self, input: &Input<'_>, out: &mut Emitter<'_>);
}

/// Every decoder, the most particular first: the first that recognises a content reads it.
static DECODERS: &[&dyn Decoder] = &[
    &wrap::Gzip,
    &wrap::Zstandard,
    &archive::Zip,
    &crate::evtx::Evtx,
    &crate::linux::Sysmon,
    &crate::mapping::Mapped,
    &crate::windows::EventXml,
    &crate::linux::Audit,
    &crate::linux::Strace,
    &crate::linux::Syslog,
    &crate::linux::Tracee,
    &crate::windows::EventJson,
    &crate::windows::Plain,
];

/// Finds the decoder of an artifact and lets it read; `false` where none knows it.
///
/// A kind that the completion names wins wherever its decoder can make sense of the content; where it cannot and the
/// content is plainly something else, the content wins and the wrong name is reported as `kind-mismatch`.
pub(crate) fn read(name: &str, kind: Option<&Kind>, bytes: &[u8], out: &mut Emitter<'_>) -> bool {
    let head = Head::new(bytes);
    let config = out.config().clone();
    if head.content().is_empty() {
        out.note("empty", || format!("'{name}' has no content"));
        return true;
    }
    let recognised = || DECODERS.iter().find_map(|d| d.recognise(&head, &config).map(|kind| (*d, kind)));
    let hinted = kind.and_then(|k| DECODERS.iter().find(|d| d.accepts(&k.0, &config)).map(|d| (*d, k)));
    let (decoder, kind) = match (hinted, kind) {
        (Some((decoder, hint)), _) if decoder.recognise(&head, &config).is_some() => (decoder, hint.clone()),
        (Some((decoder, hint)), _) => match recognised() {
            Some((other, kind)) => {
                out.note("kind-mismatch", || format!("'{name}' is named {} and holds {}", hint.0, kind.0));
                (other, kind)
            }
            None => (decoder, hint.clone()),
        },
        (None, hint) => {
            let found = recognised();
            if let Some(hint) = hint.filter(|h| found.as_ref().is_none_or(|(_, kind)| kind != *h)) {
                out.note("kind-unknown", || format!("'{name}' is named {}, which no decoder reads", hint.0));
            }
            match found {
                Some(found) => found,
                None => return crate::linux::attached(&head, name, out),
            }
        }
    };
    out.kind(&kind);
    decoder.read(&Input { kind: &kind, name, bytes }, out);
    crate::linux::attached(&head, name, out);
    true
}
