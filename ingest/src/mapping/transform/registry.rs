//! Owns the transforms of registry keys and values into the words of Sysmon, which rules are written in.

use super::path::strip_ignoring_case;
use super::{Around, text};

type Arguments = [Box<str>];

/// How each notation of a root reads in Sysmon's. A user's own hive stands there under its SID; a report that says
/// only `HKEY_CURRENT_USER` does not know it, so that it stays marked as `<SID>`.
const ROOTS: &[(&str, &str)] = &[
    (r"\registry\machine", "HKLM"),
    (r"\registry\user", "HKU"),
    ("hkey_local_machine", "HKLM"),
    ("hkey_current_user", r"HKU\<SID>"),
    ("hkey_users", "HKU"),
    ("hkey_classes_root", "HKCR"),
    ("hkey_current_config", r"HKLM\System\CurrentControlSet\Hardware Profiles\Current"),
    ("hklm", "HKLM"),
    ("hkcu", r"HKU\<SID>"),
    ("hku", "HKU"),
    ("hkcr", "HKCR"),
    ("machine", "HKLM"),
];

/// A key with its root in Sysmon's short form and the control set that is in use.
pub(super) fn key(raw: &str, arguments: &Arguments, around: &Around<'_>) -> Option<String> {
    let raw = raw.trim();
    if raw.is_empty() {
        return None;
    }
    for (root, short) in ROOTS {
        let Some(rest) = strip_ignoring_case(raw, root) else { continue };
        if *root == "machine" && !rest.starts_with('\\') {
            continue;
        }
        if rest.is_empty() || rest.starts_with('\\') {
            return control_set(&format!("{short}{rest}"), arguments, around);
        }
    }
    control_set(raw, arguments, around)
}

pub(super) fn control_set(raw: &str, _: &Arguments, _: &Around<'_>) -> Option<String> {
    let lower = raw.to_ascii_lowercase();
    let Some(at) = lower.find(r"\controlset00") else { return Some(raw.to_owned()) };
    let digit = at + r"\controlset00".len();
    let (Some(b'1'..=b'9'), true) =
        (raw.as_bytes().get(digit), matches!(raw.as_bytes().get(digit + 1), None | Some(b'\\')))
    else {
        return Some(raw.to_owned());
    };
    Some(format!(r"{}\CurrentControlSet{}", &raw[..at], &raw[digit + 1..]))
}

pub(super) fn dword(raw: &str, _: &Arguments, _: &Around<'_>) -> Option<String> {
    Some(match text::number(raw) {
        // A monitor may print a DWORD of all ones as the 64-bit number that a sign extension makes of it.
        Some(n) => format!("DWORD (0x{:08x})", n as u64 as u32),
        None => raw.to_owned(),
    })
}

pub(super) fn qword(raw: &str, _: &Arguments, _: &Around<'_>) -> Option<String> {
    Some(match text::number(raw) {
        Some(n) => format!("QWORD (0x{:08x}-0x{:08x})", n as u64 >> 32, n as u64 as u32),
        None => raw.to_owned(),
    })
}

pub(super) fn text(raw: &str, _: &Arguments, _: &Around<'_>) -> Option<String> {
    Some(if raw.is_empty() { "(Empty)".to_owned() } else { raw.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOWHERE: Around<'static> = Around::NOWHERE;

    #[test]
    fn roots_read_as_sysmon_writes_them() {
        for (from, to) in [
            (r"HKEY_LOCAL_MACHINE\SYSTEM\ControlSet001\Services\x", r"HKLM\SYSTEM\CurrentControlSet\Services\x"),
            (r"\REGISTRY\MACHINE\SOFTWARE\x", r"HKLM\SOFTWARE\x"),
            (r"\REGISTRY\USER\S-1-5-21-1\Software", r"HKU\S-1-5-21-1\Software"),
            (r"HKEY_USERS\S-1-5-18\x", r"HKU\S-1-5-18\x"),
            (r"HKEY_CURRENT_USER\Software\x", r"HKU\<SID>\Software\x"),
            (r"HKEY_CLASSES_ROOT\.txt", r"HKCR\.txt"),
            (r"HKLM\SYSTEM\ControlSet0012\x", r"HKLM\SYSTEM\ControlSet0012\x"),
            (r"\Registry\Machine\Software\ClassesX", r"HKLM\Software\ClassesX"),
        ] {
            assert_eq!(key(from, &[], &NOWHERE).as_deref(), Some(to), "{from}");
        }
    }

    #[test]
    fn numbers_read_as_sysmon_writes_them() {
        assert_eq!(dword("1", &[], &NOWHERE).as_deref(), Some("DWORD (0x00000001)"));
        assert_eq!(dword("18446744073709551615", &[], &NOWHERE).as_deref(), Some("DWORD (0xffffffff)"));
        assert_eq!(dword("C:\\x", &[], &NOWHERE).as_deref(), Some("C:\\x"));
        assert_eq!(qword("0x100000002", &[], &NOWHERE).as_deref(), Some("QWORD (0x00000001-0x00000002)"));
    }
}
