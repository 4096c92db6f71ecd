//! `auditx history`: the changes of one record.

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
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The type and id of the record
    #[arg(value_name = "TYPE/ID")]
    record: String,
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

Exit status: 0 found, 1 nothing found, 2 an error; with --strict also 2 if a line cannot be read";

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
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
