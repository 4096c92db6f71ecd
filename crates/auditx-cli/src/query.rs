//! `auditx query`: searches a trail.

#[cfg(feature = "ship")]
mod copy;

use std::io;

use auditx_reader::{Cursor, Found, Moment, Order, Search};
use auditx_ship::TrailId;
use clap::ValueEnum;

use crate::around::{Around, Neighbourhood};
use crate::destination::Engine;
use crate::failure::{Failure, Status, creation_hint};
use crate::family::{Member, Read, Trails};
use crate::merge::{Merge, folded};
use crate::render::{OutputOptions, Renderer};
use crate::selection::Selection;
use crate::sort::{SortBy, Sorter};
use crate::summary;
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
    #[arg(
        long,
        value_name = "URL",
        conflicts_with_all = ["after", "around", "no_index", "threads", "member", "viewer"]
    )]
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
    let trails = selection.family.trails()?;
    let around = arguments.around.found(&trails, &selection.base(now))?;
    let searches = arguments.searches(&trails, around.as_ref(), now)?;
    if arguments.count {
        return count(arguments, &trails, searches);
    }
    let marked = around.and_then(|around| around.seq());
    let renderer = arguments.output.renderer(marked, selection.zone(), trails.name_width())?;
    if let Some(by) = &arguments.sort {
        return sorted(arguments, by, &renderer, &trails, searches);
    }
    in_order(arguments, &renderer, &trails, searches)
}

fn in_order(
    arguments: &Arguments,
    renderer: &Renderer,
    trails: &Trails,
    mut searches: Vec<(&Member, Search)>,
) -> Result<Status, Failure> {
    if let Some(after) = &arguments.after {
        trails.must_be_one("--after continues in one trail")?;
        let continued = |(member, search): (_, Search)| (member, search.after(after.clone()));
        searches = searches.into_iter().map(continued).collect();
    }
    let merge = Merge {
        order: arguments.order.into(),
        limit: arguments.limit,
        threads: arguments.selection.threads(),
        doing: (!terminal::is_output_a_terminal()).then_some("searching"),
    };
    let render = |member: &Member, found: &Found<'_>, out: &mut Vec<u8>| {
        renderer.render(found, member.name.as_deref(), out);
    };
    let mut document = renderer.document(io::stdout().lock());
    let read = merge.write(searches, render, |text| document.write(text))?;
    let is_complete = document.end()?;
    match &read[..] {
        [(Member { name: None, .. }, summary)] => {
            if let Some(next) = &summary.next {
                print_message(&format!("there may be more entries: continue with --after {next}"));
            }
        }
        _ if arguments.limit.is_some_and(|limit| limit > 0 && summary::found(&read) == limit) => {
            print_message("there may be more entries: raise --limit, or continue in one trail, with --trail");
        }
        _ => {}
    }
    conclude(arguments, trails, &read, is_complete)
}

fn sorted(
    arguments: &Arguments,
    by: &SortBy,
    renderer: &Renderer,
    trails: &Trails,
    searches: Vec<(&Member, Search)>,
) -> Result<Status, Failure> {
    // The sorters of all trails share the memory.
    let count = arguments.selection.threads() * searches.len();
    let new_sorter = |member: &Member| Sorter::new(arguments.limit, count).of_trail(member.name.as_deref());
    let add = |sorter: &mut Sorter, member: &Member, found: &Found<'_>| {
        sorter.add(by, found, |found, text| renderer.render(found, member.name.as_deref(), text));
    };
    let (sorters, read) = folded(searches, "sorting", new_sorter, add)?;
    let mut document = renderer.document(io::stdout().lock());
    Sorter::write(sorters, |text| document.write(text))?;
    let is_complete = document.end()?;
    conclude(arguments, trails, &read, is_complete)
}

fn count(
    arguments: &Arguments,
    trails: &Trails,
    searches: Vec<(&Member, Search)>,
) -> Result<Status, Failure> {
    let (_, read) = folded(searches, "searching", |_| (), |(), _, _| ())?;
    terminal::print_text(&format!("{}\n", summary::found(&read)))?;
    conclude(arguments, trails, &read, true)
}

/// Reports what could not be read or shown, and whether anything was found.
fn conclude(
    arguments: &Arguments,
    trails: &Trails,
    read: &[Read<'_>],
    is_complete: bool,
) -> Result<Status, Failure> {
    let status = arguments.selection.report(read);
    if status == Status::Negative && !arguments.count && summary::unreadable(read) == 0 {
        let hint = match trails.single() {
            Some(trail) if !trail.is_there() => creation_hint(trail.directory()),
            _ => String::new(),
        };
        trails.report_nothing_found(&hint);
    }
    Ok(if is_complete { status } else { Status::Error })
}

impl Arguments {
    /// Returns the search of each trail.
    fn searches<'t>(
        &self,
        trails: &'t Trails,
        around: Option<&Neighbourhood>,
        now: Moment,
    ) -> Result<Vec<(&'t Member, Search)>, Failure> {
        let mut query = self.selection.query(now)?;
        if let Some(around) = around {
            query = query.and(around.query());
        }
        trails.searches(|trail| {
            let search = self.selection.search_for(trail, query.clone(), now)?;
            Ok(match around {
                Some(around) => around.narrow(search),
                None => search,
            })
        })
    }
}
