//! How entries look on their way out: a table for people, JSON, CSV, the changes of fields, or the bytes as stored.
//!
//! A [`Sheet`] makes the text of entries on the threads of a search; [`Pages`] writes it on one thread, with what
//! belongs before, between and behind entries.

use std::io::{self, Write};

use auditx_export::{Exporter, Format};
use auditx_reader::{Found, Zone};
use clap::ValueEnum;

use crate::columns::{Columns, Days};
use crate::diff;
use crate::failure::Failure;
use crate::fields::{self, FieldPath};
use crate::harmless_json;
use crate::mapper::Mapper;
use crate::terminal::{self, Colours};

/// How entries look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// A line for people: when, how grave, who, what
    Table,
    /// One JSON array
    Json,
    /// One JSON object a line
    Ndjson,
    /// For spreadsheets; text that they would take for a formula has an apostrophe before it
    Csv,
    /// Which fields were changed, from what to what
    Diff,
    /// The bytes as stored
    Raw,
}

/// How entries are shown.
#[derive(Debug, clap::Args)]
pub(crate) struct Looks {
    /// How entries look [default: table on a terminal, ndjson in a pipe]
    #[arg(short, long, value_name = "FORM")]
    output: Option<Form>,
    /// Only these fields, in this order, named as in a query: user,ref,metadata.party,old.status
    #[arg(long, value_name = "FIELDS", value_delimiter = ',')]
    fields: Vec<FieldPath>,
    #[command(flatten)]
    colours: Colours,
}

impl Looks {
    /// How they look here, with this line pointed at, and times in this zone.
    pub(crate) fn sheet(&self, marked: Option<u64>, zone: Zone) -> Result<Sheet, Failure> {
        let is_terminal = terminal::is_output_a_terminal();
        let form = self.output.unwrap_or(if is_terminal { Form::Table } else { Form::Ndjson });
        if !self.fields.is_empty() && matches!(form, Form::Diff | Form::Raw) {
            return Err(Failure::said("--fields picks fields of a table, json, ndjson or csv"));
        }
        let has_colours = self.colours.are_wanted();
        let fields = self.fields.clone();
        let kind = match form {
            Form::Table if fields.is_empty() => {
                let columns = Columns::for_width(terminal::table_width(), has_colours, zone.clone());
                Kind::Table(columns.marked(marked))
            }
            Form::Table => {
                Kind::Table(Columns::of_fields(&fields, terminal::table_width(), has_colours, zone.clone()))
            }
            Form::Json => Kind::Objects { fields, is_array: true },
            Form::Ndjson => Kind::Objects { fields, is_array: false },
            Form::Csv if fields.is_empty() => {
                Kind::Csv(Mapper::new(Exporter::new(Format::Csv)).in_zone(zone.clone()))
            }
            Form::Csv => Kind::Cells(fields),
            Form::Diff => Kind::Diff { has_record: true },
            Form::Raw => Kind::Raw { is_escaped: is_terminal },
        };
        Ok(Sheet { kind, has_colours, zone })
    }
}

/// One way to show entries. It is shared by threads; what belongs to one output is its [`Pages`].
#[derive(Debug)]
pub(crate) struct Sheet {
    kind: Kind,
    has_colours: bool,
    zone: Zone,
}

#[derive(Debug)]
enum Kind {
    Table(Columns),
    Objects {
        fields: Vec<FieldPath>,
        is_array: bool,
    },
    Csv(Mapper),
    /// CSV of these fields.
    Cells(Vec<FieldPath>),
    Diff {
        has_record: bool,
    },
    /// An entry and its changes as one object.
    Changes,
    /// Escaped where it would steer a terminal.
    Raw {
        is_escaped: bool,
    },
}

impl Sheet {
    /// The entries about one record.
    pub(crate) fn of_history(is_json: bool, has_colours: bool, zone: Zone) -> Self {
        Self {
            kind: if is_json { Kind::Changes } else { Kind::Diff { has_record: false } },
            has_colours,
            zone,
        }
    }

