//! Owns how values are written where Windows, its tools and Sigma's rules differ: hashes, registry roots, control sets,
//! device paths, times. Text in, text out.

use sandsift_sigma::{Event, Value};

/// Hash algorithms by the name in `Hashes` and the names of the single fields that rules ask for.
const HASHES: &[(&str, &[&str])] =
    &[("MD5", &["md5"]), ("SHA1", &["sha1"]), ("SHA256", &["sha256"]), ("IMPHASH", &["imphash", "Imphash"])];

/// Adds a text field in the form that rules expect, with the fields that follow from it.
pub(crate) fn push(event: &mut Event, name: &str, text: &str, buffer: &mut String) {
    match name {
        "TargetObject" | "NewName" if control_set(text).is_some() => {
            buffer.clear();
            match control_set(text) {
                Some((before, after)) => buffer.extend([before, "CurrentControlSet", after]),
                None => buffer.push_str(text),
            }
            event.push_str(name, buffer);
        }
        "Hashes" => {
            event.push_str(name, text);
            for (algorithm, hash) in hashes(text) {
                if let Some((_, fields)) = HASHES.iter().find(|(a, _)| a.eq_ignore_ascii_case(algorithm)) {
                    fields.iter().for_each(|field| event.push_str(field, hash));
                }
            }
        }
        _ => event.push_str(name, text),
    }
}

/// Whether [`push`] does more with a field than to take it.
pub(crate) fn is_rewritten(name: &str) -> bool {
    matches!(name, "TargetObject" | "NewName" | "Hashes")
}

/// Whether a field is one hash alone.
pub(crate) fn is_hash_field(name: &str) -> bool {
    HASHES.iter().any(|(algorithm, fields)| *algorithm == name || fields.contains(&name))
}

/// Makes `Hashes` of the single hash fields where an event has only these.
pub(crate) fn complete(event: &mut Event, buffer: &mut String) {
    if event.get("Hashes").is_some() {
        return;
    }
    buffer.clear();
    let found = HASHES.iter().map(|(algorithm, fields)| {
        let named = fields.iter().copied().chain([*algorithm]);
        (*algorithm, named.filter_map(|f| event.get_str(f)).find(|h| !h.is_empty()))
    });
    for (algorithm, hash) in found {
        if let Some(hash) = hash {
            let comma = if buffer.is_empty() { "" } else { "," };
            buffer.extend([comma, algorithm, "=", hash]);
        }
    }
    if !buffer.is_empty() {
        event.push("Hashes", Value::Str(buffer));
    }
}

/// The parts of Sysmon's `Hashes`: `SHA1=…,MD5=…`.
pub(crate) fn hashes(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split(',').filter_map(|part| part.trim().split_once('='))
}

/// Where a path names a numbered control set, what stands before and after that name: Sysmon writes
/// `CurrentControlSet`, the kernel `ControlSet001`.
pub(crate) fn control_set(path: &str) -> Option<(&str, &str)> {
    const NAME: &str = "\\ControlSet00";
    // `HKLM\System\` is as far in as a control set can be.
    let head = path.get(..path.len().min(64)).unwrap_or(path);
    let at = memchr::memmem::find(head.as_bytes(), NAME.as_bytes()).or_else(|| {
        let (name, head) = (NAME.as_bytes(), head.as_bytes());
        head.windows(name.len()).position(|w| w.eq_ignore_ascii_case(name))
    })?;
    let digit = at + NAME.len();
    let after = path.get(digit + 1..)?;
    let whole = path.as_bytes()[digit].is_ascii_digit() && (after.is_empty() || after.starts_with('\\'));
    whole.then(|| (&path[..=at], after))
}

/// Writes a registry path of the kernel as Sysmon does: `\REGISTRY\MACHINE` as `HKLM`, `\REGISTRY\USER` as `HKU`, numbered
/// control sets as the current one.
pub(crate) fn registry_path(path: &str, out: &mut String) {
    const ROOTS: &[(&str, &str)] = &[
        ("\\REGISTRY\\MACHINE\\SOFTWARE\\Classes", "HKCR"),
        ("\\REGISTRY\\MACHINE", "HKLM"),
        ("\\REGISTRY\\USER", "HKU"),
        ("HKEY_LOCAL_MACHINE\\SOFTWARE\\Classes", "HKCR"),
        ("HKEY_LOCAL_MACHINE", "HKLM"),
        ("HKEY_USERS", "HKU"),
        ("HKEY_CURRENT_USER", "HKCU"),
        ("HKEY_CLASSES_ROOT", "HKCR"),
        ("HKEY_CURRENT_CONFIG", "HKCC"),
    ];
    let found = ROOTS.iter().find_map(|(long, short)| Some((*short, strip_path(path, long)?)));
    let (root, rest) = found.unwrap_or(("", path));
    out.push_str(root);
    match control_set(rest) {
        Some((before, after)) => out.extend([before, "CurrentControlSet", after]),
        None => out.push_str(rest),
    }
}

/// Strips a path's first components, without regard to ASCII case.
fn strip_path<'a>(path: &'a str, start: &str) -> Option<&'a str> {
    let (head, rest) = path.split_at_checked(start.len())?;
    (head.eq_ignore_ascii_case(start) && (rest.is_empty() || rest.starts_with('\\'))).then_some(rest)
}

