//! Sorts groups for the output: by time, then by descending count, then by value.

use std::ops::ControlFlow;

use super::record;
use super::tally::{Group, Plan, Tallies, Tally};
use crate::failure::Failure;
use crate::spill::Sorted;

/// The groups in the order of the output.
pub(super) struct Ranking {
    sorted: Sorted,
    pub(super) groups: u64,
    pub(super) entries: u64,
}

/// Memory of a ranking.
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

    /// Returns the `top` largest groups of each time span, and the totals of the others.
    pub(super) fn largest(self, plan: &Plan, top: usize) -> Result<(Vec<(Group, Tally)>, NotShown), Failure> {
        let mut omitted = NotShown { groups: self.groups, entries: self.entries };
        let (mut bucket, mut kept_in_bucket) = (None, 0);
        let mut kept = Vec::new();
        self.each(plan, |group, tally| {
            if bucket != Some(group.bucket) {
                (bucket, kept_in_bucket) = (Some(group.bucket), 0);
            }
            if kept_in_bucket < top {
                kept_in_bucket += 1;
                omitted.groups -= 1;
                omitted.entries -= tally.count;
                kept.push((group, tally));
            }
            ControlFlow::Continue(())
        })?;
        Ok((kept, omitted))
    }
}

/// The totals of the groups that are not shown.
pub(super) struct NotShown {
    pub(super) groups: u64,
    pub(super) entries: u64,
}
