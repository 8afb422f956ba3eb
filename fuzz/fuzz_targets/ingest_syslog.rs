//! Any bytes as syslog text, by name: read or counted, never a crash or a hang, and no record without an account.
#![no_main]

use libfuzzer_sys::fuzz_target;

mod account;

fuzz_target!(|data: &[u8]| account::read("syslog", data));