/// Writes a device path as a drive's. The volume's letter is not in the log; a sandbox's guest has one volume, `C:`.
pub(crate) fn device_path(path: &str, out: &mut String) {
    const DEVICE: &str = "\\device\\harddiskvolume";
    if let Some((head, rest)) = path.split_at_checked(DEVICE.len())
        && head.eq_ignore_ascii_case(DEVICE)
    {
        let tail = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        if tail.len() < rest.len() && tail.starts_with('\\') {
            out.extend(["C:", tail]);
            return;
        }
    }
    out.push_str(path);
}

/// Reads a number that a log writes in decimal or, after `0x`, in hex.
pub(crate) fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Reads a value that is a number or its text.
pub(crate) fn integer(value: Value<'_>) -> Option<u64> {
    match value {
        Value::Int(n) => u64::try_from(n).ok(),
        Value::Str(text) | Value::Number(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// Reads a time as logs write it (`2025-11-21T15:40:01.2162716Z`, `2025-11-21 15:40:01.215`, with or without an offset):
/// nanoseconds since 1970-01-01 UTC. Without an offset it is UTC.
pub(crate) fn time(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let digits = |from: usize, to: usize| -> Option<i64> {
        bytes.get(from..to)?.iter().try_fold(0i64, |n, b| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0')))
    };
    let mark = |at: usize, marks: &[u8]| bytes.get(at).is_some_and(|b| marks.contains(b));
    if !(mark(4, b"-/") && mark(7, b"-/") && mark(10, b"T ") && mark(13, b":") && mark(16, b":")) {
        return None;
    }
    let (year, month, day) = (digits(0, 4)?, digits(5, 7)?, digits(8, 10)?);
    let (hour, minute, second) = (digits(11, 13)?, digits(14, 16)?, digits(17, 19)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut at = 19;
    let mut nanos = 0i64;
    if mark(at, b".,") {
        let fraction = bytes[at + 1..].iter().take_while(|b| b.is_ascii_digit()).count();
        let kept = fraction.min(9);
        nanos = digits(at + 1, at + 1 + kept)? * 10i64.pow(9 - kept as u32);
        at += 1 + fraction;
    }
    let offset = match bytes.get(at) {
        Some(sign @ (b'+' | b'-')) => {
            let colon = usize::from(mark(at + 3, b":"));
            let seconds = digits(at + 1, at + 3)? * 3600 + digits(at + 3 + colon, at + 5 + colon)? * 60;
            if *sign == b'-' { -seconds } else { seconds }
        }
        _ => 0,
    };
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos)
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March put the leap day at their end.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registry_paths_are_written_as_sysmon_does() {
        for (path, expected) in [
            ("\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001\\Services\\x", "HKLM\\SYSTEM\\CurrentControlSet\\Services\\x"),
            ("\\Registry\\User\\S-1-5-21-1_Classes\\ms-settings", "HKU\\S-1-5-21-1_Classes\\ms-settings"),
            ("\\REGISTRY\\MACHINE\\SOFTWARE\\Classes\\exefile", "HKCR\\exefile"),
            ("\\REGISTRY\\MACHINERY\\x", "\\REGISTRY\\MACHINERY\\x"),
            ("HKLM\\System\\ControlSet0012\\x", "HKLM\\System\\ControlSet0012\\x"),
        ] {
            let mut out = String::new();
            registry_path(path, &mut out);
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn a_device_path_becomes_a_drives() {
        let of = |path: &str| {
            let mut out = String::new();
            device_path(path, &mut out);
            out
        };
        assert_eq!(
            of("\\device\\harddiskvolume12\\windows\\system32\\svchost.exe"),
            "C:\\windows\\system32\\svchost.exe"
        );
        assert_eq!(of("System"), "System");
        assert_eq!(of("\\Device\\HarddiskVolumeX\\a"), "\\Device\\HarddiskVolumeX\\a");
    }

    #[test]
    fn times_are_read_in_the_forms_that_logs_have() {
        assert_eq!(time("1970-01-02T00:00:00Z"), Some(86_400_000_000_000));
        assert_eq!(time("2025-11-21T15:40:01.2162716Z"), Some(1_763_739_601_216_271_600));
        assert_eq!(time("2025-11-21 15:40:01.216"), Some(1_763_739_601_216_000_000));
        assert_eq!(time("2025-11-21T16:40:01.216+01:00"), Some(1_763_739_601_216_000_000));
        for bad in
            ["", "2025", "2025-13-21T15:40:01", "99999-11-21T15:40:01", "2025-11-21T15:40", "é025-11-21T15:40:01"]
        {
            assert_eq!(time(bad), None, "{bad}");
        }
    }

    #[test]
    fn hashes_and_single_hash_fields_are_each_made_from_the_other() {
        let (mut event, mut buffer) = (Event::new(), String::new());
        push(&mut event, "Hashes", "SHA1=AA,MD5=BB, IMPHASH=00", &mut buffer);
        assert_eq!(event.get_str("sha1"), Some("AA"));
        assert_eq!(event.get_str("md5"), Some("BB"));
        assert_eq!(event.get_str("Imphash"), Some("00"));
        event.clear();
        push(&mut event, "sha256", "CC", &mut buffer);
        push(&mut event, "MD5", "DD", &mut buffer);
        complete(&mut event, &mut buffer);
        assert_eq!(event.get_str("Hashes"), Some("MD5=DD,SHA256=CC"));
    }

    #[test]
    fn a_numbered_control_set_is_the_current_one() {
        let (mut event, mut buffer) = (Event::new(), String::new());
        push(&mut event, "TargetObject", "HKLM\\System\\ControlSet001\\Services\\é", &mut buffer);
        assert_eq!(event.get_str("TargetObject"), Some("HKLM\\System\\CurrentControlSet\\Services\\é"));
    }
}
