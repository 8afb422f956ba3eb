//! Owns the transforms of Windows paths: what sandboxes, kernels and reports put where a drive letter belongs.

use super::Around;

type Arguments = [Box<str>];

/// The view that a 32-bit process has of the 64-bit system folder: only the sandbox's monitor sees it.
pub(super) fn sysnative(text: &str, _: &Arguments, _: &Around<'_>) -> Option<String> {
    const ALIAS: &str = r"\windows\sysnative\";
    Some(match find_ignoring_case(text, ALIAS) {
        Some(at) => format!(r"{}\Windows\System32\{}", &text[..at], &text[at + ALIAS.len()..]),
        None => text.to_owned(),
    })
}

/// Kernel and object manager names with the drive letter that Windows gives them.
///
/// The first volume of a guest is its reserved partition and the system lies on one behind it, so every volume reads
/// as `C:`: the report does not say which letter it had.
pub(super) fn device_path(text: &str, _: &Arguments, _: &Around<'_>) -> Option<String> {
    const VOLUME: &str = r"\device\harddiskvolume";
    if let Some(rest) = strip_ignoring_case(text, VOLUME) {
        let path = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        if path.len() < rest.len() && (path.is_empty() || path.starts_with('\\')) {
            return Some(format!("C:{path}"));
        }
    }
    for (prefix, instead) in [
        (r"\??\unc\", r"\\"),
        (r"\\?\unc\", r"\\"),
        (r"\device\mup\", r"\\"),
        (r"\??\", ""),
        (r"\\?\", ""),
        (r"\dosdevices\", ""),
        (r"\systemroot\", r"C:\Windows\"),
    ] {
        if let Some(rest) = strip_ignoring_case(text, prefix) {
            return Some(format!("{instead}{rest}"));
        }
    }
    Some(text.to_owned())
}

/// What each placeholder stands for on every Windows. The user's name is the run's own and stays marked as `<USER>`.
const PLACEHOLDERS: &[(&str, &str)] = &[
    ("%allusersprofile%", r"C:\ProgramData"),
    ("%appdata%", r"C:\Users\<USER>\AppData\Roaming"),
    ("%commonappdata%", r"C:\ProgramData"),
    ("%commonprogramfiles%", r"C:\Program Files\Common Files"),
    ("%commonprogramfiles(x86)%", r"C:\Program Files (x86)\Common Files"),
    ("%comspec%", r"C:\Windows\System32\cmd.exe"),
    ("%desktop%", r"C:\Users\<USER>\Desktop"),
    ("%homedrive%", "C:"),
    ("%homepath%", r"\Users\<USER>"),
    ("%localappdata%", r"C:\Users\<USER>\AppData\Local"),
    ("%programdata%", r"C:\ProgramData"),
    ("%programfiles%", r"C:\Program Files"),
    ("%programfiles(x86)%", r"C:\Program Files (x86)"),
    ("%programw6432%", r"C:\Program Files"),
    ("%public%", r"C:\Users\Public"),
    ("%system%", r"C:\Windows\System32"),
    ("%systemdrive%", "C:"),
    ("%systemroot%", r"C:\Windows"),
    ("%temp%", r"C:\Users\<USER>\AppData\Local\Temp"),
    ("%tmp%", r"C:\Users\<USER>\AppData\Local\Temp"),
    ("%userprofile%", r"C:\Users\<USER>"),
    ("%windir%", r"C:\Windows"),
    ("<allusersprofile>", r"C:\ProgramData"),
    ("<appdata>", r"C:\Users\<USER>\AppData\Roaming"),
    ("<program files>", r"C:\Program Files"),
    ("<program_files>", r"C:\Program Files"),
    ("<system32>", r"C:\Windows\System32"),
    ("<systemroot>", r"C:\Windows"),
    ("<windows>", r"C:\Windows"),
    ("<windir>", r"C:\Windows"),
];

/// Expands a placeholder at the head of a path. What only the run knew, as `%SAMPLEPATH%` and `<USER>`, stays as it
/// is: the mark tells the reader, and nothing is invented.
pub(super) fn placeholders(text: &str, _: &Arguments, _: &Around<'_>) -> Option<String> {
    Some(expand(text))
}

fn expand(text: &str) -> String {
    for (placeholder, path) in PLACEHOLDERS {
        if let Some(rest) = strip_ignoring_case(text, placeholder)
            && (rest.is_empty() || rest.starts_with(['\\', '/', ' ', '"']))
        {
            return format!("{path}{rest}");
        }
    }
    text.to_owned()
}

/// Expands in the image alone: rules ask for `%TEMP%` in arguments by that very text.
pub(super) fn command(text: &str, _: &Arguments, _: &Around<'_>) -> Option<String> {
    Some(match text.strip_prefix('"') {
        Some(quoted) => format!("\"{}", expand(quoted)),
        None => expand(text),
    })
}

pub(super) fn windows_path(text: &str, arguments: &Arguments, around: &Around<'_>) -> Option<String> {
    let text = device_path(text, arguments, around)?;
    sysnative(&expand(&text), arguments, around)
}

pub(super) fn strip_ignoring_case<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

fn find_ignoring_case(text: &str, needle: &str) -> Option<usize> {
    text.as_bytes().windows(needle.len()).position(|w| w.eq_ignore_ascii_case(needle.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(work: fn(&str, &Arguments, &Around<'_>) -> Option<String>, cases: &[(&str, &str)]) {
        for (from, to) in cases {
            assert_eq!(work(from, &[], &Around::NOWHERE).as_deref(), Some(*to), "{from}");
        }
    }

    #[test]
    fn the_monitors_view_of_the_system_folder_is_undone() {
        all(
            sysnative,
            &[
                (r"C:\Windows\sysnative\svchost.exe", r"C:\Windows\System32\svchost.exe"),
                (r"C:\WINDOWS\Sysnative\wbem\x.exe", r"C:\Windows\System32\wbem\x.exe"),
                (r"C:\sysnative\x.exe", r"C:\sysnative\x.exe"),
            ],
        );
    }

    #[test]
    fn kernel_names_get_their_drive_letter() {
        all(
            device_path,
            &[
                (r"\Device\HarddiskVolume2\Windows\explorer.exe", r"C:\Windows\explorer.exe"),
                (r"\??\C:\a", r"C:\a"),
                (r"\??\UNC\host\share", r"\\host\share"),
                (r"\SystemRoot\System32\drivers\x.sys", r"C:\Windows\System32\drivers\x.sys"),
                (r"\Device\CNG", r"\Device\CNG"),
                (r"\Device\HarddiskVolumeShadowCopy1\x", r"\Device\HarddiskVolumeShadowCopy1\x"),
            ],
        );
    }

    #[test]
    fn placeholders_are_expanded_or_stay_marked() {
        all(
            placeholders,
            &[
                (r"%WINDIR%\System32\cmd.exe", r"C:\Windows\System32\cmd.exe"),
                (r"%APPDATA%\a.exe", r"C:\Users\<USER>\AppData\Roaming\a.exe"),
                (r"%SAMPLEPATH%\a.exe", r"%SAMPLEPATH%\a.exe"),
                (r"C:\Users\<USER>\a.exe", r"C:\Users\<USER>\a.exe"),
            ],
        );
        all(
            command,
            &[
                (r#""%WINDIR%\system32\cmd.exe" /c del %TEMP%\a"#, r#""C:\Windows\system32\cmd.exe" /c del %TEMP%\a"#),
                (r"%SAMPLEPATH% -x", r"%SAMPLEPATH% -x"),
            ],
        );
    }
}
