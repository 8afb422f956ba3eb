//! What a reader of results relies on: whose doing an event is said to be.

use super::*;
use crate::Origin::{Background, Sample, Sandbox, Unknown};
use sandsift_sigma::{EventSource, Value};

const CAPE: &str = include_str!("../../../rules/origins/cape.yml");
const WINDOWS: &str = include_str!("../../../rules/origins/windows.yml");
const UNIX: &str = include_str!("../../../rules/origins/unix.yml");
const CUCKOO_UNIX: &str = include_str!("../../../rules/origins/cuckoo-unix.yml");
const JOE: &str = include_str!("../../../rules/origins/joe.yml");

const INJECTOR: &str = r"C:\a1b2c3d4\bin\QwErTyUi.exe";
const INJECT: &str = r"C:\a1b2c3d4\bin\QwErTyUi.exe inject 600 0 C:\a1b2c3d4\dll\x.dll";

pub(super) fn shipped() -> Arc<OriginRules> {
    let mut rules = OriginRules::default();
    for (name, text) in
        [("cape", CAPE), ("windows", WINDOWS), ("unix", UNIX), ("cuckoo-unix", CUCKOO_UNIX), ("joe", JOE)]
    {
        rules.add(name, text).unwrap();
    }
    Arc::new(rules)
}

/// One event of a scene and the origin that it must have.
type Step = Box<dyn Fn(&mut Scene) -> (usize, Origin)>;

/// A run under test: events go in, origins are asked for at the end.
struct Scene {
    tracker: Tracker,
    product: &'static str,
    actors: Vec<Option<Actor>>,
}

impl Scene {
    fn new(product: &'static str) -> Self {
        Self { tracker: Tracker::new(shipped(), &Limits::default()), product, actors: Vec::new() }
    }

    fn windows(sample: &str) -> Self {
        let mut scene = Self::new("windows");
        scene.tracker.sample(Some(sample), None);
        scene
    }

