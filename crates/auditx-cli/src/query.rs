//! `auditx query`: the entries of a trail that somebody asks for.

mod copy;

use std::io;

use auditx_reader::{Cursor, Found, Moment, Order, Search, Summary};
use auditx_ship::TrailId;
use clap::ValueEnum;

use crate::around::Around;
use crate::destination::Engine;
use crate::failure::{Failure, Status, how_to_make};
use crate::form::{Looks, Sheet};
use crate::progress::watched;
use crate::question::Asked;
use crate::sort::{SortBy, Sorter};
use crate::terminal::{self, complain};

/// Shows the entries that are asked for
///
/// It only reads, beside whatever process writes, across sealed and compressed
/// segments. Lines that cannot be read are reported on standard error, with file
/// and byte.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    around: Around,
    /// At most so many entries [default: all]
    #[arg(short = 'n', long = "limit", value_name = "N")]
    limit: Option<u64>,
    /// The oldest first, or the newest
    #[arg(long, value_name = "ORDER", value_enum, default_value_t = Direction::Asc)]
    order: Direction,
    /// In the order of this field: amount, timestamp:desc, metadata.party. Numbers go by value, times by
    /// moment, text by code points; entries without the field are last. What does not fit in 64 MiB is sorted
    /// in a temporary file in TMPDIR
    #[arg(long, value_name = "FIELD[:desc]", conflicts_with_all = ["order", "after", "count"])]
    sort: Option<SortBy>,
    /// Goes on where an earlier call with the same order ended
    #[arg(long, value_name = "CURSOR")]
    after: Option<Cursor>,
    /// Only says how many there are
    #[arg(long, conflicts_with_all = ["limit", "after", "output", "fields"])]
    count: bool,
    /// An engine that trails were shipped to, such as postgres://auditor@db/audit, in the place of --dir
    #[arg(long, value_name = "URL", conflicts_with_all = ["after", "around", "no_index", "threads"])]
    from: Option<Engine>,
    /// Only of the trail with this id
    #[arg(long, value_name = "ID", requires = "from")]
    trail_id: Option<TrailId>,
    #[command(flatten)]
    looks: Looks,
}

/// In which order.
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
  auditx query --user admin --since today            what somebody did today
  auditx query --failed --module auth --count        how many logins failed
  auditx query 'ref:SI-2026-* amount:>1000000'       papers by pattern, large amounts
  auditx query module:sales -action:VOID             all of sales but what was voided
  auditx query changed:credit_limit -o diff          who changed a field, from what to what
  auditx query --around 1042 --window 5m --same user what else the same user did then
  auditx query --order desc -n 20                    the last twenty, newest first
  auditx query --sort amount:desc -n 10              the ten largest amounts
  auditx query --tz Asia/Yangon --since '2026-11-29 07:00' --until 07:30   times as clocks in Yangon show them
  auditx query -o csv --fields timestamp,user,amount > amounts.csv
  auditx query --from postgres://auditor@db/audit branch:MDY --since 7d   every trail that was shipped there

A word that is to be left out stands behind two minuses: auditx query -- -invoice

Exit status: 0 found, 1 nothing found, 2 an error, or with --strict a line that cannot be read";

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let (asked, now) = (&arguments.asked, Moment::now());
    asked.warn(now)?;
    if let Some(engine) = &arguments.from {
        return copy::run(arguments, engine, now);
    }
    let around = arguments.around.found(&asked.trail, &asked.base(now))?;
    let mut query = asked.query(now)?;
    if let Some(around) = &around {
        query = query.and(around.query());
    }
    let mut search = asked.search_for(query, now)?;
    if let Some(around) = &around {
        search = around.narrow(search);
    }
    if let Some(by) = &arguments.sort {
        let sheet = arguments.looks.sheet(around.and_then(|around| around.seq()), asked.zone())?;
        return sorted(arguments, by, &sheet, watched(search, "sorting"));
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
    let sheet = arguments.looks.sheet(around.and_then(|around| around.seq()), asked.zone())?;
    let mut pages = sheet.pages(io::stdout().lock());
    let summary = search.write(|found, out| sheet.render(found, out), |text| pages.write(text))?;
    let is_whole = pages.end()?;
    if let Some(next) = &summary.next {
        complain(&format!("there may be more: go on with --after {next}"));
    }
    let status = conclude(arguments, &summary)?;
    Ok(if is_whole { status } else { Status::Error })
}

fn sorted(arguments: &Arguments, by: &SortBy, sheet: &Sheet, search: Search) -> Result<Status, Failure> {
    let begin = || Sorter::new(arguments.limit, arguments.asked.threads());
    let add = |sorter: &mut Sorter, found: &Found<'_>| {
        sorter.add(by, found, |found, text| sheet.render(found, text));
    };
    let (sorters, summary) = search.fold(begin, add)?;
    // Its progress is taken from the terminal before the entries come.
    drop(search);
    let mut pages = sheet.pages(io::stdout().lock());
    Sorter::write(sorters, |text| pages.write(text))?;
    let is_whole = pages.end()?;
    let status = conclude(arguments, &summary)?;
    Ok(if is_whole { status } else { Status::Error })
}

fn count(arguments: &Arguments, search: Search) -> Result<Status, Failure> {
    let (_, summary) = search.fold(|| (), |(), _| ())?;
    // Its progress is taken from the terminal before the number comes.
    drop(search);
    terminal::give(&format!("{}\n", summary.found))?;
    conclude(arguments, &summary)
}

fn conclude(arguments: &Arguments, summary: &Summary) -> Result<Status, Failure> {
    let status = arguments.asked.tell(summary);
    if status == Status::Nothing && !arguments.count && summary.complaints.lines() == 0 {
        let trail = &arguments.asked.trail;
        let hint = if trail.is_there() { String::new() } else { how_to_make(trail.directory()) };
        arguments.asked.tell_nothing(&hint);
    }
    Ok(status)
}
