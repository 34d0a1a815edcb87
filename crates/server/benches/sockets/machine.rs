//! What the measurement asks of the machine: a core for each side, and descriptors.

use std::time::Duration;

/// Stays on this core from now on. `false` if that cannot be.
#[cfg(target_os = "linux")]
pub(crate) fn pin(core: usize) -> bool {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let Ok(mine) = sched_getaffinity(None) else {
        return false;
    };
    let mut cores = (0..CpuSet::MAX_CPU).filter(|&core| mine.is_set(core));
    let Some(core) = cores.nth(core) else {
        return false;
    };
    let mut one = CpuSet::new();
    one.set(core);
    sched_setaffinity(None, &one).is_ok()
}

/// As many descriptors as this process may have.
#[cfg(target_os = "linux")]
pub(crate) fn allow_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where that is refused, there are as many as there were.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// How many descriptors there may be.
#[cfg(target_os = "linux")]
pub(crate) fn descriptors() -> usize {
    use rustix::process::{Resource, getrlimit};
    let limit = getrlimit(Resource::Nofile).current;
    limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    })
}

/// Resident memory of a process, in bytes.
pub(crate) fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}

/// The processor's time that a process of one thread has had.
pub(crate) fn processor_time(process: u32) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{process}/schedstat")).unwrap_or_default();
    let first = text.split(' ').next().and_then(|word| word.parse().ok());
    Duration::from_nanos(first.unwrap_or_default())
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn pin(_: usize) -> bool {
    false
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn allow_descriptors() {}

#[cfg(not(target_os = "linux"))]
pub(crate) fn descriptors() -> usize {
    usize::MAX
}
