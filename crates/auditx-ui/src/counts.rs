//! What a search finds, counted: by field, and over time.

use std::collections::{BTreeMap, HashMap};

use auditx_reader::{Field, Moment, Row};

use crate::page::Status;
use crate::problem::Problem;
use crate::selection::Ask;
use crate::source::Source;

/// The fields whose values are counted, with their names for people and in the query language.
pub(crate) const FACETS: [(Field, &str, &str); 5] = [
    (Field::Level, "Level", "level"),
    (Field::Module, "Module", "module"),
    (Field::Action, "Action", "action"),
    (Field::User, "User", "user"),
    (Field::BranchId, "Branch", "branch"),
];

/// Values shown of each field, the most frequent first.
const SHOWN: usize = 10;

/// Different values counted of each field: a field that is different in each entry must not fill the memory.
const MAX_VALUES: usize = 10_000;

/// The largest number of bars.
const MAX_BARS: usize = 60;

/// Lengths of a bar in seconds, each a multiple of the one before: 1 s to 4 weeks.
const LENGTHS: [i64; 12] = [1, 5, 15, 60, 300, 900, 3_600, 10_800, 43_200, 86_400, 604_800, 2_419_200];

/// Times that are kept apart; if there are more, a longer unit is counted in.
const MAX_TIMES: usize = 10_000;

const MICROS: i64 = 1_000_000;

/// The levels in the order of the bars' parts: what matters most is on top.
pub(crate) const LEVELS: [&str; 4] = ["other", "WARNING", "ERROR", "SECURITY"];

/// A bar of the timeline.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Bar {
    /// Its first moment in seconds since 1970.
    pub(crate) begin: i64,
    /// The numbers of entries, as in [`LEVELS`].
    pub(crate) counts: [u64; 4],
}

impl Bar {
    pub(crate) fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// The counts of what a search found.
pub(crate) struct Counts {
    pub(crate) total: u64,
    pub(crate) failed: u64,
    /// For each of [`FACETS`], values and how often they occur.
    pub(crate) values: Vec<Vec<(String, u64)>>,
    /// Bars of equal length, without gaps.
    pub(crate) bars: Vec<Bar>,
    /// The length of a bar in seconds.
    pub(crate) length: i64,
    pub(crate) status: Status,
}

impl Counts {
    /// Counts from the newest entry backwards until the search ends or its time is over. Blocks the thread.
    pub(crate) fn of(source: &Source, ask: &Ask) -> Result<Self, Problem> {
        let mut tally = Tally::default();
        let status = source.scan(ask, |row| tally.add(row))?;
        let (bars, length) = bars(&tally.times, LENGTHS[tally.unit]);
        let values = tally.values.into_iter().map(most_frequent).collect();
        Ok(Self { total: tally.total, failed: tally.failed, values, bars, length, status })
    }
}

#[derive(Default)]
struct Tally {
    total: u64,
    failed: u64,
    values: [HashMap<String, u64>; FACETS.len()],
    /// Counts by the first second of a unit of time.
    times: BTreeMap<i64, [u64; 4]>,
    /// The index of the unit's length in [`LENGTHS`].
    unit: usize,
}

impl Tally {
    fn add(&mut self, row: &Row<'_>) {
        self.total += 1;
        self.failed += u64::from(!row.is_success());
        for ((field, ..), values) in FACETS.iter().zip(&mut self.values) {
            let value = row.text(*field);
            if let Some(count) = values.get_mut(&*value) {
                *count += 1;
            } else if !value.is_empty() && values.len() < MAX_VALUES {
                values.insert(value.into_owned(), 1);
            }
        }
        if let Some(moment) = Moment::parse(&row.text(Field::Timestamp)) {
            let begin = begin_of(moment.micros().div_euclid(MICROS), LENGTHS[self.unit]);
            self.times.entry(begin).or_default()[level(&row.text(Field::Level))] += 1;
            if self.times.len() > MAX_TIMES && self.unit + 1 < LENGTHS.len() {
                self.unit += 1;
                self.times = in_units_of(LENGTHS[self.unit], &self.times);
            }
        }
    }
}

/// The first second of the unit that contains this one.
fn begin_of(second: i64, length: i64) -> i64 {
    second.div_euclid(length) * length
}

fn in_units_of(length: i64, times: &BTreeMap<i64, [u64; 4]>) -> BTreeMap<i64, [u64; 4]> {
    let mut longer: BTreeMap<i64, [u64; 4]> = BTreeMap::new();
    for (second, counts) in times {
        let sums = longer.entry(begin_of(*second, length)).or_default();
        sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    }
    longer
}

/// The index of a level in [`LEVELS`].
fn level(name: &str) -> usize {
    match name {
        "SECURITY" | "CRITICAL" => 3,
        "ERROR" => 2,
        "WARNING" => 1,
        _ => 0,
    }
}

fn most_frequent(values: HashMap<String, u64>) -> Vec<(String, u64)> {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_unstable_by(|(one, count), (other, than)| than.cmp(count).then_with(|| one.cmp(other)));
    values.truncate(SHOWN);
    values
}

/// Puts the counts of units of this length into bars of the shortest length with which there are not too
/// many.
fn bars(times: &BTreeMap<i64, [u64; 4]>, unit: i64) -> (Vec<Bar>, i64) {
    let (Some((first, _)), Some((last, _))) = (times.first_key_value(), times.last_key_value()) else {
        return (Vec::new(), unit);
    };
    let count = |length: i64| last.div_euclid(length) - first.div_euclid(length) + 1;
    let fits =
        |length: &i64| *length >= unit && usize::try_from(count(*length)).is_ok_and(|it| it <= MAX_BARS);
    // A period of more than five years has longer bars.
    let length = LENGTHS.into_iter().find(fits).unwrap_or_else(|| (last - first) / 50 + 1);
    let counts = in_units_of(length, times);
    let bar = |number| {
        let begin = begin_of(*first, length) + number * length;
        Bar { begin, counts: counts.get(&begin).copied().unwrap_or_default() }
    };
    ((0..count(length)).map(bar).collect(), length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: &[i64]) -> (Vec<Bar>, i64) {
        bars(&seconds.iter().map(|second| (*second, [1, 0, 0, 2])).collect(), 1)
    }

    #[test]
    fn bars_cover_the_period_without_gaps() {
        assert_eq!(at(&[]), (Vec::new(), 1));
        let (bars, length) = at(&[100, 102]);
        assert_eq!(length, 1);
        let begins: Vec<(i64, u64)> = bars.iter().map(|bar| (bar.begin, bar.total())).collect();
        assert_eq!(begins, [(100, 3), (101, 0), (102, 3)]);
        for seconds in [&[0, 59][..], &[0, 60], &[-5, 86_400], &[0, 400 * 86_400], &[0, 40 * 366 * 86_400]] {
            let (bars, length) = at(seconds);
            assert!(bars.len() <= MAX_BARS, "{} bars of {length} s", bars.len());
            assert_eq!(bars.iter().map(Bar::total).sum::<u64>(), 6);
        }
    }
}
