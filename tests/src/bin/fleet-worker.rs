//! A worker as a process of its own, for tests that kill it: the engine that ships, the settings from `FLEET_…`.

use sandsift_bus::Names;
use sandsift_bus::amqp::{Amqp, Options};
use sandsift_worker::config::{Config, Store};
use sandsift_worker::execute::{Executor, Threads};
use sandsift_worker::isolate::{Children, Limits, Program, serve};
use sandsift_worker::sources::Assembly;
use sandsift_worker::{Metrics, Setup, Shutdown};
use std::env::var;
use std::sync::Arc;
use std::time::Duration;

fn main() {
    if var("FLEET_CHILD").is_ok() {
        let ended = serve(&threads());
        std::process::exit(ended.is_err().into());
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let shutdown = Shutdown::on_signals().expect("signal handlers");
        let number = |name: &str, default: u64| var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
        let delays = [Duration::from_millis(500), Duration::from_secs(2)].to_vec();
        let config = Config {
            topology: Names { retry_delays: delays, ..Names::default() },
            slots: usize::try_from(number("FLEET_SLOTS", 2)).unwrap_or(2),
            stores: [("fleet".to_owned(), Store::Folder { path: var("FLEET_STORE").expect("FLEET_STORE").into() })]
                .into(),
            limits: sandsift_worker::config::Limits {
                publish: Duration::from_secs(number("FLEET_PUBLISH", 10)),
                ..sandsift_worker::config::Limits::default()
            },
            drain: Duration::from_secs(number("FLEET_DRAIN", 20)),
            blocked_patience: Duration::from_secs(number("FLEET_PATIENCE", 5)),
            admin: var("FLEET_ADMIN").ok().and_then(|port| Some(([127, 0, 0, 1], port.parse().ok()?).into())),
            ..Config::default()
        };
        let options = Options {
            uris: var("FLEET_URI").expect("FLEET_URI").split(' ').map(str::to_owned).collect(),
            heartbeat: Duration::from_secs(2),
            timeout: Duration::from_secs(5),
            ..Options::default()
        };
        let executor: Arc<dyn Executor> =
            if var("FLEET_ISOLATE").is_ok() { Arc::new(children()) } else { Arc::new(threads()) };
        let metrics = Arc::new(Metrics::new().expect("metrics"));
        metrics.loaded(&executor.ruleset());
        let transport = Arc::new(Amqp::new(options).expect("an address"));
        sandsift_worker::run(Setup { config, transport, executor, metrics }, shutdown).await.expect("a worker");
    });
    // What still runs on a thread has nowhere to go.
    std::process::exit(0);
}

fn threads() -> Threads {
    Threads::new(Assembly { shipped: true, ..Assembly::default() }.assemble().engine)
}

fn children() -> Children {
    let path = std::env::current_exe().expect("this program");
    let program = Program { path: "/usr/bin/env".into(), arguments: vec!["FLEET_CHILD=1".into(), path.into()] };
    Children::start(program, Limits::default()).expect("a child")
}
