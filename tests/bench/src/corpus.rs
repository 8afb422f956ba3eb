//! Owns the rules that are measured: from folders, and copies of them that ask for other values.

use sandsift_sigma::{Builder, Options, RuleSet, SourceFile};
use std::io;
use std::path::Path;

/// A rule file's name and content.
pub type File = (String, Vec<u8>);

/// Reads every rule file under a folder, in the order of their names; test cases are left out.
pub fn read(folder: &Path) -> io::Result<Vec<File>> {
    let mut files = Vec::new();
    read_into(folder, &mut files)?;
    Ok(files)
}

fn read_into(folder: &Path, files: &mut Vec<File>) -> io::Result<()> {
    let mut paths = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    for path in paths {
        let name = path.display().to_string();
        if path.is_dir() {
            read_into(&path, files)?;
        } else if (name.ends_with(".yml") || name.ends_with(".yaml")) && !name.ends_with(".test.yml") {
            files.push((name, std::fs::read(&path)?));
        }
    }
    Ok(())
}

/// Builds a set of these files.
pub fn build(files: &[File]) -> RuleSet {
    let mut builder = Builder::new(Options::default());
    for (file, text) in files {
        builder.add(&SourceFile { source: "bench", file, text });
    }
    builder.build().0
}

/// The files and `copies` renamed copies in which the values of the detections are other ones.
///
/// A letter in the middle of every longer word of a copy's values is replaced, so that a copy asks for other texts of
/// the same make; fields, modifiers and conditions stay.
pub fn multiply(files: &[File], copies: usize) -> Vec<File> {
    let mut all = files.to_vec();
    for copy in 1..=copies {
        for (name, text) in files {
            let text = String::from_utf8_lossy(text);
            all.push((format!("{name}.{copy}"), mutate(&text, copy).into_bytes()));
        }
    }
    all
}

fn mutate(text: &str, copy: usize) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    let mut inside = false;
    for line in text.lines() {
        match line {
            "detection:" => inside = true,
            _ if !line.starts_with([' ', '-', '#']) && !line.is_empty() => inside = false,
            _ => {}
        }
        let trimmed = line.trim_start();
        if let Some(id) = line.strip_prefix("id: ") {
            // Another id: the first digits are the copy's number.
            out.push_str(&format!("id: {copy:08x}{}", id.trim().get(8..).unwrap_or_default()));
        } else if inside && !trimmed.starts_with("condition:") && !trimmed.contains("|re") && !trimmed.contains("|cidr")
        {
            match line.split_once(": ") {
                Some((key, value)) => {
                    out.push_str(key);
                    out.push_str(": ");
                    mutate_value(value, copy, &mut out);
                }
                None if trimmed.starts_with("- ") => mutate_value(line, copy, &mut out),
                None => out.push_str(line),
            }
        } else {
            out.push_str(line);
        }
        out.push('\n');
    }
    out
}

/// Replaces a letter of every word of at least four letters.
fn mutate_value(value: &str, copy: usize, out: &mut String) {
    let (value, comment) = value.split_once(" #").unwrap_or((value, ""));
    let mut word = String::new();
    let flush = |word: &mut String, out: &mut String| {
        let changed = word.len() / 2;
        for (at, c) in word.chars().enumerate() {
            let other = (b'a' + (c.to_ascii_lowercase() as u8 - b'a' + copy as u8) % 26) as char;
            out.push(if at == changed && word.len() >= 4 { other } else { c });
        }
        word.clear();
    };
    for c in value.chars() {
        if c.is_ascii_alphabetic() {
            word.push(c);
        } else {
            flush(&mut word, out);
            out.push(c);
        }
    }
    flush(&mut word, out);
    if !comment.is_empty() {
        out.push_str(" #");
        out.push_str(comment);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_load_and_ask_for_other_values() {
        let text = "title: x\nid: 00000000-0000-4000-8000-000000000001\nlogsource:\n    category: test\ndetection:\n    \
                    sel:\n        Image|endswith:\n            - '\\powershell.exe' # shell\n        Other: 'mimikatz'\n    \
                    condition: sel\nlevel: high\n";
        let files = multiply(&[("a.yml".to_owned(), text.into())], 2);
        let copy = String::from_utf8_lossy(&files[1].1);
        assert!(copy.contains("'\\powertshell.exe'") || copy.contains("'\\power"), "{copy}");
        assert!(
            !copy.contains("mimikatz") && copy.contains("category: test") && copy.contains("level: high"),
            "{copy}"
        );
        assert_eq!(build(&files).rules().len(), 3);
    }
}
