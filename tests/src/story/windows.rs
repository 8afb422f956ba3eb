//! Owns what Windows writes of a story: Sysmon's log, and the Security, System and PowerShell logs beside it.

use super::sysmon::{self, SysmonEvent};
use super::{Action, Cast, EventStep, Process, Time, What};
use crate::evtx::{Data, FileTime, Guid, Record, Sid, Value};
use std::collections::BTreeMap;

const SYSMON: &str = "Microsoft-Windows-Sysmon/Operational";
const SECURITY: &str = "Security";
const POWERSHELL: &str = "Microsoft-Windows-PowerShell/Operational";

/// The records of each channel, in order of time.
pub(super) fn channels(cast: &Cast<'_>) -> BTreeMap<String, Vec<Record>> {
    let mut channels: BTreeMap<String, Vec<Record>> = BTreeMap::new();
    let mut add = |record: Record| channels.entry(record.channel.clone()).or_default().push(record);
    for event in sysmon::events(cast) {
        add(sysmon_record(event));
    }
    for moment in &cast.moments {
        let time = FileTime::from_unix_micros(moment.time.0);
        match &moment.what {
            What::Started(index) => add(audit(cast, &cast.processes[*index], time)),
            What::Did(by, _, Action::Script { text, .. }) => add(script(&cast.processes[*by], text, moment.time)),
            What::Did(_, _, Action::Service { name, path, .. }) => add(service(name, path, time)),
            What::Did(_, _, Action::Event(step)) => add(other(step, time)),
            What::Did(..) | What::Ended(_) => {}
        }
    }
    for records in channels.values_mut() {
        for record in records {
            record.computer.clone_from(&cast.story.host.name);
        }
    }
    channels
}

fn sysmon_record(event: SysmonEvent) -> Record {
    let time = FileTime::from_unix_micros(event.time.0);
    let mut record = Record::new("Microsoft-Windows-Sysmon", SYSMON, event.id, time);
    record.provider_guid = Some(Guid(0x5770385f_c22a_43e0_bf4c_06f5698ffbd9));
    record.version = event.version;
    record.task = event.id;
    record.process_id = 2_812;
    record.thread_id = 3_404;
    record.user = Some(Sid::system());
    record.data = Data::Event(event.fields.into_iter().map(|(name, value)| (Some(name.to_owned()), value)).collect());
    record
}

/// Security 4688 with the command line turned on.
fn audit(cast: &Cast<'_>, process: &Process, time: FileTime) -> Record {
    let (domain, user) = process.start.user.split_once('\\').unwrap_or(("-", &process.start.user));
    let system = user == "SYSTEM";
    let sid = if system { Sid::system() } else { Sid { authority: 5, subs: vec![21, 1_004_336, 2_918, 77_181, 1001] } };
    let parent = cast.parent(process);
    let mut record = Record::new("Microsoft-Windows-Security-Auditing", SECURITY, 4688, time);
    record.provider_guid = Some(Guid(0x54849625_5478_4994_a5ba_3e3b0328c30d));
    record.version = 2;
    record.level = 0;
    record.task = 13_312;
    record.keywords = 0x8020_0000_0000_0000;
    record
        .with("SubjectUserSid", Value::Sid(sid))
        .with("SubjectUserName", user)
        .with("SubjectDomainName", domain)
        .with("SubjectLogonId", Value::Hex64(if system { 0x3e7 } else { 0x4_8f21 }))
        .with("NewProcessId", Value::Hex64(process.pid.into()))
        .with("NewProcessName", process.start.image.as_str())
        .with("TokenElevationType", "%%1938")
        .with("ProcessId", Value::Hex64(parent.map_or(0, |parent| parent.pid).into()))
        .with("CommandLine", process.start.command.as_str())
        .with("TargetUserSid", Value::Sid(Sid { authority: 0, subs: vec![0] }))
        .with("TargetUserName", "-")
        .with("TargetDomainName", "-")
        .with("TargetLogonId", Value::Hex64(0))
        .with("ParentProcessName", parent.map_or("-", |parent| parent.start.image.as_str()))
        .with("MandatoryLabel", Value::Sid(Sid { authority: 16, subs: vec![if system { 16_384 } else { 8_192 }] }))
}

fn script(by: &Process, text: &str, time: Time) -> Record {
    let mut record = Record::new("Microsoft-Windows-PowerShell", POWERSHELL, 4104, FileTime::from_unix_micros(time.0));
    record.provider_guid = Some(Guid(0xa0c1853b_5c40_4b15_8766_3cf1c58f985a));
    record.version = 1;
    record.level = 5;
    record.process_id = by.pid;
    record
        .with("MessageNumber", Value::I32(1))
        .with("MessageTotal", Value::I32(1))
        .with("ScriptBlockText", text)
        .with("ScriptBlockId", Value::Str(uuid::Uuid::from_u128(by.guid).to_string()))
        .with("Path", "")
}

fn service(name: &str, path: &str, time: FileTime) -> Record {
    let mut record = Record::new("Service Control Manager", "System", 7045, time);
    record.provider_guid = Some(Guid(0x555908d1_a6d7_4695_8e1e_26931d2012f4));
    record.qualifiers = Some(16_384);
    record.keywords = 0x8080_0000_0000_0000;
    record
        .with("ServiceName", name)
        .with("ImagePath", path)
        .with("ServiceType", "user mode service")
        .with("StartType", "auto start")
        .with("AccountName", "LocalSystem")
}

fn other(step: &EventStep, time: FileTime) -> Record {
    let mut record = Record::new(&step.provider, &step.channel, step.id, time);
    let fields = step.data.iter().map(|(name, value)| {
        let value = match value {
            serde_json::Value::String(text) => Value::Str(text.clone()),
            serde_json::Value::Bool(truth) => Value::Bool(*truth),
            serde_json::Value::Number(number) => {
                number.as_u64().map_or_else(|| Value::Str(number.to_string()), Value::U64)
            }
            other => Value::Str(other.to_string()),
        };
        (name.clone(), value)
    });
    record.data = match &step.user_data {
        Some(name) => Data::User {
            name: name.clone(),
            namespace: "http://manifests.microsoft.com/win/2004/08/windows/eventlog".to_owned(),
            fields: fields.collect(),
        },
        None => Data::Event(fields.map(|(name, value)| (Some(name), value)).collect()),
    };
    record
}
