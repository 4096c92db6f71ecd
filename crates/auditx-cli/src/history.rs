//! `auditx history`: the changes of one record, or its state at a time.

mod shown;
mod at;

use std::io;

use auditx_reader::{Found, Moment, Order, Search};

use crate::failure::{Failure, Status};
use crate::family::{Family, Member};
use crate::merge::Merge;
use crate::render::Renderer;
use crate::selection::{Period, Reading, about};
use crate::summary;
use crate::terminal::{Colours, print_message, sanitized};
use crate::zone::Zoned;

/// Show the history of one record: who changed which field, and when
///
/// Every entry about the record is shown, oldest first, with old and new values of
/// the fields that it changed.
///
/// With --at, the state of the record at that time is shown instead: each field with its
/// value, the time since when it has it, and the user who set it. The state is computed
/// from the old and new values of all entries about the record, later ones included.
/// The time of a captured change is that of its statement, before its commit.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The type and id of the record
    #[arg(value_name = "TYPE/ID")]
    record: String,
    /// Show the state of the record at this time, written as for --since
    #[arg(long, value_name = "TIME", conflicts_with_all = ["since", "until"], help_heading = "Selection")]
    at: Option<String>,
    #[command(flatten)]
    family: Family,
    #[command(flatten)]
    period: Period,
    #[command(flatten)]
    zoned: Zoned,
    #[command(flatten)]
    reading: Reading,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    colours: Colours,
}

const EXAMPLES: &str = "\
Examples:
  auditx history customer/CUST-220
  auditx history sales_invoice/inv-42 --since 2026-01-01 --dir /var/log/erp
  auditx history customer/CUST-220 --json | jq '.[].changes'
  auditx history customer/CUST-220 --at '2026-11-24 16:00'
  auditx history customer/CUST-220 --at 2026-11 --json | jq '.fields[] | {(.field): .value}'

JSON with --at: record, at, state (exists, deleted, not_yet, unknown); created, deleted or
truncated, if an entry says so; fields: each with field, value, and since, the entry that set
it, or before, an entry that names it as the old value; doubts: why the state may be
incomplete. An entry has trail (if there are several), seq, timestamp and user.

Exit status: 0 found, also a deleted record, 1 nothing found, 2 an error; with --strict also 2 if
a line cannot be read";

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    if let Some(at) = &arguments.at {
        return at::run(arguments, at);
    }
    let (query, base) = (about(&arguments.record)?, arguments.zoned.base(Moment::now()));
    let trails = arguments.family.trails()?;
    let searches = trails.searches(|trail| {
        let search = arguments.reading.apply(Search::new(trail).query(query.clone()));
        arguments.period.apply(search, &base)
    })?;
    let (has_colours, has_trail) = (arguments.colours.are_wanted(), trails.name_width().is_some());
    let renderer = Renderer::for_history(arguments.json, has_colours, arguments.zoned.zone(), has_trail);
    let merge =
        Merge { order: Order::OldestFirst, limit: None, threads: arguments.reading.threads(), doing: None };
    let render = |member: &Member, found: &Found<'_>, out: &mut Vec<u8>| {
        renderer.render(found, member.name.as_deref(), out);
    };
    let mut document = renderer.document(io::stdout().lock());
    let read = merge.write(searches, render, |text| document.write(text))?;
    document.end()?;
    let status = summary::report(&read, arguments.reading.strict);
    if status == Status::Negative && summary::unreadable(&read) == 0 {
        let record = sanitized(&arguments.record);
        print_message(&format!("no entry is about {record} in {}", trails.display_path()));
    }
    Ok(status)
}
