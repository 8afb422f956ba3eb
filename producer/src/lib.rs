//! Emits completions: from files, from a sandbox output folder, from a load profile.
