//! What the machine lends: its clock, and how many files may be open.

use sequel_store::Holder;

use super::Report;
use crate::config::Config;
use crate::context::{Clock, Timestamp};

/// No clock that is right says less: 2026-01-01. A wrong one expires keys early or late.
const EARLIEST: Timestamp = Timestamp(1_767_225_600_000);
/// 2100-01-01: nor more.
const LATEST: Timestamp = Timestamp(4_102_444_800_000);
/// Files beside those of sources: connections of clients, the store, the log.
const FILES_BESIDE: u64 = 2_048;

pub(super) fn look(report: &mut Report, config: &Config, holder: Option<&Holder>, clock: &Clock) {
    let now = clock.now();
    if now < EARLIEST || LATEST < now {
        let advice = "Set it, or let it be set (NTP): keys expire and organizations are purged by it.";
        report.problem("clock", format!("The machine's clock says {now}."), advice);
    } else {
        report.ok("clock", format!("The machine's clock says {now}."));
    }
    let (limit, whose) = match holder.and_then(|holder| limit_of(holder.pid)) {
        Some(limit) => (limit, "The server"),
        None => match rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum {
            Some(limit) => (limit, "A server that is started from here"),
            None => (u64::MAX, "A server that is started from here"),
        },
    };
    let connections = config.sources.open_max.saturating_mul(config.sources.connections_per_source);
    let wanted = FILES_BESIDE.saturating_add(connections as u64);
    if limit < wanted {
        report.warning(
            "open files",
            format!("{whose} may open {limit} files; sources and clients may want {wanted}."),
            format!("Raise the limit (LimitNOFILE={wanted} in the systemd unit, or ulimit -n), or lower sources.open_max."),
        );
    } else if limit == u64::MAX {
        report.ok("open files", format!("{whose} may open as many files as it wants."));
    } else {
        report.ok("open files", format!("{whose} may open {limit} files."));
    }
}

/// The limit of a process in force, where the system tells.
fn limit_of(pid: u32) -> Option<u64> {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        limit => limit.parse().ok(),
    }
}
