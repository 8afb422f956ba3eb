//! Owns guesses at how often a text stands in the values of ordinary events; a wrong guess costs time, never a hit.
//!
//! The guess rests on a page of what every machine logs all day. It is better than letter frequencies alone, since
//! rules and ordinary events speak of the same folders, programs and switches.

use rustc_hash::FxHashMap;
use std::sync::OnceLock;

/// What ordinary events hold, in lower case; one line a theme.
const COMMONPLACE: &str = "\
c:\\windows\\system32\\svchost.exe -k netsvcs -p -s schedule c:\\windows\\syswow64\\ c:\\windows\\explorer.exe
c:\\windows\\system32\\cmd.exe /c c:\\windows\\system32\\conhost.exe 0xffffffff -forcev1 c:\\windows\\system32\\rundll32.exe
c:\\windows\\system32\\windowspowershell\\v1.0\\powershell.exe -noprofile -noninteractive -executionpolicy bypass -command
c:\\windows\\system32\\services.exe c:\\windows\\system32\\lsass.exe c:\\windows\\system32\\wbem\\wmiprvse.exe -embedding
c:\\windows\\system32\\taskhostw.exe c:\\windows\\system32\\dllhost.exe /processid:{ } c:\\windows\\system32\\regsvr32.exe /s
c:\\windows\\system32\\net.exe c:\\windows\\system32\\reg.exe add hklm\\software c:\\windows\\system32\\schtasks.exe /create
c:\\program files\\ c:\\program files (x86)\\ common files\\microsoft shared\\ windows defender\\msmpeng.exe c:\\programdata\\
c:\\program files\\google\\chrome\\application\\chrome.exe --type=renderer c:\\program files (x86)\\microsoft\\edge\\application\\msedge.exe
c:\\program files\\microsoft office\\root\\office16\\winword.exe excel.exe outlook.exe powerpnt.exe /n \"c:\\users\\ .docx\"
c:\\users\\administrator\\appdata\\local\\temp\\ c:\\users\\user\\appdata\\roaming\\microsoft\\windows\\ desktop downloads documents
c:\\windows\\temp\\ c:\\temp\\ .exe .dll .sys .tmp .log .txt .lnk .ps1 .bat .vbs .js .hta .xml .ini .dat .msi .zip .cmd
hklm\\software\\microsoft\\windows\\currentversion\\run hklm\\system\\currentcontrolset\\services\\ hku\\s-1-5-21- hkcu\\software\\
hklm\\software\\wow6432node\\classes\\clsid\\ \\policies\\ \\explorer\\ \\parameters \\start \\imagepath \\(default) dword binary data
nt authority\\system nt authority\\network service local service builtin\\users window manager font driver host
microsoft corporation microsoft windows operating system microsoft\u{ae} windows\u{ae} 10.0.19041.1 (winbuild.160101.0800)
md5= ,sha1= ,sha256= ,imphash=00000000000000000000000000000000 high medium system low true false
http://www. https:// .com .net .org /index.html?id= content-type application/json user-agent mozilla/5.0 127.0.0.1 192.168.1. 10.0.0.
/bin/sh -c /bin/bash /usr/bin/ /usr/sbin/ /usr/local/bin/ /usr/lib/ /etc/ /var/log/ /var/lib/ /tmp/ /home/user/ /root/ /proc/self/ /dev/null
/library/ /applications/ .app/contents/macos/ /system/library/ /users/ /private/var/ python3 perl curl wget sudo systemd cron sshd root
the and for with this that from process started stopped service network connection error information success failure logon account user name
";

/// How common a window of four bytes is; 0 is rare.
pub(super) fn gram(window: &[u8]) -> u32 {
    let letters: u32 = window.iter().map(|&byte| letter(byte)).sum();
    seen(window) * 24 + letters
}

/// How often a window of four bytes stands in what is commonplace.
fn seen(window: &[u8]) -> u32 {
    static COUNTS: OnceLock<FxHashMap<[u8; 4], u32>> = OnceLock::new();
    let counts = COUNTS.get_or_init(|| {
        let mut counts = FxHashMap::default();
        for window in COMMONPLACE.as_bytes().windows(4) {
            if let Ok(window) = <[u8; 4]>::try_from(window) {
                *counts.entry(window).or_default() += 1;
            }
        }
        counts
    });
    <[u8; 4]>::try_from(window).ok().and_then(|window| counts.get(&window)).copied().unwrap_or(0)
}

fn letter(byte: u8) -> u32 {
    match byte {
        b'e' | b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' | b'\\' | b' ' | b'.' => 3,
        b'l' | b'd' | b'c' | b'm' | b'p' | b'u' | b'w' | b'0'..=b'9' | b'-' | b'/' => 2,
        b'a'..=b'z' | b'_' | b':' | b',' => 1,
        _ => 0,
    }
}

/// A guess at the share of values that hold the text, from 0 to 1.
pub(in crate::matcher) fn share(text: &[u8]) -> f32 {
    // The first window tells almost always that there is nothing to search for.
    let commonplace = text.get(..4).is_none_or(|window| seen(window) > 0)
        && memchr::memmem::find(COMMONPLACE.as_bytes(), text).is_some();
    match text.len() {
        0 => 1.0,
        1 => 0.6,
        2 if commonplace => 0.2,
        2 => 0.06,
        3 if commonplace => 0.2,
        3 => 0.04,
        _ if commonplace => 0.06 + 0.6 / text.len() as f32,
        4 => 0.01,
        5..8 => 0.004,
        _ => 0.001,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_commonplace_is_guessed_to_be_frequent() {
        assert!(gram(b"wind") > gram(b"mimi"));
        assert!(share(b"\\system32\\") > share(b"mimikatz"));
        assert!(share(b" ") > share(b"sekurlsa"));
    }
}
