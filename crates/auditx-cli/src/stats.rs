//! `auditx stats`: how many entries there are of which kind, when, and what they amount to.

mod sum;
mod tally;
mod record;
mod ranking;
mod json;
mod chart;

use std::io::Write;
use std::time::Duration;

use auditx_reader::{Moment, Summary, Zone};

use crate::failure::{Failure, Status};
use crate::fields::FieldPath;
use crate::number::counted;
use crate::progress::watched;
use crate::question::{Asked, span};
use crate::terminal::{self, Colours, complain};
use ranking::Ranking;
use tally::{Group, Plan, Tallies, Tally};

/// Counts the entries that are asked for, in groups
///
/// Entries are counted by the values of fields, by spans of time, or both. Sums
/// are exact decimals, and those of different currencies stay apart.
///
/// Memory is bounded: groups that do not fit are counted in a temporary file in
/// TMPDIR, about 100 bytes for each group.
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
    let plan = arguments.plan()?;
    let (parts, summary) = counted_in(&arguments.asked, &plan, Moment::now())?;
    if arguments.json {
        json::write_json(&plan, Ranking::of(&plan, parts, usize::MAX)?, summary.found)?;
    } else if summary.found > 0 {
        // Of each span the largest are shown, so that all have to be looked at.
        let limit = if plan.bucket.is_some() { usize::MAX } else { arguments.top };
        arguments.show(&plan, Ranking::of(&plan, parts, limit)?)?;
    }
    Ok(conclude(&arguments.asked, &summary))
}

fn counted_in(asked: &Asked, plan: &Plan, now: Moment) -> Result<(Vec<Tallies>, Summary), Failure> {
    let search = watched(asked.search(now)?, "counting");
    let threads = asked.threads();
    // The progress is taken from the terminal, with the search, before anything is shown.
    Ok(search.fold(|| Tallies::new(threads), |tallies, found| tallies.add(plan, found.row))?)
}

fn conclude(asked: &Asked, summary: &Summary) -> Status {
    let status = asked.tell(summary);
    if status == Status::Nothing && summary.complaints.lines() == 0 {
        asked.tell_nothing("");
    }
    status
}

/// The values of one field.
pub(crate) struct Values<'a> {
    pub(crate) asked: &'a Asked,
    pub(crate) field: FieldPath,
    pub(crate) limit: usize,
    pub(crate) is_json: bool,
    pub(crate) has_colours: bool,
}

impl Values<'_> {
    /// Counts and shows them.
    pub(crate) fn show(self, now: Moment) -> Result<Status, Failure> {
        let plan = Plan { by: vec![self.field], bucket: None, sum: None, zone: self.asked.zone() };
        let (parts, summary) = counted_in(self.asked, &plan, now)?;
        let ranking = Ranking::of(&plan, parts, self.limit)?;
        if self.is_json {
            json::write_values(&plan, ranking, summary.found)?;
        } else if summary.found > 0 {
            let (groups, left) = ranking.largest(&plan, self.limit)?;
            show(&plan, &groups, self.has_colours)?;
            if left.groups > 0 {
                let (values, entries) = (counted(left.groups, "other value"), left.entries);
                complain(&format!("{values} not shown, of {}: raise -n", entries_of(entries)));
            }
        }
        Ok(conclude(self.asked, &summary))
    }
}

fn show(plan: &Plan, groups: &[(Group, Tally)], has_colours: bool) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    chart::write(&mut out, plan, groups, usize::from(terminal::table_width()), has_colours)?;
    Ok(out.flush()?)
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
        show(plan, &groups, self.colours.are_wanted())?;
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
