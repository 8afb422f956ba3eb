//! Owns a process's giving up of what decoding does not need, on Linux: memory and processor time by resource limits,
//! files by Landlock, and by seccomp every system call but those that computing on memory and pipes takes.

use super::Limits;
use landlock::{ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, Scope};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use std::collections::BTreeMap;
use std::io;

/// What remains: reading and writing open pipes, memory, time, signals of its own, threads' locks, ending.
const ALLOWED: &[libc::c_long] = &[
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_lseek,
    libc::SYS_ppoll,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_membarrier,
    libc::SYS_rseq,
    libc::SYS_set_robust_list,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_tgkill,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_restart_syscall,
    libc::SYS_prlimit64,
    libc::SYS_getrusage,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Gives up all of it, for good.
pub(super) fn confine(limits: &Limits) -> io::Result<()> {
    let own = status_bytes("VmSize:")?;
    limit(Resource::As, own.saturating_add(limits.memory_bytes))?;
    limit(Resource::Core, 0)?;
    limit(Resource::Fsize, 0)?;
    restrict_files_and_network()?;
    restrict_calls()
}

/// Lets the next job have its share of processor time; beyond it the kernel sends SIGXCPU, which ends the process.
pub(super) fn limit_cpu(limits: &Limits) -> io::Result<()> {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let until = u64::try_from(used.tv_sec).unwrap_or(0).saturating_add(limits.cpu.as_secs()).saturating_add(1);
    let maximum = getrlimit(Resource::Cpu).maximum;
    Ok(setrlimit(Resource::Cpu, Rlimit { current: Some(until), maximum })?)
}

fn limit(resource: Resource, bound: u64) -> io::Result<()> {
    Ok(setrlimit(resource, Rlimit { current: Some(bound), maximum: Some(bound) })?)
}

fn restrict_files_and_network() -> io::Result<()> {
    // Everything that a kernel of this age can handle is handled, and nothing is granted.
    let abi = ABI::V6;
    let restrict = || {
        Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(abi))?
            .handle_access(AccessNet::from_all(abi))?
            .scope(Scope::from_all(abi))?
            .create()?
            .restrict_self()
    };
    // Where the kernel has no Landlock, the filter of system calls below leaves nothing to open a file with.
    let status = restrict().map_err(io::Error::other)?;
    tracing::debug!(?status, "restricted");
    Ok(())
}

fn restrict_calls() -> io::Result<()> {
    let arch = std::env::consts::ARCH.try_into().map_err(io::Error::other)?;
    #[allow(clippy::useless_conversion, reason = "a system call's number is a c_long, which is not i64 everywhere")]
    let rules: BTreeMap<i64, Vec<seccompiler::SeccompRule>> =
        ALLOWED.iter().map(|number| (i64::from(*number), Vec::new())).collect();
    let denied = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let filter = SeccompFilter::new(rules, denied, SeccompAction::Allow, arch).map_err(io::Error::other)?;
    let program: BpfProgram = filter.try_into().map_err(io::Error::other)?;
    // Every thread, should the program have started others by now.
    seccompiler::apply_filter_all_threads(&program).map_err(io::Error::other)
}

fn status_bytes(name: &str) -> io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let kib =
        status.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.map(|kib| kib.saturating_mul(1024)).ok_or_else(|| io::Error::other(format!("/proc/self/status lacks {name}")))
}
