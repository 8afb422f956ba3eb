//! Owns what Sysmon writes of a moment: event id and fields, the same on Windows and Linux; and Sysmon for Linux's log.

use super::{Action, Cast, Moment, Process, Time, What, made_hashes, made_id, made_sha256};
use crate::evtx::{Guid, Value};
use std::fmt::Write;

/// One Sysmon event.
#[derive(Debug)]
pub(super) struct SysmonEvent {
    pub time: Time,
    pub id: u16,
    pub version: u8,
    pub fields: Vec<(&'static str, Value)>,
}

/// What Sysmon writes of each moment, in order; nothing of what it does not see.
pub(super) fn events(cast: &Cast<'_>) -> Vec<SysmonEvent> {
    cast.moments.iter().filter_map(|moment| event(cast, moment)).collect()
}

fn event(cast: &Cast<'_>, moment: &Moment) -> Option<SysmonEvent> {
    let mut fields = vec![("RuleName", Value::from("-"))];
    if let What::Did(_, _, Action::SetValue { .. } | Action::AddKey { .. } | Action::DeleteValue { .. }) = &moment.what
    {
        fields.push(("EventType", event_type(&moment.what).into()));
    }
    fields.push(("UtcTime", Value::Str(moment.time.sysmon())));
    let (id, version) = match &moment.what {
        What::Started(index) => {
            created(cast, &cast.processes[*index], &mut fields);
            (1, 5)
        }
        What::Ended(index) => {
            process(&cast.processes[*index], &mut fields);
            fields.push(("User", cast.processes[*index].start.user.as_str().into()));
            (5, 3)
        }
        What::Did(by, target, action) => {
            let by = &cast.processes[*by];
            let target = target.map(|index| &cast.processes[index]);
            did(cast, by, target, action, moment.time, &mut fields)?
        }
    };
    Some(SysmonEvent { time: moment.time, id, version, fields })
}

fn event_type(what: &What) -> &'static str {
    match what {
        What::Did(_, _, Action::AddKey { .. }) => "CreateKey",
        What::Did(_, _, Action::DeleteValue { .. }) => "DeleteValue",
        _ => "SetValue",
    }
}

fn process(process: &Process, fields: &mut Vec<(&'static str, Value)>) {
    fields.push(("ProcessGuid", Value::Guid(Guid(process.guid))));
    fields.push(("ProcessId", Value::U32(process.pid)));
    fields.push(("Image", process.start.image.as_str().into()));
}

fn created(cast: &Cast<'_>, child: &Process, fields: &mut Vec<(&'static str, Value)>) {
    process(child, fields);
    let info = |index: usize| Value::from(child.start.version_info.get(index).map_or("-", String::as_str));
    let version = if child.start.version_info.is_empty() { "-" } else { "10.0.19041.1 (WinBuild.160101.0800)" };
    let system = child.start.user.ends_with("SYSTEM") || child.start.user == "root";
    let linux = cast.story.platform == "linux";
    let (session, integrity) = match (linux, system) {
        (true, _) => (1, "no level"),
        (false, true) => (0, "System"),
        (false, false) => (1, "Medium"),
    };
    let logon: u64 = if system { 0x3e7 } else { 0x4_8f21 };
    let hashes = made_hashes(&child.start.image);
    fields.extend([
        ("FileVersion", Value::from(version)),
        ("Description", info(1)),
        ("Product", info(2)),
        ("Company", info(3)),
        ("OriginalFileName", info(0)),
        ("CommandLine", child.start.command.as_str().into()),
        ("CurrentDirectory", child.start.cwd.as_str().into()),
        ("User", child.start.user.as_str().into()),
        ("LogonGuid", Value::Guid(Guid(made_id(&child.start.user)))),
        ("LogonId", if linux { Value::U64(u64::from(!system) * 1000) } else { Value::Hex64(logon) }),
        ("TerminalSessionId", Value::U32(session)),
        ("IntegrityLevel", integrity.into()),
        (
            "Hashes",
            if linux { Value::Str(format!("SHA256={}", made_sha256(&child.start.image))) } else { hashes.into() },
        ),
    ]);
    if let Some(parent) = cast.parent(child) {
        fields.extend([
            ("ParentProcessGuid", Value::Guid(Guid(parent.guid))),
            ("ParentProcessId", Value::U32(parent.pid)),
            ("ParentImage", parent.start.image.as_str().into()),
            ("ParentCommandLine", parent.start.command.as_str().into()),
            ("ParentUser", parent.start.user.as_str().into()),
        ]);
    }
}

