//! `auditx stats`: how many entries there are of which kind, when, and what they amount to.

mod chart;
mod sum;
mod record;
mod tally;

use std::collections::BTreeMap;
use std::io::Write;
use std::ops::ControlFlow;
use std::time::Duration;

use auditx_reader::{Moment, Zone};
use serde::Serialize;

use crate::failure::{Failure, Status};
use crate::fields::FieldPath;
use crate::number::counted;
use crate::progress::watched;
use crate::question::{Asked, span};
use crate::spill::Sorted;
use crate::terminal::{self, Colours, complain};
use tally::{Group, Plan, Tallies, Tally};

/// Counts the entries that are asked for, in groups
///
/// Entries are counted by the values of fields, by spans of time, or both. Sums
/// are exact decimals, and those of different currencies stay apart.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    asked: Asked,
    /// By these fields: user,action,metadata.party [default: level, where there is no --bucket]
    #[arg(long, value_name = "FIELDS", value_delimiter = ',')]
    by: Vec<FieldPath>,
    /// By spans of this length: 15m, 1h, 1d, 1w. Days begin at midnight of --tz, weeks on a Monday
    #[arg(long, value_name = "SPAN")]
    bucket: Option<String>,
    /// The sum of this field too, by currency
    #[arg(long, value_name = "FIELD")]
    sum: Option<FieldPath>,
    /// At most so many groups, the largest; with --bucket in each span
    #[arg(short = 'n', long = "top", value_name = "N", default_value_t = 20)]
    top: usize,
    /// Says it in JSON, for programs: every group
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    colours: Colours,
}

const EXAMPLES: &str = "\
Examples:
  auditx stats --by user                             who did how much
  auditx stats --by module,action --since 7d         what was done in a week
  auditx stats --failed --by ip -n 5                 where failures come from
  auditx stats --bucket 1h --since today             how busy each hour was
  auditx stats --bucket 1d --since 2026-11 --tz Asia/Yangon   by day, as the calendar in Yangon has them
  auditx stats --module sales --by user --sum amount
  auditx stats --by user --json | jq '.groups[0]'

Exit status: 0 counted, 1 nothing found, 2 an error, or with --strict a line that cannot be read";

/// A chart shows spans in which nothing happened, unless there are more of all kinds than this.
const MOST_SPANS: i64 = 2_000;

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    arguments.asked.trail.bring_in()?;
    let plan = arguments.plan()?;
    let search = watched(arguments.asked.search(Moment::now())?, "counting");
    let threads = arguments.asked.threads();
    let (parts, summary) =
        search.fold(|| Tallies::new(threads), |tallies, found| tallies.add(&plan, found.row))?;
    // Its progress is taken from the terminal before the chart comes.
    drop(search);
    if arguments.json {
        write_json(&plan, Ranking::of(&plan, parts, usize::MAX)?, summary.found)?;
    } else if summary.found > 0 {
        // Of each span the largest are shown, so that all have to be looked at.
        let limit = if plan.bucket.is_some() { usize::MAX } else { arguments.top };
        arguments.show(&plan, Ranking::of(&plan, parts, limit)?)?;
    }
    let status = arguments.asked.tell(&summary);
    if status == Status::Nothing && summary.complaints.lines() == 0 {
        arguments.asked.tell_nothing("");
    }
    Ok(status)
}

impl Arguments {
    fn plan(&self) -> Result<Plan, Failure> {
        let bucket = self.bucket.as_deref().map(span).transpose()?;
        let mut by = self.by.clone();
        if by.is_empty() && bucket.is_none() {
            by.extend("level".parse());
        }
        Ok(Plan { by, bucket, sum: self.sum.clone(), zone: self.asked.zone() })
    }

    fn show(&self, plan: &Plan, ranking: Ranking) -> Result<(), Failure> {
        let (mut groups, left) = ranking.largest(plan, self.top)?;
        if let Some(length) = plan.bucket.filter(|_| plan.by.is_empty()) {
            groups = with_empty_spans(groups, length, &plan.zone);
        }
        let mut out = std::io::stdout().lock();
        let width = usize::from(terminal::table_width());
        chart::write(&mut out, plan, &groups, width, self.colours.are_wanted())?;
        out.flush()?;
        if left.groups > 0 {
            let (groups, entries) = (counted(left.groups, "smaller group"), left.entries);
            complain(&format!("{groups} not shown, of {}: raise -n, or --json", entries_of(entries)));
        }
        let not_summed: u64 = groups.iter().map(|(_, tally)| tally.not_summed).sum();
        if not_summed > 0 {
            complain(&format!("{} without a number that can be added", entries_of(not_summed)));
        }
        Ok(())
    }
}

