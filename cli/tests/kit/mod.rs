//! Owns what the tests of the binary share: running it in a clean environment, folders of their own, shared data.
#![allow(dead_code)] // Each test file uses its part.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

/// The binary, without anything that the environment may say.
pub fn sandsift<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sandsift"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SANDSIFT_")) {
        command.env_remove(name);
    }
    command.env("COLUMNS", "100").env("NO_COLOR", "1").args(arguments);
    Run(command.output().expect("the binary runs"))
}

/// What a run came to.
pub struct Run(pub Output);

impl Run {
    pub fn code(&self) -> i32 {
        self.0.status.code().unwrap_or(-1)
    }

    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    /// Asserts how it ended, and shows what it said where it did not.
    #[track_caller]
    pub fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code(), code, "stdout:\n{}\nstderr:\n{}", self.out(), self.err());
        self
    }

    /// Every line of stdout as JSON.
    pub fn lines(&self) -> Vec<serde_json::Value> {
        self.out().lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }
}

/// A folder that is removed at the end.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("sandsift-cli-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(&path, content).expect("a file");
        path.display().to_string()
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A path under the data that lies beside the project; says so and gives none where it is absent.
pub fn shared(path: &str) -> Option<PathBuf> {
    let full = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(path);
    if full.exists() {
        return Some(full);
    }
    eprintln!("skipped: ../shared/data/{path} is not there");
    None
}

/// The rules of SigmaHQ that lie beside the project, as arguments.
pub fn sigmahq() -> Option<Vec<String>> {
    let names = ["rules", "rules-emerging-threats", "rules-threat-hunting"];
    let mut arguments = Vec::new();
    for name in names {
        arguments.push("--rules".to_owned());
        arguments.push(shared(&format!("sigmahq/{name}"))?.display().to_string());
    }
    Some(arguments)
}

/// Ids of the rules that fired.
pub fn fired(analysis: &serde_json::Value) -> Vec<&str> {
    let results = analysis["sigma_analysis_results"].as_array().expect("results");
    results.iter().map(|result| result["rule_id"].as_str().expect("an id")).collect()
}

pub const CRONTAB: &str = "title: Crontab Enumeration
id: 403ed92c-b7ec-4edd-9947-5b535ee12d46
status: test
description: lists the user's crontab
author: a test
date: 2026-01-01
logsource:
    product: linux
    category: process_creation
detection:
    selection:
        Image|endswith: '/crontab'
        CommandLine|contains: ' -l'
    condition: selection
level: low
tags:
    - attack.discovery
    - attack.t1007
";
