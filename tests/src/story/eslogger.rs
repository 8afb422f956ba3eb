//! Owns a story as macOS's `eslogger` writes it: one JSON object a line, of Endpoint Security's events.

use super::{Action, Cast, Process, What};
use serde_json::{Value, json};

const EXEC: u32 = 9;
const EXIT: u32 = 15;
const CREATE: u32 = 13;
const UNLINK: u32 = 32;

/// The log.
pub(super) fn log(cast: &Cast<'_>) -> String {
    let mut log = String::new();
    let mut number = 0_u64;
    for moment in &cast.moments {
        let (process, kind, event) = match &moment.what {
            What::Started(index) => {
                let child = &cast.processes[*index];
                // Before an exec the process is a copy of its parent under its own number.
                let image = cast.parent(child).map_or(child.start.image.as_str(), |parent| &parent.start.image);
                (described(cast, child, image, 0), EXEC, exec(cast, child))
            }
            What::Ended(index) => {
                let process = &cast.processes[*index];
                (described(cast, process, &process.start.image, 1), EXIT, json!({"exit": {"stat": 0}}))
            }
            What::Did(by, _, Action::Write { path, .. }) => {
                let by = &cast.processes[*by];
                let destination = json!({"existing_file": file(path)});
                let event = json!({"create": {"destination_type": 0, "destination": destination, "acl": null}});
                (described(cast, by, &by.start.image, 1), CREATE, event)
            }
            What::Did(by, _, Action::Delete { path, .. }) => {
                let by = &cast.processes[*by];
                let folder = path.rsplit_once('/').map_or("/", |(folder, _)| folder);
                let event = json!({"unlink": {"target": file(path), "parent_dir": file(folder)}});
                (described(cast, by, &by.start.image, 1), UNLINK, event)
            }
            // Endpoint Security has no events of the network.
            What::Did(..) => continue,
        };
        number += 1;
        let line = json!({
            "schema_version": 1,
            "version": 7,
            "time": moment.time.iso().replace('Z', "000Z"),
            "mach_time": moment.time.0.saturating_sub(cast.story.start.0) * 24,
            "seq_num": number - 1,
            "global_seq_num": number - 1,
            "action_type": 1,
            "action": {"result": {"result": {"auth": 0}, "result_type": 0}},
            "thread": {"thread_id": 40_000 + number},
            "event_type": kind,
            "process": process,
            "event": event,
        });
        log.push_str(&line.to_string());
        log.push('\n');
    }
    log
}

fn exec(cast: &Cast<'_>, child: &Process) -> Value {
    let arguments: Vec<String> = arguments(&child.start.command);
    json!({"exec": {
        "target": described(cast, child, &child.start.image, 1),
        "args": arguments,
        "env": [],
        "fds": [],
        "script": null,
        "cwd": file(if child.start.cwd.is_empty() { "/" } else { &child.start.cwd }),
        "last_fd": 2,
        "image_cputype": 16_777_228,
        "image_cpusubtype": 2,
        "dyld_exec_path": child.start.image,
    }})
}

fn described(cast: &Cast<'_>, process: &Process, image: &str, version: u32) -> Value {
    let parent = cast.parent(process);
    let parent_pid = parent.map_or(1, |parent| parent.pid);
    let root = process.start.user == "root";
    let platform = ["/bin/", "/usr/", "/sbin/", "/System/"].iter().any(|folder| image.starts_with(folder));
    json!({
        "audit_token": token(process.pid, version, root),
        "parent_audit_token": token(parent_pid, 1, false),
        "responsible_audit_token": token(parent_pid, 1, false),
        "ppid": parent_pid,
        "original_ppid": parent_pid,
        "group_id": process.pid,
        "session_id": 100,
        "start_time": process.started.plus(-0.002).iso(),
        "executable": file(image),
        "is_platform_binary": platform,
        "is_es_client": false,
        "codesigning_flags": if platform { 570_522_369 } else { 0 },
        "signing_id": if platform { json!(format!("com.apple.{}", image.rsplit('/').next().unwrap_or(image))) } else { Value::Null },
        "team_id": null,
        "cdhash": "0000000000000000000000000000000000000000",
        "tty": null,
    })
}

fn token(pid: u32, version: u32, root: bool) -> Value {
    let user = if root { 0 } else { 501 };
    json!({"pid": pid, "pidversion": pid * 2 + version, "asid": 100_005, "auid": 501,
           "euid": user, "ruid": user, "egid": 20, "rgid": 20})
}

fn file(path: &str) -> Value {
    json!({"path": path, "path_truncated": false, "stat": {"st_mode": 33_261, "st_uid": 501, "st_gid": 20}})
}

/// Splits a command line as the shell does, as far as stories go: quotes hold words together.
fn arguments(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut begun = false;
    for character in command.chars() {
        match (quote, character) {
            (None, '\'' | '"') => (quote, begun) = (Some(character), true),
            (Some(open), _) if open == character => quote = None,
            (None, ' ') => {
                if std::mem::take(&mut begun) {
                    words.push(std::mem::take(&mut word));
                }
            }
            _ => {
                word.push(character);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}
