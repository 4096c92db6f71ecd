//! `auditx stats`: counts and sums of entries, by field and by time.

mod sum;
mod tally;
mod record;
mod ranking;
mod json;
mod chart;

use std::io::Write;
use std::time::Duration;

use auditx_reader::{Found, Moment, Zone};

use crate::failure::{Failure, Status};
use crate::family::{Member, Read, Trails};
use crate::fields::FieldPath;
use crate::merge::folded;
use crate::number::counted;
use crate::selection::{Selection, span};
use crate::summary;
use crate::terminal::{self, Colours, print_message};
use ranking::Ranking;
use tally::{Group, GroupBy, Plan, Tallies, Tally};

/// Count entries by fields or by time
///
/// Entries are grouped by the values of fields, by time, or both. Sums are exact
/// decimals, separate for each currency.
///
/// Memory is bounded: groups that do not fit in memory go to a temporary file in
/// TMPDIR, about 100 bytes per group.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    selection: Selection,
    /// Group by these fields: user,action,metadata.party; trail, if there are several [default: level, unless
    /// --bucket is given]
    #[arg(long, value_name = "FIELDS", value_delimiter = ',')]
    by: Vec<GroupBy>,
    /// Group by time: 15m, 1h, 1d, 1w. Days begin at midnight in --tz, weeks on Monday
    #[arg(long, value_name = "SPAN")]
    bucket: Option<String>,
    /// Also sum this field, by currency
    #[arg(long, value_name = "FIELD")]
    sum: Option<FieldPath>,
    /// Show the N largest groups; with --bucket, of each time span
    #[arg(short = 'n', long = "top", value_name = "N", default_value_t = 20)]
    top: usize,
    /// Print every group as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    colours: Colours,
}

const EXAMPLES: &str = "\
Examples:
  auditx stats --by user                             entries of each user
  auditx stats --by module,action --since 7d         actions of the last week
  auditx stats --failed --by ip -n 5                 addresses with the most failures
  auditx stats --bucket 1h --since today             entries per hour
  auditx stats --bucket 1d --since 2026-11 --tz Asia/Yangon   entries per day in Yangon
  auditx stats --module sales --by user --sum amount
  auditx stats --by trail,level --dir /var/log/erp   the trails below a directory
  auditx stats --by user --json | jq '.groups[0]'

Exit status: 0 found, 1 nothing found, 2 an error; with --strict also 2 if a line cannot be read";

/// A chart shows empty time spans too, unless it would have more spans than this.
const MAX_SPANS: i64 = 2_000;

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let plan = arguments.plan()?;
    let trails = arguments.selection.family.trails()?;
    let (parts, read) = counted_in(&arguments.selection, &trails, &plan, Moment::now())?;
    let found = summary::found(&read);
    if arguments.json {
        json::write_json(&plan, Ranking::of(&plan, parts, usize::MAX)?, found)?;
    } else if found > 0 {
        // The limit applies to each time span, so the ranking needs all groups.
        let limit = if plan.bucket.is_some() { usize::MAX } else { arguments.top };
        arguments.show(&plan, Ranking::of(&plan, parts, limit)?)?;
    }
    Ok(conclude(&arguments.selection, &trails, &read))
}

fn counted_in<'t>(
    selection: &Selection,
    trails: &'t Trails,
    plan: &Plan,
    now: Moment,
) -> Result<(Vec<Tallies>, Vec<Read<'t>>), Failure> {
    selection.warn(now)?;
    let searches = trails.searches(|trail| selection.search(trail, now))?;
    // The tallies of all trails share the memory.
    let threads = selection.threads() * searches.len();
    let init = |_: &Member| Tallies::new(threads);
    let add = |tallies: &mut Tallies, member: &Member, found: &Found<'_>| {
        tallies.add(plan, member.name.as_deref(), found.row);
    };
    folded(searches, "counting", init, add)
}

fn conclude(selection: &Selection, trails: &Trails, read: &[Read<'_>]) -> Status {
    let status = selection.report(read);
    if status == Status::Negative && summary::unreadable(read) == 0 {
        trails.report_nothing_found("");
    }
    status
}

/// Counts the values of one field, for `auditx values`.
pub(crate) struct Values<'a> {
    pub(crate) selection: &'a Selection,
    pub(crate) field: FieldPath,
    pub(crate) limit: usize,
    pub(crate) is_json: bool,
    pub(crate) has_colours: bool,
}

impl Values<'_> {
    /// Counts and prints the values.
    pub(crate) fn show(self, now: Moment) -> Result<Status, Failure> {
        let by = vec![GroupBy::Field(self.field)];
        let plan = Plan { by, bucket: None, sum: None, zone: self.selection.zone() };
        let trails = self.selection.family.trails()?;
        let (parts, read) = counted_in(self.selection, &trails, &plan, now)?;
        let found = summary::found(&read);
        let ranking = Ranking::of(&plan, parts, self.limit)?;
        if self.is_json {
            json::write_values(&plan, ranking, found)?;
        } else if found > 0 {
            let (groups, omitted) = ranking.largest(&plan, self.limit)?;
            show(&plan, &groups, self.has_colours)?;
            if omitted.groups > 0 {
                let (values, entries) = (counted(omitted.groups, "other value"), omitted.entries);
                print_message(&format!("{values} not shown, of {}: raise -n", entries_of(entries)));
            }
        }
        Ok(conclude(self.selection, &trails, &read))
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
        Ok(Plan { by, bucket, sum: self.sum.clone(), zone: self.selection.zone() })
    }

    fn show(&self, plan: &Plan, ranking: Ranking) -> Result<(), Failure> {
        let (mut groups, omitted) = ranking.largest(plan, self.top)?;
        if let Some(length) = plan.bucket.filter(|_| plan.by.is_empty()) {
            groups = with_empty_spans(groups, length, &plan.zone);
        }
        show(plan, &groups, self.colours.are_wanted())?;
        if omitted.groups > 0 {
            let (groups, entries) = (counted(omitted.groups, "smaller group"), omitted.entries);
            print_message(&format!("{groups} not shown, of {}: raise -n, or --json", entries_of(entries)));
        }
        let not_summed: u64 = groups.iter().map(|(_, tally)| tally.not_summed).sum();
        if not_summed > 0 {
            print_message(&format!("{} without a number that can be added", entries_of(not_summed)));
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

/// Inserts the time spans without entries.
fn with_empty_spans(groups: Vec<(Group, Tally)>, length: Duration, zone: &Zone) -> Vec<(Group, Tally)> {
    let moments = || groups.iter().filter_map(|(group, _)| group.bucket);
    let (Some(first), Some(last)) = (moments().next(), moments().next_back()) else { return groups };
    let step = i64::try_from(length.as_micros()).unwrap_or(i64::MAX).max(1);
    if (last.micros() - first.micros()) / step > MAX_SPANS {
        return groups;
    }
    let mut filled: Vec<(Group, Tally)> = Vec::new();
    for (group, tally) in groups {
        while let (Some(at), Some(before)) = (group.bucket, filled.last().and_then(|(group, _)| group.bucket))
            && zone.next_bucket(before, length) < at
        {
            let bucket = Some(zone.next_bucket(before, length));
            filled.push((Group { bucket, values: Vec::new() }, Tally::default()));
        }
        filled.push((group, tally));
    }
    filled
}
