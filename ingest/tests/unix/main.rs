//! What Linux and macOS artifacts become, through the public door: bytes in, events out, every record accounted for.

mod json;
mod linux;

use sandsift_ingest::origin::OriginRules;
use sandsift_ingest::{Artifact, ArtifactReport, Config, Kind, Mappings, Origin, Run, RunContext};
use sandsift_sigma::{Event, Value};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

/// One event as a test reads it.
#[derive(Debug, Clone)]
struct Seen {
    categories: Vec<String>,
    services: Vec<String>,
    product: Option<String>,
    fields: BTreeMap<String, Vec<String>>,
    origin: Origin,
    id: Option<u64>,
}

impl Seen {
    fn get(&self, field: &str) -> Option<&str> {
        self.fields.get(field).and_then(|values| values.first()).map(String::as_str)
    }

    fn is(&self, name: &str) -> bool {
        self.categories.iter().chain(&self.services).any(|known| known == name)
    }
}

/// What reading one artifact gave.
struct Read {
    report: ArtifactReport,
    events: Vec<Seen>,
}

impl Read {
    fn of<'r>(&'r self, name: &'r str) -> impl Iterator<Item = &'r Seen> {
        self.events.iter().filter(move |event| event.is(name))
    }

    fn counts(&self) -> Vec<(&str, u64)> {
        self.report.events.iter().map(|(name, count)| (name.as_str(), *count)).collect()
    }

    /// The values of a field over all events of a category or service.
    fn values<'r>(&'r self, name: &'r str, field: &'r str) -> Vec<&'r str> {
        self.of(name).filter_map(|event| event.get(field)).collect()
    }
}

/// What ships: mappings and origins, as they stand in the repository.
fn config() -> Arc<Config> {
    static CONFIG: std::sync::OnceLock<Arc<Config>> = std::sync::OnceLock::new();
    Arc::clone(CONFIG.get_or_init(|| {
        let files = |folder: &str| -> Vec<(String, String)> {
            let folder = format!("{}/../rules/{folder}", env!("CARGO_MANIFEST_DIR"));
            let paths =
                std::fs::read_dir(folder).expect("the shipped rules").map(|entry| entry.expect("an entry").path());
            let own = paths.filter(|path| path.extension().is_some_and(|e| e == "yml"));
            own.map(|path| (path.to_string_lossy().into_owned(), std::fs::read_to_string(path).expect("a file")))
                .filter(|(name, _)| !name.ends_with(".test.yml"))
                .collect()
        };
        let mappings = files("mappings");
        let (mappings, findings) = Mappings::load(mappings.iter().map(|(name, text)| (name.as_str(), text.as_str())));
        assert!(findings.is_empty(), "{findings:?}");
        let mut origins = OriginRules::default();
        for (name, text) in files("origins") {
            origins.add(&name, &text).expect("a shipped origin file");
        }
        Arc::new(Config { mappings: Arc::new(mappings), origins: Arc::new(origins), ..Config::default() })
    }))
}

fn read(bytes: &[u8], kind: Option<&'static str>, context: RunContext) -> Read {
    let kind = kind.map(|kind| Kind(kind.into()));
    let artifact = Artifact { index: 0, name: "test", kind: kind.as_ref(), bytes };
    let mut run = Run::new(config(), context);
    let mut events = Vec::new();
    let mut ids = std::collections::HashSet::new();
    let report = run.read(&artifact, &mut |record| {
        events.push((seen(record.event, record.id), record.actor));
        ids.insert(record.id);
        ControlFlow::Continue(())
    });
    let skipped: u64 = report.skipped.iter().map(|skipped| skipped.count).sum();
    let became = report.records - skipped;
    let told = ids.len() as u64..=events.len() as u64;
    assert!(told.contains(&became), "every record is an event or counted: {became} of {told:?}, {:?}", report.skipped);
    let origins = run.finish();
    let events = events
        .into_iter()
        .map(|(mut event, actor)| {
            event.origin = origins.of(actor);
            event
        })
        .collect();
    Read { report, events }
}

fn seen(event: &Event, id: Option<u64>) -> Seen {
    let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in event.iter() {
        let text = match value {
            Value::Str(text) | Value::Number(text) => text.to_owned(),
            Value::Int(number) => number.to_string(),
            Value::Bool(bool) => bool.to_string(),
            Value::Null | Value::Empty => String::new(),
        };
        fields.entry(name.to_owned()).or_default().push(text);
    }
    let source = event.source();
    let texts = |names: &[Box<str>]| names.iter().map(ToString::to_string).collect();
    Seen {
        categories: texts(&source.categories),
        services: texts(&source.services),
        product: source.product.as_deref().map(str::to_owned),
        fields,
        origin: Origin::Unknown,
        id,
    }
}

/// A file of the data that is not part of the repository; the test that asks for it is skipped without.
fn shared(path: &str) -> Option<Vec<u8>> {
    let full = format!("{}/../../shared/data/sandbox/{path}", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(full).ok();
    if bytes.is_none() {
        eprintln!("skipped: no shared data");
    }
    bytes
}

/// The titles of SigmaHQ's rules for Linux and macOS that fire on an artifact, each once; `None` without the data.
fn sigmahq(bytes: &[u8], context: RunContext) -> Option<Vec<String>> {
    static RULES: std::sync::OnceLock<Option<sandsift_sigma::RuleSet>> = std::sync::OnceLock::new();
    let rules = RULES
        .get_or_init(|| {
            let root = format!("{}/../../shared/data/sigmahq/rules", env!("CARGO_MANIFEST_DIR"));
            let mut builder = sandsift_sigma::Builder::new(sandsift_sigma::Options::default());
            let mut folders: Vec<std::path::PathBuf> =
                ["linux", "macos"].iter().map(|name| std::path::Path::new(&root).join(name)).collect();
            let mut files = 0;
            while let Some(folder) = folders.pop() {
                for entry in std::fs::read_dir(folder).ok()? {
                    let path = entry.ok()?.path();
                    if path.is_dir() {
                        folders.push(path);
                    } else if path.extension().is_some_and(|extension| extension == "yml") {
                        let text = std::fs::read(&path).ok()?;
                        let file = path.to_string_lossy();
                        builder.add(&sandsift_sigma::SourceFile { source: "SigmaHQ", file: &file, text: &text });
                        files += 1;
                    }
                }
            }
            (files > 100).then(|| builder.build().0)
        })
        .as_ref()?;
    let artifact = Artifact { index: 0, name: "test", kind: None, bytes };
    let mut scratch = rules.scratch();
    let mut hits = Vec::new();
    let mut titles = std::collections::BTreeSet::new();
    Run::new(config(), context).read(&artifact, &mut |record| {
        hits.clear();
        rules.matches(record.event, &mut scratch, &mut hits);
        titles.extend(hits.iter().map(|hit| rules.rule(hit.rule).metadata.title.clone()));
        ControlFlow::Continue(())
    });
    Some(titles.into_iter().collect())
}
