//! The time that the host of a virtual machine took from its processors (steal time).

use std::fs;

/// The unit of /proc/stat: hundredths of a second (proc_stat(5)).
const MS_PER_TICK: u64 = 10;

/// Returns the steal time of all processors since boot in milliseconds; 0 if the kernel does not report it.
pub(super) fn stolen_ms() -> u64 {
    fs::read_to_string("/proc/stat").map_or(0, |stat| parse(&stat))
}

fn parse(stat: &str) -> u64 {
    let all = stat.lines().next().and_then(|line| line.strip_prefix("cpu "));
    let steal = all.and_then(|counts| counts.split_whitespace().nth(7)?.parse::<u64>().ok());
    steal.unwrap_or(0) * MS_PER_TICK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eighth_number_is_the_steal_time() {
        assert_eq!(parse("cpu  10 20 30 40 50 60 70 81 9 0\ncpu0 1 1 1 1 1 1 1 1\n"), 810);
        assert_eq!(parse("cpu0 1\n"), 0);
        assert_eq!(parse(""), 0);
    }
}
