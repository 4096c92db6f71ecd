//! What a search finds, counted: by field, and over time.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use auditx_reader::{Field, Moment, Row, Zone};

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

/// The largest number of distinct values that are counted for a field: one that differs in every entry must
/// not fill the memory.
const MAX_VALUES: usize = 10_000;

/// The largest number of bars.
const MAX_BARS: usize = 60;

/// Lengths of a bar in seconds, each a multiple of the one before: 1 s to 4 weeks.
const LENGTHS: [u64; 12] = [1, 5, 15, 60, 300, 900, 3_600, 10_800, 43_200, 86_400, 604_800, 2_419_200];

/// The largest number of buckets; if there are more, they are merged into longer ones.
const MAX_TIMES: usize = 10_000;

/// The levels in the order of the bars' parts: what matters most is on top.
pub(crate) const LEVELS: [&str; 4] = ["other", "WARNING", "ERROR", "SECURITY"];

/// A bar of the timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bar {
    pub(crate) begin: Moment,
    /// The first moment of the next bar.
    pub(crate) end: Moment,
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
    /// Bars without gaps, which begin at round times of the zone.
    pub(crate) bars: Vec<Bar>,
    pub(crate) status: Status,
}

impl Counts {
    /// Counts from the newest entry backwards until the search ends or its time is over. Blocks the thread.
    pub(crate) fn of(source: &Source, ask: &Ask, zone: &Zone) -> Result<Self, Problem> {
        let mut tally = Tally::new(zone);
        let status = source.scan(ask, |row| tally.add(row))?;
        let bars = tally.times.bars();
        let values = tally.values.into_iter().map(most_frequent).collect();
        Ok(Self { total: tally.total, failed: tally.failed, values, bars, status })
    }
}

struct Tally<'z> {
    total: u64,
    failed: u64,
    values: [HashMap<String, u64>; FACETS.len()],
    times: Times<'z>,
}

impl<'z> Tally<'z> {
    fn new(zone: &'z Zone) -> Self {
        Self { total: 0, failed: 0, values: Default::default(), times: Times::new(zone) }
    }

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
        if let Some(moment) = row.moment() {
            self.times.add(moment, level(&row.text(Field::Level)), 1);
        }
    }
}

/// Counts by the bucket of time that contains an entry.
struct Times<'z> {
    zone: &'z Zone,
    /// By the start of the bucket.
    counts: BTreeMap<Moment, [u64; 4]>,
    /// The index of the buckets' length in [`LENGTHS`].
    unit: usize,
    /// The bucket of the last entry: the next one is most often in it too.
    last: Option<(Moment, Moment)>,
}

impl<'z> Times<'z> {
    fn new(zone: &'z Zone) -> Self {
        Self { zone, counts: BTreeMap::new(), unit: 0, last: None }
    }

    fn length(&self) -> Duration {
        Duration::from_secs(LENGTHS[self.unit])
    }

    fn add(&mut self, moment: Moment, level: usize, count: u64) {
        let begin = match self.last {
            Some((begin, end)) if begin <= moment && moment < end => begin,
            _ => {
                let begin = self.zone.bucket(moment, self.length());
                self.last = Some((begin, self.zone.next_bucket(begin, self.length())));
                begin
            }
        };
        self.counts.entry(begin).or_default()[level] += count;
        if self.counts.len() > MAX_TIMES && self.unit + 1 < LENGTHS.len() {
            *self = self.in_units(self.unit + 1);
        }
    }

    /// The same counts in buckets of this longer length.
    fn in_units(&self, unit: usize) -> Self {
        let mut longer = Self { zone: self.zone, counts: BTreeMap::new(), unit, last: None };
        for (begin, counts) in &self.counts {
            (0..).zip(counts).for_each(|(level, count)| longer.add(*begin, level, *count));
        }
        longer
    }

    /// The bars of the shortest length with which there are not too many. For a very long period, bars of the
    /// longest length are joined.
    fn bars(&self) -> Vec<Bar> {
        for unit in self.unit..LENGTHS.len() {
            let bars = self.in_units(unit).all();
            if bars.len() <= MAX_BARS {
                return bars;
            }
        }
        let bars = self.in_units(LENGTHS.len() - 1).all();
        bars.chunks(bars.len().div_ceil(MAX_BARS)).filter_map(joined).collect()
    }

    /// A bar for each bucket, also for those without entries. Stops when there are too many, unless there is
    /// no longer length.
    fn all(&self) -> Vec<Bar> {
        let (Some((&first, _)), Some((&last, _))) =
            (self.counts.first_key_value(), self.counts.last_key_value())
        else {
            return Vec::new();
        };
        let max = if self.unit + 1 < LENGTHS.len() { MAX_BARS + 1 } else { usize::MAX };
        let next = |begin: &Moment| Some(self.zone.next_bucket(*begin, self.length()));
        let begins = std::iter::successors(Some(first), next).take_while(|begin| *begin <= last);
        let counts = |begin| self.counts.get(&begin).copied().unwrap_or_default();
        let bar =
            |begin| Bar { begin, end: self.zone.next_bucket(begin, self.length()), counts: counts(begin) };
        begins.take(max).map(bar).collect()
    }
}

/// One bar instead of several that follow each other; `None` if there is none.
fn joined(bars: &[Bar]) -> Option<Bar> {
    let (first, last) = (bars.first()?, bars.last()?);
    let mut counts = [0; 4];
    for bar in bars {
        counts.iter_mut().zip(bar.counts).for_each(|(sum, count)| *sum += count);
    }
    Some(Bar { begin: first.begin, end: last.end, counts })
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

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    /// The bars of entries at these seconds.
    fn bars(seconds: &[i64], zone: &Zone) -> Vec<Bar> {
        let mut times = Times::new(zone);
        seconds.iter().for_each(|second| times.add(Moment::from_micros(second * SECOND), 3, 1));
        times.bars()
    }

    #[test]
    fn bars_cover_the_period_without_gaps() {
        let zone = Zone::default();
        assert_eq!(bars(&[], &zone), []);
        let begins: Vec<(i64, u64)> =
            bars(&[100, 102], &zone).iter().map(|bar| (bar.begin.micros() / SECOND, bar.total())).collect();
        assert_eq!(begins, [(100, 1), (101, 0), (102, 1)]);
        let centuries = 400 * 366 * 86_400;
        for last in [59, 60, 3_600, 86_400, 400 * 86_400, 40 * 366 * 86_400, centuries] {
            let bars = bars(&[-5, last], &zone);
            assert!((2..=MAX_BARS).contains(&bars.len()), "{} bars to {last}", bars.len());
            assert!(bars.windows(2).all(|pair| pair[0].end == pair[1].begin));
            assert_eq!(bars.iter().map(Bar::total).sum::<u64>(), 2);
        }
    }

    #[test]
    fn bars_of_days_begin_at_midnight_of_the_zone() {
        let zone: Zone = "Asia/Yangon".parse().unwrap();
        let bars = bars(&[0, 40 * 86_400], &zone);
        assert_eq!(zone.rfc3339(bars[0].begin), "1970-01-01T00:00:00.000000+06:30");
        assert_eq!(bars.len(), 41);
    }

    #[test]
    fn many_times_are_counted_in_longer_units() {
        let zone = Zone::default();
        let mut times = Times::new(&zone);
        (0..100_000).for_each(|number| times.add(Moment::from_micros(number * 60 * SECOND), 0, 1));
        assert!(times.counts.len() <= MAX_TIMES);
        assert_eq!(times.bars().iter().map(Bar::total).sum::<u64>(), 100_000);
    }
}
