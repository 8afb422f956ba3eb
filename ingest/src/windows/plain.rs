//! Owns plain JSON records under Sigma's own field names, and what they answer to.

use super::documents::records;
use crate::decode::{Decoder, Emitter, Head, Input, Place};
use crate::{Config, Context, Kind, Platform, ndjson};
use sandsift_sigma::{Event, EventSource};
use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Lines of JSON, or a list of records, that no other decoder knows.
pub(crate) struct Plain;

const KIND: Kind = Kind(Cow::Borrowed("ndjson"));

impl Decoder for Plain {
    fn recognise(&self, head: &Head<'_>, _: &Config) -> Option<Kind> {
        head.json().is_some_and(|json| json.keys().next().is_some()).then_some(KIND)
    }

    fn accepts(&self, kind: &str, _: &Config) -> bool {
        matches!(kind, "ndjson" | "jsonl" | "json")
    }

    fn read(&self, input: &Input<'_>, out: &mut Emitter<'_>) {
        let given = out.context().source.clone();
        let mut own = OwnSources::default();
        let mut decoder = ndjson::Decoder::new(out.limits());
        let mut event = Event::new();
        records(input.bytes, out, &mut |bytes, number, out| {
            decoder.decode(bytes, &mut event).map_err(|e| e.to_string())?;
            if out.begin().is_break() {
                return Ok(ControlFlow::Break(()));
            }
            let source = match &given {
                Some(source) => source,
                None => own.of(&event),
            };
            event.set_source(source);
            if let Some(platform) = platform(source) {
                out.platform(platform);
            }
            let place = Place { channel: None, id: Some(number), context: Context::Whole, partial: false };
            Ok(out.emit(&event, &place))
        });
    }
}

fn platform(source: &EventSource) -> Option<Platform> {
    let product = source.product.as_deref()?;
    Platform::ALL.into_iter().find(|platform| platform.as_str() == product)
}

/// The logsources that records name themselves, each made once.
#[derive(Debug, Default)]
struct OwnSources {
    known: Vec<([Option<String>; 3], Arc<EventSource>)>,
}

impl OwnSources {
    /// The source by a record's own `product`, `category` and `service`.
    fn of(&mut self, event: &Event) -> &Arc<EventSource> {
        let names = ["product", "category", "service"].map(|name| event.get_str(name));
        let same = |known: &[Option<String>; 3]| known.iter().map(Option::as_deref).eq(names);
        let at = self.known.iter().position(|(known, _)| same(known)).unwrap_or_else(|| {
            // A record can name anything; only so many names are worth remembering.
            self.known.truncate(255);
            let [product, category, service] = names;
            let source = EventSource::new(product, category, service);
            self.known.push((names.map(|name| name.map(str::to_owned)), source));
            self.known.len() - 1
        });
        &self.known[at].1
    }
}
