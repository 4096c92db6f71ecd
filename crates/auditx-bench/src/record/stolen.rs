//! How long the machine itself was not let run: of a virtual one its host takes the processors away, and no program can help it.

use std::fs;

/// Linux counts in hundredths of a second towards user space (proc_stat(5)).
const MS_PER_TICK: u64 = 10;

/// Milliseconds of all processors together since the start; 0 where the kernel does not say.
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
    fn the_eighth_count_is_what_was_stolen() {
        assert_eq!(parse("cpu  10 20 30 40 50 60 70 81 9 0\ncpu0 1 1 1 1 1 1 1 1\n"), 810);
        assert_eq!(parse("cpu0 1\n"), 0);
        assert_eq!(parse(""), 0);
    }
}
