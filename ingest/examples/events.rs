//! Reads artifacts and prints their events, one JSON object a line: `cargo run -p sandsift-ingest --example events FILE…`.
//! Counts go to stderr; `--quiet` prints nothing else.

use sandsift_ingest::{Artifact, Config, Run, RunContext};
use sandsift_sigma::Value;
use std::io::Write;
use std::ops::ControlFlow;
use std::sync::Arc;

fn main() -> std::io::Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let (flags, files): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|a| a.starts_with("--"));
    let quiet = flags.iter().any(|f| f == "--quiet");
    for file in files {
        let bytes = std::fs::read(&file)?;
        let mut run = Run::new(Arc::new(Config::default()), RunContext::default());
        let start = std::time::Instant::now();
        let artifact = Artifact { index: 0, name: &file, kind: None, bytes: &bytes };
        let mut failed = None;
        let report = run.read(&artifact, &mut |record| {
            if quiet {
                return ControlFlow::Continue(());
            }
            let mut fields = serde_json::Map::new();
            for (name, value) in record.event.iter() {
                let value: serde_json::Value = match value {
                    Value::Null => serde_json::Value::Null,
                    Value::Bool(b) => b.into(),
                    Value::Int(n) => n.into(),
                    Value::Number(text) | Value::Str(text) => text.into(),
                    Value::Empty => serde_json::Value::Array(Vec::new()),
                };
                match fields.get_mut(name) {
                    None => drop(fields.insert(name.to_owned(), value)),
                    Some(serde_json::Value::Array(list)) => list.push(value),
                    Some(first) => *first = vec![first.take(), value].into(),
                }
            }
            let source = record.event.source();
            let line = serde_json::json!({
                "logsource": {"product": source.product, "categories": source.categories, "services": source.services},
                "channel": record.channel, "id": record.id, "time": record.event.time(), "fields": fields,
            });
            match writeln!(out, "{line}") {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        });
        if let Some(error) = failed {
            return Err(error);
        }
        eprintln!("{file}: {report:#?} in {:?}", start.elapsed());
    }
    Ok(())
}