    /// Sees an event at a second; its number, to ask for its origin by.
    fn event(&mut self, second: i64, category: &str, fields: &[(&str, Value<'_>)]) -> usize {
        let mut event = Event::new();
        event.set_source(&EventSource::new(Some(self.product), [category], []));
        event.set_time(Some(second * tree::SECOND));
        for (name, value) in fields {
            event.push(name, *value);
        }
        self.actors.push(self.tracker.observe(&event, 0));
        self.actors.len() - 1
    }

    /// The start of a process: (pid, image, command line) by (pid, image); a pid above 9999 has no GUID.
    fn start(&mut self, at: i64, (pid, image, line): (i64, &str, &str), (parent, parent_image): (i64, &str)) -> usize {
        let (guid, parent_guid) = (guid(pid), guid(parent));
        self.event(
            at,
            "process_creation",
            &[
                ("ProcessGuid", Value::Str(&guid)),
                ("ProcessId", Value::Int(pid)),
                ("Image", Value::Str(image)),
                ("CommandLine", Value::Str(line)),
                ("ParentProcessGuid", Value::Str(&parent_guid)),
                ("ParentProcessId", Value::Int(parent)),
                ("ParentImage", Value::Str(parent_image)),
            ],
        )
    }

    fn start_by_pid(&mut self, at: i64, (pid, image): (i64, &str), (parent, parent_image): (i64, &str)) -> usize {
        self.event(
            at,
            "process_creation",
            &[
                ("ProcessId", Value::Int(pid)),
                ("Image", Value::Str(image)),
                ("ParentProcessId", Value::Int(parent)),
                ("ParentImage", Value::Str(parent_image)),
            ],
        )
    }

    fn act(&mut self, at: i64, pid: i64, image: &str) -> usize {
        let guid = guid(pid);
        self.event(
            at,
            "registry_set",
            &[("ProcessGuid", Value::Str(&guid)), ("ProcessId", Value::Int(pid)), ("Image", Value::Str(image))],
        )
    }

    fn act_by_pid(&mut self, at: i64, pid: i64) -> usize {
        self.event(at, "registry_set", &[("ProcessId", Value::Int(pid))])
    }

    fn inject(&mut self, at: i64, from: i64, to: i64) -> usize {
        let (source, target) = (guid(from), guid(to));
        self.event(
            at,
            "create_remote_thread",
            &[
                ("SourceProcessGuid", Value::Str(&source)),
                ("SourceProcessId", Value::Int(from)),
                ("TargetProcessGuid", Value::Str(&target)),
                ("TargetProcessId", Value::Int(to)),
            ],
        )
    }

    fn judge(self) -> impl Fn(usize) -> Origin {
        let origins = self.tracker.finish();
        let actors = self.actors;
        move |event| origins.of(actors[event])
    }
}

fn guid(pid: i64) -> String {
    format!("{{00000000-0000-0000-aaaa-{pid:012}}}")
}

#[test]
fn what_stems_from_the_sample_is_the_samples_even_as_a_copy_of_the_injector() {
    let mut scene = Scene::windows("evil.exe");
    let old = scene.act(1, 600, r"C:\Windows\System32\services.exe");
    let sandbox = scene.act(2, 700, INJECTOR);
    let root = scene.start(10, (100, r"C:\Temp\evil.exe", "evil.exe"), (50, r"C:\Python\pythonw.exe"));
    let copy = scene.start(11, (101, INJECTOR, INJECT), (100, r"C:\Temp\evil.exe"));
    let wipe = scene.start(12, (102, r"C:\Windows\System32\wevtutil.exe", "wevtutil cl Security"), (101, INJECTOR));
    let agent = scene.act(13, 50, r"C:\Python\pythonw.exe");
    let tool = scene.start(14, (103, INJECTOR, INJECT), (50, r"C:\Python\pythonw.exe"));
    let child = scene.start(15, (104, r"C:\Windows\System32\conhost.exe", "conhost"), (103, INJECTOR));
    let service = scene.start(16, (105, r"C:\Windows\System32\svchost.exe", "svchost -k x"), (600, "services.exe"));
    let origin = scene.judge();
    for (event, expected) in [
        (old, Background),
        (sandbox, Sandbox),
        (root, Sample),
        (copy, Sample),
        (wipe, Sample),
        (agent, Sandbox),
        (tool, Sandbox),
        (child, Sandbox),
        (service, Background),
    ] {
        assert_eq!(origin(event), expected, "event {event}");
    }
}

#[test]
fn the_order_of_events_does_not_matter() {
    let mut scene = Scene::windows("evil.exe");
    let write = scene.act(13, 102, r"C:\Windows\System32\cmd.exe");
    let grandchild = scene.start(12, (102, r"C:\Windows\System32\cmd.exe", "cmd"), (101, r"C:\Temp\b.exe"));
    let child = scene.start(11, (101, r"C:\Temp\b.exe", "b"), (100, r"C:\Temp\evil.exe"));
    let root = scene.start(10, (100, r"C:\Temp\evil.exe", "evil.exe"), (50, "python.exe"));
    let early = scene.act(1, 600, r"C:\Windows\System32\services.exe");
    let origin = scene.judge();
    assert_eq!([write, grandchild, child, root].map(origin), [Sample; 4]);
    let mut scene = Scene::windows("evil.exe");
    scene.start(10, (100, r"C:\Temp\evil.exe", "evil.exe"), (50, "python.exe"));
    let again = scene.act(1, 600, r"C:\Windows\System32\services.exe");
    assert_eq!(again, early - 3);
    assert_eq!(scene.judge()(again), Background);
}

#[test]
fn an_injected_process_is_the_samples_from_then_on() {
    for reversed in [false, true] {
        let mut scene = Scene::windows("evil.exe");
        let mut steps: Vec<Step> = vec![
            Box::new(|s| (s.act(1, 400, r"C:\Windows\explorer.exe"), Background)),
            Box::new(|s| (s.start(2, (401, r"C:\x\note.exe", "note"), (400, r"C:\Windows\explorer.exe")), Background)),
            Box::new(|s| (s.start(10, (100, r"C:\Temp\evil.exe", "evil"), (50, "python.exe")), Sample)),
            Box::new(|s| (s.inject(20, 100, 400), Sample)),
            Box::new(|s| (s.act(21, 400, r"C:\Windows\explorer.exe"), Sample)),
            Box::new(|s| (s.start(22, (402, r"C:\x\calc.exe", "calc"), (400, r"C:\Windows\explorer.exe")), Sample)),
            Box::new(|s| (s.act(23, 401, r"C:\x\note.exe"), Background)),
        ];
        if reversed {
            steps.reverse();
        }
        let expected: Vec<(usize, Origin)> = steps.iter().map(|step| step(&mut scene)).collect();
        let origin = scene.judge();
        for (event, wanted) in expected {
            assert_eq!(origin(event), wanted, "reversed: {reversed}, event {event}");
        }
    }
}

#[test]
fn the_sandboxs_injections_are_not_followed() {
    let mut scene = Scene::windows("evil.exe");
    scene.act(1, 600, r"C:\Windows\System32\services.exe");
    scene.start(10, (100, r"C:\Temp\evil.exe", "evil"), (50, r"C:\Python\python.exe"));
    scene.start(11, (101, INJECTOR, INJECT), (50, r"C:\Python\python.exe"));
    let inject = scene.inject(12, 101, 600);
    let after = scene.act(13, 600, r"C:\Windows\System32\services.exe");
    let origin = scene.judge();
    assert_eq!([origin(inject), origin(after)], [Sandbox, Background]);
}

#[test]
fn a_handle_opened_to_write_code_counts_only_from_code_in_no_module() {
    let access = |trace: &str| {
        let mut scene = Scene::windows("evil.exe");
        scene.act(1, 400, r"C:\Windows\explorer.exe");
        scene.start(10, (100, r"C:\Temp\evil.exe", "evil"), (50, "python.exe"));
        let (from, to) = (guid(100), guid(400));
        scene.event(
            20,
            "process_access",
            &[
                ("SourceProcessGUID", Value::Str(&from)),
                ("TargetProcessGUID", Value::Str(&to)),
                ("GrantedAccess", Value::Str("0x1fffff")),
                ("CallTrace", Value::Str(trace)),
            ],
        );
        let after = scene.act(21, 400, r"C:\Windows\explorer.exe");
        scene.judge()(after)
    };
    assert_eq!(access(r"C:\Windows\System32\ntdll.dll+9d4|UNKNOWN(000001F2)"), Sample);
    assert_eq!(access(r"C:\Windows\System32\ntdll.dll+9d4|C:\Windows\System32\KERNELBASE.dll+2c"), Background);
}

#[test]
fn a_pid_used_twice_is_two_processes() {
    for reversed in [false, true] {
        let mut scene = Scene::windows("evil.exe");
        let mut steps: Vec<Step> = vec![
            Box::new(|s| (s.act_by_pid(1, 4), Background)),
            Box::new(|s| (s.start_by_pid(2, (300, r"C:\x\a.exe"), (4, "System")), Background)),
            Box::new(|s| (s.start_by_pid(10, (100, r"C:\Temp\evil.exe"), (50, "python.exe")), Sample)),
            Box::new(|s| (s.act_by_pid(15, 300), Background)),
            Box::new(|s| (s.start_by_pid(20, (300, r"C:\Temp\b.exe"), (100, "evil.exe")), Sample)),
            Box::new(|s| (s.act_by_pid(25, 300), Sample)),
            Box::new(|s| (s.start_by_pid(40, (300, r"C:\x\c.exe"), (4, "System")), Background)),
            Box::new(|s| (s.act_by_pid(45, 300), Background)),
        ];
        if reversed {
            steps.reverse();
        }
        let expected: Vec<(usize, Origin)> = steps.iter().map(|step| step(&mut scene)).collect();
        let origin = scene.judge();
        for (event, wanted) in expected {
            assert_eq!(origin(event), wanted, "reversed: {reversed}, event {event}");
        }
    }
}

#[test]
fn a_cycle_in_the_tree_ends_and_hides_nothing() {
    let mut scene = Scene::windows("evil.exe");
    let a = scene.start(10, (100, r"C:\Temp\evil.exe", "evil"), (102, "c.exe"));
    let b = scene.start(11, (101, INJECTOR, INJECT), (100, "evil.exe"));
    let c = scene.start(12, (102, "c.exe", "c"), (101, INJECTOR));
    let own = scene.start(13, (103, "d.exe", "d"), (103, "d.exe"));
    let origin = scene.judge();
    assert_eq!([a, b, c].map(&origin), [Sample; 3]);
    assert_eq!(origin(own), Unknown);
}

#[test]
fn without_a_root_nothing_is_background_and_a_strangers_child_is_not_the_sandboxs() {
    let mut scene = Scene::windows("not-there.exe");
    let system = scene.act(1, 600, r"C:\Windows\System32\services.exe");
    let copy = scene.start(11, (101, INJECTOR, INJECT), (100, r"C:\Temp\evil.exe"));
    let own = scene.start(11, (102, INJECTOR, INJECT), (50, r"C:\Python\pythonw.exe"));
    let none = scene.event(12, "dns_query", &[("QueryName", Value::Str("example.com"))]);
    let origin = scene.judge();
    assert_eq!([system, copy, own, none].map(origin), [Unknown, Unknown, Sandbox, Unknown]);
}

#[test]
fn an_agents_child_that_is_no_tool_is_the_sample_where_nobody_names_it() {
    let mut scene = Scene::new("windows");
    let agent = (50, r"C:\Python\python.exe");
    scene.start(1, (50, agent.1, r"python C:\tmpab12c\analyzer.py"), (40, r"C:\Python\pythonw.exe"));
    let wipe = scene.start(2, (60, r"C:\Windows\System32\wevtutil.exe", "wevtutil cl Security"), agent);
    let sample = scene.start(3, (61, r"C:\Temp\x.exe", "x.exe"), agent);
    let child = scene.start(4, (62, r"C:\Windows\System32\wevtutil.exe", "wevtutil cl Security"), (61, "x.exe"));
    let origin = scene.judge();
    assert_eq!([wipe, sample, child].map(origin), [Sandbox, Sample, Sample]);
}

#[test]
fn a_file_that_the_sample_wrote_is_its_own_whoever_starts_it() {
    let mut scene = Scene::windows("evil.exe");
    scene.act(1, 600, r"C:\Windows\System32\services.exe");
    scene.start(10, (100, r"C:\Temp\evil.exe", "evil"), (50, "python.exe"));
    let writer = guid(100);
    let dropped = Value::Str(r"C:\ProgramData\Svc.exe");
    scene.event(11, "file_event", &[("ProcessGuid", Value::Str(&writer)), ("TargetFilename", dropped)]);
    let service = scene.start(12, (101, r"c:\programdata\svc.exe", "svc"), (600, r"C:\Windows\System32\services.exe"));
    let other = scene.start(12, (102, r"c:\programdata\other.exe", "o"), (600, r"C:\Windows\System32\services.exe"));
    let origin = scene.judge();
    assert_eq!([service, other].map(origin), [Sample, Background]);
}

#[test]
fn the_digest_tells_the_sample_whatever_it_is_called() {
    let digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let mut scene = Scene::new("windows");
    scene.tracker.sample(Some("invoice.exe"), Some(digest));
    let hashes = format!("MD5=00,SHA256={}", digest.to_uppercase());
    let id = guid(100);
    let fields =
        [("ProcessGuid", Value::Str(&id)), ("Image", Value::Str(r"C:\renamed.exe")), ("Hashes", Value::Str(&hashes))];
    let renamed = scene.event(5, "process_creation", &fields);
    let namesake = scene.start(6, (200, r"C:\invoice.exe", "invoice.exe"), (1, "x"));
    let origin = scene.judge();
    assert_eq!(origin(renamed), Sample);
    assert_ne!(origin(namesake), Sample);
}

#[test]
fn on_unix_exec_keeps_the_process_and_a_script_is_found_by_its_command_line() {
    let mut scene = Scene::new("linux");
    scene.tracker.sample(Some("/tmp/dropper.sh"), None);
    let daemon = scene.act_by_pid(1, 77);
    let launch = |s: &mut Scene, at, pid, image, line, parent| {
        s.event(
            at,
            "process_creation",
            &[
                ("ProcessId", Value::Int(pid)),
                ("Image", Value::Str(image)),
                ("CommandLine", Value::Str(line)),
                ("ParentProcessId", Value::Int(parent)),
            ],
        )
    };
    let shell = launch(&mut scene, 5, 500, "/usr/bin/bash", "bash /tmp/dropper.sh", 400);
    let child = launch(&mut scene, 6, 501, "/usr/bin/curl", "curl http://x/y", 500);
    let exec = launch(&mut scene, 7, 500, "/usr/bin/strace", "strace -o x", 400);
    let orphaned = launch(&mut scene, 8, 501, "/tmp/y", "/tmp/y", 1);
    let other = launch(&mut scene, 9, 600, "/usr/bin/id", "id", 77);
    let origin = scene.judge();
    assert_eq!([shell, child, exec, orphaned].map(&origin), [Sample; 4]);
    assert_eq!([daemon, other].map(origin), [Background; 2]);
}

#[test]
fn the_tree_is_bounded() {
    let mut scene = Scene::windows("evil.exe");
    scene.tracker = Tracker::new(shipped(), &Limits { processes: 10, ..Limits::default() });
    let last = (0..1000).map(|n| scene.start_by_pid(n, (7, "a.exe"), (8, "b.exe"))).last().unwrap();
    let actors = scene.actors.clone();
    let origins = scene.tracker.finish();
    assert!(origins.overflow() > 0);
    assert_eq!(origins.of(actors[last]), Unknown);
}

#[test]
fn a_pid_started_a_hundred_thousand_times_takes_no_quadratic_time() {
    let mut scene = Scene::windows("evil.exe");
    for n in 0..100_000 {
        scene.start_by_pid(n, (7, "a.exe"), (7, "b.exe"));
        scene.act_by_pid(100_000 - n, 7);
    }
    let begun = std::time::Instant::now();
    let _ = scene.judge();
    assert!(begun.elapsed().as_secs() < 20);
}

mod paired {
    //! The paired CAPE runs in `../shared`: who did what, as a person who read them says.

    use super::*;
    use serde_json::Value as Json;

    struct Seen {
        id: String,
        image: String,
        line: String,
        parent: String,
        actor: Option<Actor>,
    }

    /// Feeds a run's Sysmon records as its report lists them, newest first, and the monitor's own tree.
    fn run(name: &str) -> Option<(Vec<Seen>, Origins)> {
        let path = format!(
            "{}/../../shared/data/sandbox/cape-paired/{name}/Report/reports/lite.json",
            env!("CARGO_MANIFEST_DIR")
        );
        let Ok(text) = std::fs::read(&path) else {
            eprintln!("skipped: no shared data");
            return None;
        };
        let report: Json = serde_json::from_slice(&text).unwrap();
        let mut tracker = Tracker::new(shipped(), &Limits::default());
        let file = &report["target"]["file"];
        tracker.sample(file["name"].as_str(), file["sha256"].as_str());
        let mut event = Event::new();
        let mut seen = Vec::new();
        for record in report["sysmon"].as_array().unwrap() {
            let id = record["System"]["EventID"].as_str().unwrap().to_owned();
            let category = match id.as_str() {
                "1" => "process_creation",
                "5" => "process_termination",
                "7" => "image_load",
                "8" => "create_remote_thread",
                "11" => "file_event",
                _ => "other",
            };
            event.clear();
            event.set_source(&EventSource::new(Some("windows"), [category], ["sysmon"]));
            event.set_time(Some(nanoseconds(record["System"]["TimeCreated"]["@SystemTime"].as_str().unwrap())));
            for data in record["EventData"]["Data"].as_array().unwrap() {
                if let (Some(name), Some(text)) = (data["@Name"].as_str(), data["#text"].as_str()) {
                    event.push_str(name, text);
                }
            }
            let text = |name| event.get_str(name).unwrap_or_default().to_owned();
            seen.push(Seen {
                image: text(if id == "8" { "SourceImage" } else { "Image" }),
                line: text("CommandLine"),
                parent: text("ParentCommandLine"),
                actor: tracker.observe(&event, 0),
                id,
            });
        }
        for process in report["behavior"]["processes"].as_array().unwrap() {
            event.clear();
            event.set_source(&EventSource::new(Some("windows"), ["process_creation"], []));
            event.push("ProcessId", Value::Int(process["process_id"].as_i64().unwrap()));
            event.push("ParentProcessId", Value::Int(process["parent_id"].as_i64().unwrap()));
            event.push_str("Image", process["module_path"].as_str().unwrap());
            event.push_str("CommandLine", process["environ"]["CommandLine"].as_str().unwrap());
            let actor = tracker.observe(&event, 1);
            let image = event.get_str("Image").unwrap().to_owned();
            let line = event.get_str("CommandLine").unwrap().to_owned();
            seen.push(Seen { id: "report".into(), image, line, parent: String::new(), actor });
        }
        Some((seen, tracker.finish()))
    }

    /// Enough of a calendar for one day's records.
    fn nanoseconds(time: &str) -> i64 {
        let part = |range: std::ops::Range<usize>| time[range].parse::<i64>().unwrap();
        let day = 20_413 + part(8..10) - 21; // 2025-11-21
        let seconds = ((day * 24 + part(11..13)) * 60 + part(14..16)) * 60 + part(17..19);
        seconds * tree::SECOND + time[20..23].parse::<i64>().unwrap() * 1_000_000
    }

    #[test]
    fn bitsadmin_is_the_samples_and_the_sandbox_did_the_rest() {
        let Some((seen, origins)) = run("9088f800") else { return };
        let mut counts = std::collections::BTreeMap::new();
        for s in &seen {
            let origin = origins.of(s.actor);
            *counts.entry(origin).or_insert(0) += 1;
            let image = s.image.to_lowercase();
            let expected = match () {
                () if s.line.starts_with("bitsadmin") || image.ends_with("bitsadmin.exe") => Some(Sample),
                () if s.line.contains("bits.bat") || s.parent.contains("bits.bat") => Some(Sample),
                () if image.contains(r"\65n4hwlw\bin\") => Some(Sandbox),
                () if s.parent.starts_with("wevtutil cl") => Some(Sandbox),
                () if s.parent.starts_with("net st") || s.parent.starts_with("sc config") => Some(Sandbox),
                () if s.line.contains("batmeter.dll") || s.parent.starts_with("PPLinject64") => Some(Sandbox),
                () if s.id == "1" && (image.ends_with("waasmedicagent.exe") || s.line.ends_with("-k netsvcs -p")) => {
                    Some(Background)
                }
                () if s.id == "7" => Some(Background),
                () if s.id == "report" && (image.ends_with("services.exe") || image.ends_with("svchost.exe")) => {
                    Some(Background)
                }
                () => None,
            };
            if let Some(expected) = expected {
                assert_eq!(origin, expected, "{} {} {} by {}", s.id, s.image, s.line, s.parent);
            }
        }
        println!("{counts:?}");
        assert_eq!(counts.values().sum::<i32>(), i32::try_from(seen.len()).unwrap());
    }

    #[test]
    fn the_other_runs_tell_apart_too() {
        for (name, sample, tools) in [
            ("491f359c", r"\apihooks.exe", r"c:\47qdjdyj\bin\"),
            ("6c5e685f", r"\suspended-process.exe", r"c:\ba32drjh\bin\"),
        ] {
            let Some((seen, origins)) = run(name) else { return };
            let mut samples = 0;
            for s in &seen {
                let image = s.image.to_lowercase();
                let origin = origins.of(s.actor);
                if image.ends_with(sample) || s.parent.to_lowercase().contains(sample) {
                    assert_eq!(origin, Sample, "{name}: {} {}", s.id, s.image);
                    samples += 1;
                } else if image.starts_with(tools) || s.parent.starts_with("wevtutil cl") {
                    assert_eq!(origin, Sandbox, "{name}: {} {}", s.id, s.image);
                } else if s.line.contains("wmiprvse") || s.line.contains("slui.exe") || s.id == "7" {
                    assert_eq!(origin, Background, "{name}: {} {} {}", s.id, s.image, s.line);
                } else if s.line.ends_with("echo hai") || image.ends_with(r"\syswow64\cmd.exe") {
                    assert_eq!(origin, Sample, "{name}: {} {} {}", s.id, s.image, s.line);
                }
            }
            assert!(samples > 10, "{name}: {samples}");
        }
    }
}