/// Adds what an action has to say; gives the event's id and version, nothing where Sysmon has no event for it.
fn did(
    cast: &Cast<'_>,
    by: &Process,
    target: Option<&Process>,
    action: &Action,
    time: Time,
    fields: &mut Vec<(&'static str, Value)>,
) -> Option<(u16, u8)> {
    let user = ("User", Value::from(by.start.user.as_str()));
    let created = || ("CreationUtcTime", Value::Str(time.sysmon()));
    match action {
        Action::Write { path, .. } => {
            process(by, fields);
            fields.extend([("TargetFilename", path.as_str().into()), created(), user]);
            Some((11, 2))
        }
        Action::Delete { path, .. } => {
            process(by, fields);
            let at = fields.len() - 2;
            fields.insert(at, user);
            fields.extend([
                ("TargetFilename", path.as_str().into()),
                ("Hashes", made_hashes(path).into()),
                ("IsExecutable", Value::Bool(path.ends_with(".exe"))),
                ("Archived", "false".into()),
            ]);
            Some((23, 5))
        }
        Action::Load { image, unsigned, .. } => {
            process(by, fields);
            let (signed, signature, status) =
                if *unsigned { ("false", "-", "Unavailable") } else { ("true", "Microsoft Windows", "Valid") };
            fields.extend([
                ("ImageLoaded", image.as_str().into()),
                ("FileVersion", "-".into()),
                ("Description", "-".into()),
                ("Product", "-".into()),
                ("Company", "-".into()),
                ("OriginalFileName", "-".into()),
                ("Hashes", made_hashes(image).into()),
                ("Signed", signed.into()),
                ("Signature", signature.into()),
                ("SignatureStatus", status.into()),
                user,
            ]);
            Some((7, 3))
        }
        Action::SetValue { key, value, .. } => {
            process(by, fields);
            fields.extend([("TargetObject", key.as_str().into()), ("Details", value.as_str().into()), user]);
            Some((13, 2))
        }
        Action::AddKey { key, .. } | Action::DeleteValue { key, .. } => {
            process(by, fields);
            fields.extend([("TargetObject", key.as_str().into()), user]);
            Some((12, 2))
        }
        Action::Connect { ip, port, host, udp, .. } => {
            process(by, fields);
            let protocol = if *udp { "udp" } else { "tcp" };
            let port_name = match port {
                53 => "domain",
                80 => "http",
                443 => "https",
                _ => "-",
            };
            fields.extend([
                user,
                ("Protocol", protocol.into()),
                ("Initiated", Value::Bool(true)),
                ("SourceIsIpv6", Value::Bool(false)),
                ("SourceIp", "192.168.122.31".into()),
                ("SourceHostname", cast.story.host.name.as_str().into()),
                ("SourcePort", Value::U16(49_700 + (time.0 % 997) as u16)),
                ("SourcePortName", "-".into()),
                ("DestinationIsIpv6", Value::Bool(ip.contains(':'))),
                ("DestinationIp", ip.as_str().into()),
                ("DestinationHostname", if host.is_empty() { "-" } else { host }.into()),
                ("DestinationPort", Value::U16(*port)),
                ("DestinationPortName", port_name.into()),
            ]);
            Some((3, 5))
        }
        Action::Resolve { name, to, .. } => {
            let image = ("Image", Value::from(by.start.image.as_str()));
            fields.extend([
                ("ProcessGuid", Value::Guid(Guid(by.guid))),
                ("ProcessId", Value::U32(by.pid)),
                ("QueryName", name.as_str().into()),
                ("QueryStatus", if to.is_empty() { "9003" } else { "0" }.into()),
                ("QueryResults", if to.is_empty() { "-".into() } else { Value::Str(format!("::ffff:{to};")) }),
                image,
                user,
            ]);
            Some((22, 5))
        }
        Action::Pipe { name, .. } => {
            fields.insert(1, ("EventType", "CreatePipe".into()));
            fields.extend([
                ("ProcessGuid", Value::Guid(Guid(by.guid))),
                ("ProcessId", Value::U32(by.pid)),
                ("PipeName", name.as_str().into()),
                ("Image", by.start.image.as_str().into()),
                user,
            ]);
            Some((17, 1))
        }
        Action::Open { access, trace, .. } => {
            let target = target?;
            fields.extend([
                ("SourceProcessGUID", Value::Guid(Guid(by.guid))),
                ("SourceProcessId", Value::U32(by.pid)),
                ("SourceThreadId", Value::U32(by.pid + 4)),
                ("SourceImage", by.start.image.as_str().into()),
                ("TargetProcessGUID", Value::Guid(Guid(target.guid))),
                ("TargetProcessId", Value::U32(target.pid)),
                ("TargetImage", target.start.image.as_str().into()),
                ("GrantedAccess", access.as_str().into()),
                ("CallTrace", trace.as_str().into()),
                ("SourceUser", by.start.user.as_str().into()),
                ("TargetUser", target.start.user.as_str().into()),
            ]);
            Some((10, 3))
        }
        Action::Thread { function, module, .. } => {
            let target = target?;
            fields.extend([
                ("SourceProcessGuid", Value::Guid(Guid(by.guid))),
                ("SourceProcessId", Value::U32(by.pid)),
                ("SourceImage", by.start.image.as_str().into()),
                ("TargetProcessGuid", Value::Guid(Guid(target.guid))),
                ("TargetProcessId", Value::U32(target.pid)),
                ("TargetImage", target.start.image.as_str().into()),
                ("NewThreadId", Value::U32(target.pid + 8)),
                ("StartAddress", "0x00007FFA1D2A0000".into()),
                ("StartModule", module.as_str().into()),
                ("StartFunction", function.as_str().into()),
                ("SourceUser", by.start.user.as_str().into()),
                ("TargetUser", target.start.user.as_str().into()),
            ]);
            Some((8, 2))
        }
        Action::Stream { path, contents, .. } => {
            process(by, fields);
            fields.extend([
                ("TargetFilename", path.as_str().into()),
                created(),
                ("Hash", made_hashes(path).into()),
                ("Contents", contents.as_str().into()),
                user,
            ]);
            Some((15, 2))
        }
        Action::Start(_) | Action::Script { .. } | Action::Service { .. } | Action::Event(_) => None,
    }
}

/// The log of Sysmon for Linux as syslog keeps it.
pub(super) fn linux_log(cast: &Cast<'_>) -> String {
    let host = &cast.story.host.name;
    let mut log = String::new();
    for (index, event) in events(cast).iter().enumerate() {
        let SysmonEvent { time, id, version, fields } = event;
        let mut data = String::new();
        for (name, value) in fields {
            // Writing into a string cannot fail.
            let _ = write!(data, "<Data Name=\"{name}\">{}</Data>", escape(&text(value)));
        }
        let _ = writeln!(
            log,
            "{} {host} sysmon: <Event><System><Provider Name=\"Linux-Sysmon\" \
             Guid=\"{{ff032593-a8d3-4f13-b0d6-01fc615a0f97}}\"/><EventID>{id}</EventID><Version>{version}</Version>\
             <Level>4</Level><Task>{id}</Task><Opcode>0</Opcode><Keywords>0x8000000000000000</Keywords>\
             <TimeCreated SystemTime=\"{}\"/><EventRecordID>{}</EventRecordID><Correlation/>\
             <Execution ProcessID=\"611\" ThreadID=\"611\"/><Channel>Linux-Sysmon/Operational</Channel>\
             <Computer>{host}</Computer><Security UserId=\"0\"/></System><EventData>{data}</EventData></Event>",
            time.syslog(),
            time.iso(),
            index + 1,
        );
    }
    log
}

/// A value as text, for the kinds that Sysmon's fields have.
fn text(value: &Value) -> String {
    match value {
        Value::Str(text) => text.clone(),
        Value::U16(number) => number.to_string(),
        Value::U32(number) => number.to_string(),
        Value::U64(number) => number.to_string(),
        Value::Hex64(number) => format!("0x{number:x}"),
        Value::Bool(truth) => truth.to_string(),
        Value::Guid(guid) => uuid::Uuid::from_u128(guid.0).braced().to_string(),
        other => format!("{other:?}"),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