    /// The text of one entry, for [`Pages::write`].
    pub(crate) fn render(&self, found: &Found<'_>, out: &mut Vec<u8>) {
        let row = found.row;
        match &self.kind {
            Kind::Table(columns) => columns.row(row, found.is_unsigned, out),
            Kind::Objects { fields, is_array } => {
                out.extend_from_slice(if *is_array { b",\n" } else { b"" });
                if fields.is_empty() {
                    harmless_json::text(row.line(), out);
                } else {
                    fields::object(row, fields, out);
                }
                out.extend_from_slice(if *is_array { b"" } else { b"\n" });
            }
            Kind::Csv(mapper) => mapper.render(found, out),
            Kind::Cells(fields) => fields::record(row, fields, &self.zone, out),
            Kind::Diff { has_record } => diff::entry(row, *has_record, self.has_colours, &self.zone, out),
            Kind::Changes => {
                out.extend_from_slice(b",\n");
                diff::object(row, out);
            }
            Kind::Raw { is_escaped } => {
                if *is_escaped {
                    harmless_json::text(row.line(), out);
                } else {
                    out.extend_from_slice(row.line().as_bytes());
                }
                out.push(b'\n');
            }
        }
    }

    /// Whether something stands behind the last entry.
    pub(crate) fn has_end(&self) -> bool {
        matches!(self.kind, Kind::Objects { is_array: true, .. } | Kind::Changes)
    }

    /// An output for it.
    pub(crate) fn pages<W: Write>(&self, out: W) -> Pages<'_, W> {
        Pages { sheet: self, out, has_begun: false, days: Days::default(), text: Vec::new() }
    }
}

/// One output: where it stands.
#[derive(Debug)]
pub(crate) struct Pages<'s, W> {
    sheet: &'s Sheet,
    out: W,
    has_begun: bool,
    days: Days,
    text: Vec<u8>,
}

impl<W: Write> Pages<'_, W> {
    /// The text of whole entries.
    pub(crate) fn write(&mut self, mut text: &[u8]) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        self.text.clear();
        let is_first = !self.has_begun;
        self.has_begun = true;
        match &self.sheet.kind {
            Kind::Table(columns) => {
                if is_first {
                    columns.heading(&mut self.text);
                }
                if columns.has_days() {
                    self.days.pass(text, self.sheet.has_colours, &mut self.text);
                    text = b"";
                }
            }
            Kind::Objects { is_array: true, .. } | Kind::Changes if is_first => {
                self.text.push(b'[');
                // Each has a comma before it, the first one too.
                text = &text[1..];
            }
            Kind::Csv(mapper) if is_first => mapper.header(&mut self.text),
            Kind::Cells(fields) if is_first => fields::heading(fields, &mut self.text),
            _ => {}
        }
        self.out.write_all(&self.text)?;
        self.out.write_all(text)
    }

    /// What stands behind all of them. Where some could not be shown it is said on standard error, and the answer is no.
    pub(crate) fn end(mut self) -> io::Result<bool> {
        match &self.sheet.kind {
            Kind::Objects { is_array: true, .. } | Kind::Changes => {
                self.out.write_all(if self.has_begun { b"\n]\n" } else { b"[]\n" })?;
            }
            // The names of the columns, and no rows.
            Kind::Csv(mapper) if !self.has_begun => {
                self.text.clear();
                mapper.header(&mut self.text);
                self.out.write_all(&self.text)?;
            }
            Kind::Cells(fields) if !self.has_begun => {
                self.text.clear();
                fields::heading(fields, &mut self.text);
                self.out.write_all(&self.text)?;
            }
            _ => {}
        }
        self.out.flush()?;
        Ok(match &self.sheet.kind {
            Kind::Csv(mapper) => mapper.tell(),
            _ => true,
        })
    }

    /// Everything so far is on its way.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
