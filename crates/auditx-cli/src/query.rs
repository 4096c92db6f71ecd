//! `auditx query`: searches a trail.

#[cfg(feature = "ship")]
mod copy;

use std::io;

use auditx_reader::{Cursor, Found, Moment, Order, Search, Summary};
use auditx_ship::TrailId;
use clap::ValueEnum;

use crate::around::Around;
use crate::destination::Engine;
use crate::failure::{Failure, Status, creation_hint};
use crate::progress::watched;
use crate::render::{OutputOptions, Renderer};
use crate::selection::Selection;
use crate::sort::{SortBy, Sorter};
use crate::terminal::{self, print_message};

/// Search a trail and show the matching entries
///
/// The command only reads, and may run while another process writes. It reads
/// sealed and compressed segments too. Lines that cannot be read are reported on
/// standard error with file and byte offset.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    around: Around,
    /// Show at most N entries [default: all]
    #[arg(short = 'n', long = "limit", value_name = "N")]
    limit: Option<u64>,
    /// Oldest entries first (asc), or newest first (desc)
    #[arg(long, value_name = "ORDER", value_enum, default_value_t = Direction::Asc)]
    order: Direction,
    /// Sort by this field: amount, timestamp:desc, metadata.party. Numbers compare by value, times by
    /// instant, text by code points; entries without the field come last. More than 64 MiB are sorted in a
    /// temporary file in TMPDIR
    #[arg(long, value_name = "FIELD[:desc]", conflicts_with_all = ["order", "after", "count"])]
    sort: Option<SortBy>,
    /// Continue where an earlier call with the same order ended
    #[arg(long, value_name = "CURSOR")]
    after: Option<Cursor>,
    /// Print only the number of entries
    #[arg(long, conflicts_with_all = ["limit", "after", "output", "fields"])]
    count: bool,
    /// Search a database copy, such as postgres://auditor@db/audit, instead of --dir
    #[arg(long, value_name = "URL", conflicts_with_all = ["after", "around", "no_index", "threads"])]
    from: Option<Engine>,
    /// Only entries of the trail with this id
    #[arg(long, value_name = "ID", requires = "from")]
    trail_id: Option<TrailId>,
    #[command(flatten)]
    output: OutputOptions,
}

/// `--order`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Direction {
    Asc,
    Desc,
}

impl From<Direction> for Order {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Asc => Self::OldestFirst,
            Direction::Desc => Self::NewestFirst,
        }
    }
}

const EXAMPLES: &str = "\
Examples:
  auditx query --user admin --since today            what a user did today
  auditx query --failed --module auth --count        the number of failed logins
  auditx query 'ref:SI-2026-* amount:>1000000'       a pattern, and large amounts
  auditx query module:sales -action:VOID             all entries of sales except VOID
  auditx query changed:credit_limit -o diff          changes of a field, old and new value
  auditx query --around 1042 --window 5m --same user entries of the same user around line 1042
  auditx query --order desc -n 20                    the last twenty, newest first
  auditx query --sort amount:desc -n 10              the ten largest amounts
  auditx query --tz Asia/Yangon --since '2026-11-29 07:00' --until 07:30   times in Yangon
  auditx query -o csv --fields timestamp,user,amount > amounts.csv
  auditx query --from postgres://auditor@db/audit branch:MDY --since 7d   a database copy

To exclude a word, write the query after --: auditx query -- -invoice

Exit status: 0 found, 1 nothing found, 2 an error; with --strict also 2 if a line cannot be read";

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let (selection, now) = (&arguments.selection, Moment::now());
    selection.warn(now)?;
    if let Some(engine) = &arguments.from {
        #[cfg(feature = "ship")]
        return copy::run(arguments, engine, now);
        #[cfg(not(feature = "ship"))]
        engine.never();
    }
    let around = arguments.around.found(&selection.trail, &selection.base(now))?;
    let mut query = selection.query(now)?;
    if let Some(around) = &around {
        query = query.and(around.query());
    }
    let mut search = selection.search_for(query, now)?;
    if let Some(around) = &around {
        search = around.narrow(search);
    }
    if let Some(by) = &arguments.sort {
        let renderer = arguments.output.renderer(around.and_then(|around| around.seq()), selection.zone())?;
        return sorted(arguments, by, &renderer, watched(search, "sorting"));
    }
    if arguments.count || !terminal::is_output_a_terminal() {
        search = watched(search, "searching");
    }
    if arguments.count {
        return count(arguments, search);
    }
    search = search.order(arguments.order.into());
    if let Some(limit) = arguments.limit {
        search = search.limit(limit);
    }
    if let Some(after) = &arguments.after {
        search = search.after(after.clone());
    }
    let renderer = arguments.output.renderer(around.and_then(|around| around.seq()), selection.zone())?;
    let mut document = renderer.document(io::stdout().lock());
    let summary = search.write(|found, out| renderer.render(found, out), |text| document.write(text))?;
    let is_complete = document.end()?;
    if let Some(next) = &summary.next {
        print_message(&format!("there may be more entries: continue with --after {next}"));
    }
    let status = conclude(arguments, &summary)?;
    Ok(if is_complete { status } else { Status::Error })
}

fn sorted(
    arguments: &Arguments,
    by: &SortBy,
    renderer: &Renderer,
    search: Search,
) -> Result<Status, Failure> {
    let new_sorter = || Sorter::new(arguments.limit, arguments.selection.threads());
    let add = |sorter: &mut Sorter, found: &Found<'_>| {
        sorter.add(by, found, |found, text| renderer.render(found, text));
    };
    let (sorters, summary) = search.fold(new_sorter, add)?;
    // Removes the progress bar before the entries are printed.
    drop(search);
    let mut document = renderer.document(io::stdout().lock());
    Sorter::write(sorters, |text| document.write(text))?;
    let is_complete = document.end()?;
    let status = conclude(arguments, &summary)?;
    Ok(if is_complete { status } else { Status::Error })
}

fn count(arguments: &Arguments, search: Search) -> Result<Status, Failure> {
    let (_, summary) = search.fold(|| (), |(), _| ())?;
    // Removes the progress bar before the number is printed.
    drop(search);
    terminal::print_text(&format!("{}\n", summary.found))?;
    conclude(arguments, &summary)
}

fn conclude(arguments: &Arguments, summary: &Summary) -> Result<Status, Failure> {
    let status = arguments.selection.report(summary);
    if status == Status::Negative && !arguments.count && summary.errors.lines() == 0 {
        let trail = &arguments.selection.trail;
        let hint = if trail.is_there() { String::new() } else { creation_hint(trail.directory()) };
        arguments.selection.report_nothing_found(&hint);
    }
    Ok(status)
}
