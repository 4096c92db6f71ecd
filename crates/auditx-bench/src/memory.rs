//! The memory of a process, from /proc/self/status.

use serde::{Deserialize, Serialize};

use crate::Outcome;

/// Memory in KiB.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Memory {
    pub(crate) resident: u64,
    /// The part of it that consists of pages of files, including the mapped ring.
    pub(crate) file: u64,
}

impl Memory {
    pub(crate) fn of_this_process() -> Outcome<Self> {
        Ok(Self::parse(&std::fs::read_to_string("/proc/self/status")?))
    }

    fn parse(status: &str) -> Self {
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0)
        };
        Self { resident: field("VmRSS:"), file: field("RssFile:") + field("RssShmem:") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_the_status_are_parsed() {
        let status =
            "Name:\tx\nVmRSS:\t   2048 kB\nRssAnon:\t 900 kB\nRssFile:\t 1000 kB\nRssShmem:\t 148 kB\n";
        assert_eq!(Memory::parse(status), Memory { resident: 2_048, file: 1_148 });
        assert!(Memory::of_this_process().unwrap().resident > 0);
    }
}
