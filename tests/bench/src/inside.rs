//! Owns the measurement in process: what reading an event costs, what matching it costs, and that the hits are right.

use crate::clock::{Clock, Spread};
use sandsift_ingest::Limits;
use sandsift_ingest::ndjson::{Decoder, Lines};
use sandsift_sigma::{Event, EventSource, Hit, RuleSet, Scratch};
use std::collections::HashMap;
use std::sync::Arc;

/// Reads lines into an event and gives it the source that the line names.
#[derive(Debug)]
pub struct Reader {
    decoder: Decoder,
    sources: HashMap<[String; 3], Arc<EventSource>>,
    /// The event that was read last.
    pub event: Event,
}

impl Default for Reader {
    fn default() -> Self {
        Self { decoder: Decoder::new(&Limits::default()), sources: HashMap::new(), event: Event::new() }
    }
}

impl Reader {
    /// Reads one line; tells whether it gave an event.
    pub fn read(&mut self, line: &[u8]) -> bool {
        self.decoder.decode(line, &mut self.event).is_ok()
    }

    /// The source that the event's own `product`, `category` and `service` name.
    pub fn source(&mut self) -> Arc<EventSource> {
        let key = ["product", "category", "service"].map(|name| self.event.get_str(name).unwrap_or("").to_owned());
        let source = self.sources.entry(key).or_insert_with_key(|[product, category, service]| {
            let named = |name: &'_ String| (!name.is_empty()).then(|| name.clone());
            let (category, service) = (named(category), named(service));
            EventSource::new(named(product).as_deref(), category.as_deref(), service.as_deref())
        });
        Arc::clone(source)
    }
}

/// What a lane came to.
#[derive(Debug)]
pub struct Measured {
    /// Events a round.
    pub events: usize,
    /// Bytes an event.
    pub bytes: usize,
    /// Nanoseconds to read an event.
    pub read: Spread,
    /// Nanoseconds to match it, reading taken off.
    pub matching: Spread,
    /// Hits a round.
    pub hits: usize,
}

/// Measures a lane: each round reads all events, then reads and matches all.
pub fn measure(rules: &RuleSet, lines: &[u8], rounds: usize) -> Measured {
    let mut reader = Reader::default();
    let mut scratch = rules.scratch();
    let mut hits = Vec::new();
    // The first pass finds the sources and prepares what matching prepares when first needed.
    let mut sources = Vec::new();
    for line in Lines::new(lines) {
        if reader.read(line.bytes) {
            let source = reader.source();
            reader.event.set_source(&source);
            rules.matches(&reader.event, &mut scratch, &mut hits);
            sources.push(source);
        }
    }
    let events = sources.len();
    let mut total = 0;
    let (mut reads, mut matchings) = (Vec::new(), Vec::new());
    for _ in 0..rounds.max(1) {
        let clock = Clock::start();
        for line in Lines::new(lines) {
            reader.read(line.bytes);
        }
        let read = clock.elapsed().as_nanos() as f64;
        let clock = Clock::start();
        total = pass(rules, lines, &sources, &mut reader, &mut scratch, &mut hits);
        let both = clock.elapsed().as_nanos() as f64;
        reads.push(read / events as f64);
        matchings.push((both - read) / events as f64);
    }
    Measured {
        events,
        bytes: lines.len() / events.max(1),
        read: Spread::of(reads),
        matching: Spread::of(matchings),
        hits: total,
    }
}

fn pass(
    rules: &RuleSet,
    lines: &[u8],
    sources: &[Arc<EventSource>],
    reader: &mut Reader,
    scratch: &mut Scratch,
    hits: &mut Vec<Hit>,
) -> usize {
    let mut total = 0;
    let mut sources = sources.iter();
    for line in Lines::new(lines) {
        if reader.read(line.bytes)
            && let Some(source) = sources.next()
        {
            reader.event.set_source(source);
            hits.clear();
            rules.matches(&reader.event, scratch, hits);
            total += hits.len();
        }
    }
    total
}

/// How many times as many events two threads match over one set as one does, by wall clock, interleaved.
pub fn two_threads(rules: &RuleSet, lines: &[u8], rounds: usize) -> Spread {
    let work = || {
        let mut reader = Reader::default();
        let (mut scratch, mut hits) = (rules.scratch(), Vec::new());
        for line in Lines::new(lines) {
            if reader.read(line.bytes) {
                let source = reader.source();
                reader.event.set_source(&source);
                hits.clear();
                rules.matches(&reader.event, &mut scratch, &mut hits);
            }
        }
    };
    work();
    let ratio = |_| {
        let start = std::time::Instant::now();
        work();
        let one = start.elapsed();
        let start = std::time::Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(work);
            work();
        });
        2.0 * one.as_secs_f64() / start.elapsed().as_secs_f64()
    };
    Spread::of((0..rounds.max(1)).map(ratio).collect())
}

/// Compares the hits of up to `limit` events, spread over the lane, with those of the plain evaluator.
///
/// # Errors
/// The first event on which they differ.
pub fn check(rules: &RuleSet, lines: &[u8], limit: usize) -> Result<usize, String> {
    let count = Lines::new(lines).count();
    let step = (count / limit.max(1)).max(1);
    let mut reader = Reader::default();
    let mut scratch = rules.scratch();
    let mut checked = 0;
    for line in Lines::new(lines).step_by(step) {
        if !reader.read(line.bytes) {
            continue;
        }
        let source = reader.source();
        reader.event.set_source(&source);
        let (mut fast, mut plain) = (Vec::new(), Vec::new());
        rules.matches(&reader.event, &mut scratch, &mut fast);
        rules.matches_plainly(&reader.event, &mut plain);
        if fast != plain {
            return Err(format!("line {}: {fast:?} instead of {plain:?}", line.number));
        }
        checked += 1;
    }
    Ok(checked)
}