fn entries_of(count: u64) -> String {
    match count {
        1 => "1 entry".to_owned(),
        _ => format!("{} entries", crate::number::grouped(count)),
    }
}

/// Every group in the order in which they are shown.
struct Ranking {
    sorted: Sorted,
    groups: u64,
    entries: u64,
}

/// What a ranking keeps in memory.
const MEMORY: usize = 16 << 20;

impl Ranking {
    fn of(plan: &Plan, parts: Vec<Tallies>, limit: usize) -> Result<Self, Failure> {
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

    fn each(
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
    fn largest(self, plan: &Plan, top: usize) -> Result<(Vec<(Group, Tally)>, Left), Failure> {
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
struct Left {
    groups: u64,
    entries: u64,
}

/// Spans in which nothing happened belong to the picture.
fn with_empty_spans(groups: Vec<(Group, Tally)>, length: Duration, zone: &Zone) -> Vec<(Group, Tally)> {
    let moments = || groups.iter().filter_map(|(group, _)| group.bucket);
    let (Some(first), Some(last)) = (moments().next(), moments().next_back()) else { return groups };
    let step = i64::try_from(length.as_micros()).unwrap_or(i64::MAX).max(1);
    if (last.micros() - first.micros()) / step > MOST_SPANS {
        return groups;
    }
    let mut whole: Vec<(Group, Tally)> = Vec::new();
    for (group, tally) in groups {
        while let (Some(at), Some(before)) = (group.bucket, whole.last().and_then(|(group, _)| group.bucket))
            && zone.next_bucket(before, length) < at
        {
            let bucket = Some(zone.next_bucket(before, length));
            whole.push((Group { bucket, values: Vec::new() }, Tally::default()));
        }
        whole.push((group, tally));
    }
    whole
}

/// What was counted, as programs read it: group by group, since all of them may not fit in memory.
fn write_json(plan: &Plan, ranking: Ranking, found: u64) -> Result<(), Failure> {
    let mut out = terminal::output();
    write!(out, "{{\n  \"found\": {found},\n  \"groups\": [")?;
    let (mut count, mut outcome) = (0_u64, Ok(()));
    ranking.each(plan, |group, tally| {
        let between = if count == 0 { "\n    " } else { ",\n    " };
        count += 1;
        outcome = serde_json::to_string_pretty(&Counted::of(plan, &group, &tally))
            .map_err(|error| Failure::said(format!("cannot say it in JSON: {error}")))
            .and_then(|json| Ok(write!(out, "{between}{}", json.replace('\n', "\n    "))?));
        if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    outcome?;
    writeln!(out, "{}]\n}}", if count == 0 { "" } else { "\n  " })?;
    Ok(out.flush()?)
}

/// One group.
#[derive(Serialize)]
struct Counted<'g> {
    /// When its span begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    by: BTreeMap<&'g str, Option<&'g str>>,
    count: u64,
    failed: u64,
    /// Decimal digits by currency: a JSON number would be read as binary floating point.
    #[serde(skip_serializing_if = "Option::is_none")]
    sum: Option<BTreeMap<&'g str, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_summed: Option<u64>,
}

impl<'g> Counted<'g> {
    fn of(plan: &'g Plan, group: &'g Group, tally: &'g Tally) -> Self {
        let has_sum = plan.sum.is_some();
        Self {
            since: group.bucket.map(|at| at.to_string()),
            by: plan.by.iter().map(FieldPath::name).zip(group.values.iter().map(Option::as_deref)).collect(),
            count: tally.count,
            failed: tally.failed,
            sum: has_sum.then(|| {
                tally.sums.iter().map(|(currency, sum)| (currency.as_str(), sum.to_string())).collect()
            }),
            not_summed: has_sum.then_some(tally.not_summed),
        }
    }
}
