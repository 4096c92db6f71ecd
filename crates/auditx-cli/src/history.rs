//! `auditx history`: the changes of one record.

use std::io;

use auditx_reader::{Moment, Search};

use crate::failure::{Failure, Status};
use crate::render::Renderer;
use crate::selection::{Period, Reading, about};
use crate::summary;
use crate::terminal::{Colours, print_message, sanitized};
use crate::trail::Trail;
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
    trail: Trail,
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
    let search = Search::new(arguments.trail.directory()).query(about(&arguments.record)?);
    let search =
        arguments.period.apply(arguments.reading.apply(search), &arguments.zoned.base(Moment::now()))?;
    let has_colours = arguments.colours.are_wanted();
    let renderer = Renderer::for_history(arguments.json, has_colours, arguments.zoned.zone());
    let mut document = renderer.document(io::stdout().lock());
    let summary = search.write(|found, out| renderer.render(found, out), |text| document.write(text))?;
    document.end()?;
    let status = summary::report(&summary, arguments.reading.strict);
    if status == Status::Negative && summary.errors.lines() == 0 {
        print_message(&format!(
            "no entry is about {} in {}",
            sanitized(&arguments.record),
            arguments.trail.display_path()
        ));
    }
    Ok(status)
}
