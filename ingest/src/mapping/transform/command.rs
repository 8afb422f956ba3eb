//! Owns command lines: splitting the program off by each platform's quoting rules, and joining arguments.

use super::{Around, Val, text};
use crate::Platform;

type Arguments = [Box<str>];

/// What Windows runs by itself; an unquoted path with spaces ends behind one of them.
const EXECUTABLE: &[&str] = &[
    ".exe", ".com", ".bat", ".cmd", ".scr", ".pif", ".msi", ".dll", ".cpl", ".tmp", ".bin", ".sys", ".ps1", ".vbs",
    ".js",
];

pub(super) fn image_of(line: &str, _: &Arguments, around: &Around<'_>) -> Option<String> {
    image(line, around.platform)
}

/// The program of a command line.
///
/// On Windows by the rules of `CreateProcess`: a quoted program ends at the quote; an unquoted one at the first white
/// space, unless it is a path, which may hold spaces and then ends behind the first executable extension. Elsewhere
/// by the shell's: quotes of both kinds and backslashes. Without a platform, a backslash or a drive letter decides.
pub(crate) fn image(line: &str, platform: Option<Platform>) -> Option<String> {
    let line = line.trim_start();
    let windows = match platform {
        Some(platform) => platform == Platform::Windows,
        None => line.trim_start_matches('"').get(1..3) == Some(":\\") || line.contains('\\'),
    };
    let image = if windows { windows_image(line).0.to_owned() } else { unix_words(line, 1).pop()? };
    (!image.is_empty()).then_some(image)
}

/// The program of a Windows command line and what stands behind it.
fn windows_image(line: &str) -> (&str, &str) {
    if let Some(quoted) = line.strip_prefix('"') {
        return quoted.split_once('"').unwrap_or((quoted, ""));
    }
    let first = line.find(char::is_whitespace).unwrap_or(line.len());
    // A path alone may hold spaces; `cmd /c a.exe` must not.
    let is_path = line[..first].contains(['\\', '/', '%', '<']) && !line.starts_with('/');
    if is_path {
        let ends = line.char_indices().filter(|(_, c)| c.is_whitespace()).map(|(at, _)| at);
        for end in ends.chain([line.len()]).take(16) {
            let candidate = &line[..end];
            if EXECUTABLE.iter().any(|extension| ends_ignoring_case(candidate, extension)) {
                return (candidate, &line[end..]);
            }
        }
    }
    line.split_at(first)
}

fn ends_ignoring_case(text: &str, end: &str) -> bool {
    text.len() >= end.len() && text.as_bytes()[text.len() - end.len()..].eq_ignore_ascii_case(end.as_bytes())
}

/// The first words of a shell's command line, without their quotes.
fn unix_words(line: &str, most: usize) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(chars.next()),
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
        if words.len() >= most {
            return words;
        }
    }
    words.extend(word);
    words
}

pub(super) fn argument(line: &str, arguments: &Arguments, around: &Around<'_>) -> Option<String> {
    let place: usize = arguments[0].parse().ok()?;
    let line = line.trim_start();
    if around.platform == Some(Platform::Windows) {
        let (image, rest) = windows_image(line);
        if place == 0 {
            return Some(image.to_owned());
        }
        // Backslashes are plain in Windows arguments.
        return unix_words(&rest.replace('\\', "\\\\"), place).into_iter().nth(place - 1);
    }
    unix_words(line, place + 1).into_iter().nth(place)
}

/// Joins arguments as Sysmon for Linux and eBPF tools do: by one space, without quotes of its own, since rules are
/// written against that.
pub(super) fn argv<'r>(values: Vec<Val<'r>>, _: &Arguments) -> Vec<Val<'r>> {
    text::join(values, &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_splits_the_program_off_as_createprocess_does() {
        for (line, program) in [
            (r#""C:\Program Files\a b.exe" -x "y""#, r"C:\Program Files\a b.exe"),
            (r"C:\Program Files\App\app.exe /s", r"C:\Program Files\App\app.exe"),
            (r"C:\Windows\system32\svchost.exe -k netsvcs", r"C:\Windows\system32\svchost.exe"),
            (r"cmd.exe /c C:\a\b.exe", "cmd.exe"),
            (r"cmd /c start C:\a.exe", "cmd"),
            (r"%SAMPLEPATH%", "%SAMPLEPATH%"),
            (r"%SAMPLEPATH%\x.exe -q", r"%SAMPLEPATH%\x.exe"),
            (r#""C:\unclosed.exe -x"#, r"C:\unclosed.exe -x"),
            (r"C:\noextension arg", r"C:\noextension"),
        ] {
            assert_eq!(image(line, Some(Platform::Windows)).as_deref(), Some(program), "{line}");
        }
    }

    #[test]
    fn unix_splits_the_program_off_as_a_shell_does() {
        for (line, program) in [
            ("/usr/bin/crontab -l", "/usr/bin/crontab"),
            ("'/tmp/a b' -x", "/tmp/a b"),
            (r"/tmp/a\ b -x", "/tmp/a b"),
            (r#"/Applications/"My App.app"/x y"#, "/Applications/My App.app/x"),
        ] {
            assert_eq!(image(line, Some(Platform::Linux)).as_deref(), Some(program), "{line}");
            assert_eq!(image(line, Some(Platform::Macos)).as_deref(), Some(program), "{line}");
        }
        assert_eq!(image("  ", Some(Platform::Linux)), None);
    }

    #[test]
    fn arguments_are_counted_from_the_program() {
        let windows = Around { platform: Some(Platform::Windows), ..Around::NOWHERE };
        assert_eq!(argument(r#"a.exe /i "C:\x y" z"#, &["2".into()], &windows).as_deref(), Some(r"C:\x y"));
        let linux = Around { platform: Some(Platform::Linux), ..Around::NOWHERE };
        assert_eq!(argument("ls -la /tmp", &["1".into()], &linux).as_deref(), Some("-la"));
        assert_eq!(argument("ls", &["1".into()], &linux), None);
    }
}
