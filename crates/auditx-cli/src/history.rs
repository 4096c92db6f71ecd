//! `auditx history`: one record's life.

use std::io;

use auditx_reader::{Moment, Search};

use crate::failure::{Failure, Status};
use crate::form::Sheet;
use crate::question::{Period, Reading, about};
use crate::summary;
use crate::terminal::{Colours, complain, harmless};
use crate::trail::Trail;
use crate::zone::Zoned;

/// Shows one record's life: who changed which field, from what to what, and when
///
/// Every entry about the record is shown, oldest first, with the fields that it
/// says were changed.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The record
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
    /// Says it in JSON, for programs
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

Exit status: 0 shown, 1 nothing found, 2 an error, or with --strict a line that cannot be read";

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let search = Search::new(arguments.trail.directory()).query(about(&arguments.record)?);
    let search = arguments.period.of(arguments.reading.of(search), &arguments.zoned.base(Moment::now()))?;
    let has_colours = arguments.colours.are_wanted();
    let sheet = Sheet::of_history(arguments.json, has_colours, arguments.zoned.zone());
    let mut pages = sheet.pages(io::stdout().lock());
    let summary = search.write(|found, out| sheet.render(found, out), |text| pages.write(text))?;
    pages.end()?;
    let status = summary::tell(&summary, arguments.reading.strict);
    if status == Status::Nothing && summary.complaints.lines() == 0 {
        complain(&format!(
            "no entry is about {} in {}",
            harmless(&arguments.record),
            arguments.trail.place()
        ));
    }
    Ok(status)
}
