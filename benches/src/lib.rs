//! Shared by the benches: counted allocations and CPU time of this process.

pub mod authorization;
pub mod call_path;
pub mod greeter;
pub mod identity;
pub mod reporting;
pub mod server;

use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};

/// The system's allocator, counted. Each bench makes it the global one:
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: &benches::CountingAllocator = &benches::COUNTING_ALLOCATOR;
/// ```
pub type CountingAllocator = stats_alloc::StatsAlloc<std::alloc::System>;

/// The one instance of [`CountingAllocator`].
pub use stats_alloc::INSTRUMENTED_SYSTEM as COUNTING_ALLOCATOR;

/// Allocations and reallocations of this process so far, over all threads.
pub fn allocations() -> u64 {
    let stats = COUNTING_ALLOCATOR.stats();
    (stats.allocations + stats.reallocations) as u64
}

/// Bytes that are allocated at the moment.
pub fn allocated_bytes() -> usize {
    let stats = COUNTING_ALLOCATOR.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

/// The most memory that this process has had in use so far, in bytes; zero where the system does not tell.
pub fn peak_rss() -> u64 {
    let kib = getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| usage.max_rss());
    kib.unsigned_abs() * 1024
}

/// User and system time of this process so far, over all threads; zero where the system does not tell.
pub fn cpu_time() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return Duration::ZERO };
    let micros = |time: nix::sys::time::TimeVal| {
        Duration::from_secs(time.tv_sec().unsigned_abs())
            + Duration::from_micros(time.tv_usec().unsigned_abs())
    };
    micros(usage.user_time()) + micros(usage.system_time())
}
