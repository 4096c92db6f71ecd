//! Groups in the order in which they are shown: by time, then the largest first, then by name.

use std::ops::ControlFlow;

use super::record;
use super::tally::{Group, Plan, Tallies, Tally};
use crate::failure::Failure;
use crate::spill::Sorted;

/// Every group in the order in which they are shown.
pub(super) struct Ranking {
    sorted: Sorted,
    pub(super) groups: u64,
    pub(super) entries: u64,
}

/// What a ranking keeps in memory.
const MEMORY: usize = 8 << 20;

impl Ranking {
    pub(super) fn of(plan: &Plan, parts: Vec<Tallies>, limit: usize) -> Result<Self, Failure> {
        let mut ranking = Self { sorted: Sorted::new(limit, MEMORY), groups: 0, entries: 0 };
        let (mut rank, mut value) = (Vec::new(), Vec::new());
        Tallies::each(parts, |key, tally| {
            ranking.groups += 1;
            ranking.entries += tally.count;
            record::rank(plan, key, tally, &mut rank);
            if !ranking.sorted.is_beyond(&rank) {
                value.clear();
                record::push(key, tally, &mut value);
                ranking.sorted.add(&rank, &value);
            }
        })?;
        Ok(ranking)
    }

    pub(super) fn each(
        self,
        plan: &Plan,
        mut visit: impl FnMut(Group, Tally) -> ControlFlow<()>,
    ) -> Result<(), Failure> {
        Sorted::each(vec![self.sorted], |value| {
            let (group, tally) = record::read(plan, value);
            visit(group, tally)
        })
    }

    /// The first of each span, and what is not among them.
    pub(super) fn largest(self, plan: &Plan, top: usize) -> Result<(Vec<(Group, Tally)>, Left), Failure> {
        let mut left = Left { groups: self.groups, entries: self.entries };
        let (mut bucket, mut kept_of_it) = (None, 0);
        let mut kept = Vec::new();
        self.each(plan, |group, tally| {
            if bucket != Some(group.bucket) {
                (bucket, kept_of_it) = (Some(group.bucket), 0);
            }
            if kept_of_it < top {
                kept_of_it += 1;
                left.groups -= 1;
                left.entries -= tally.count;
                kept.push((group, tally));
            }
            ControlFlow::Continue(())
        })?;
        Ok((kept, left))
    }
}

/// What is not shown.
pub(super) struct Left {
    pub(super) groups: u64,
    pub(super) entries: u64,
}
