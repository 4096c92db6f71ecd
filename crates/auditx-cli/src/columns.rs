//! The streaming table of entries: each row is formatted from its line alone, in columns that fit the width.
//!
//! The threads of a search format the rows, usually without an allocation. In a narrow table each row begins
//! with its date, which [`Days`] replaces by one heading for all rows of a day. If the width is too small for
//! columns, an entry takes several lines (`stacked`), each of which begins with the date.

mod text;
mod time;
mod stacked;

use anstyle::Style;
use auditx_reader::{Field, Json, Row, Zone};

use crate::cell::{self, pad};
use crate::fields::FieldPath;
use crate::paint::{BOLD, DIM, RED, paint, style_of_level};
use text::{amount, right};
use time::{CLOCK, DATE, day, time};

pub(crate) use text::joined;
pub(crate) use time::{Days, when};

/// Below this width an entry takes several lines.
const MIN_TABLE_WIDTH: usize = 72;

/// The minimum width; a narrower terminal wraps the lines.
const MIN_WIDTH: usize = 20;

/// The minimum width of a column of `--fields`; below it each field has a line of its own.
const MIN_COLUMN: usize = 8;

/// From this width on each row has its date.
const MIN_WIDTH_WITH_DATE: usize = 100;

/// From this width on the record and the amount have columns of their own.
const MIN_WIDTH_WITH_RECORD: usize = 150;

const GAP: usize = 2;

/// The heading of the column that says which trail an entry is of.
const TRAIL: &str = "Trail";

/// The maximum width of that column, without and with the date in each row.
const MAX_TRAIL: usize = 12;
const MAX_TRAIL_WITH_DATE: usize = 24;

/// The content of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    Seq,
    /// The time of day, with or without the date.
    Time {
        has_date: bool,
    },
    Level,
    /// The text of a field.
    Text(Field),
    /// `sales.POST`
    Operation,
    /// `sales_invoice/inv-42`
    Record,
    Amount,
    /// The description, followed by what distinguishes this entry from similar ones.
    What {
        has_record: bool,
    },
    Path(FieldPath),
}

#[derive(Debug, Clone)]
struct Column {
    content: Content,
    width: usize,
    heading: String,
}

/// The layout of an entry.
#[derive(Debug, Clone)]
enum Layout {
    /// One line.
    Line,
    /// Several lines.
    Stacked,
    /// One line for each of these fields.
    Fields(Vec<FieldPath>),
}

/// The columns of a table.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    layout: Layout,
    width: usize,
    /// The width of the column of the trail, if there are several.
    trail: Option<usize>,
    columns: Vec<Column>,
    has_colours: bool,
    has_days: bool,
    marked: Option<u64>,
    zone: Zone,
}

impl Columns {
    /// Returns the default columns for a terminal of this width. `trail` is the width of the longest name of
    /// a trail, if there are several.
    pub(crate) fn for_width(width: u16, trail: Option<usize>, has_colours: bool, zone: Zone) -> Self {
        let whole = usize::from(width).max(MIN_WIDTH);
        let layout = if whole < MIN_TABLE_WIDTH { Layout::Stacked } else { Layout::Line };
        let (trail, width) = beside_trail(trail, whole);
        let (has_date, has_record) = (width >= MIN_WIDTH_WITH_DATE, width >= MIN_WIDTH_WITH_RECORD);
        let time_width = if has_date { DATE + 1 + CLOCK } else { CLOCK };
        let column = |content, width, heading: &str| Column { content, width, heading: heading.to_owned() };
        let mut columns = vec![
            column(Content::Seq, if has_date { 8 } else { 6 }, "Seq"),
            column(Content::Time { has_date }, time_width, &time::heading(&zone, time_width)),
            column(Content::Level, 8, "Level"),
            column(Content::Text(Field::User), if has_date { 12 } else { 10 }, "Who"),
        ];
        if has_date {
            columns.push(column(Content::Operation, 18, "Action"));
        } else {
            columns.push(column(Content::Text(Field::Action), 8, "Action"));
        }
        if has_record {
            columns.push(column(Content::Record, 24, "Record"));
            columns.push(column(Content::Amount, 16, "Amount"));
        }
        let taken: usize = columns.iter().map(|column| column.width + GAP).sum();
        columns.push(column(Content::What { has_record }, width.saturating_sub(taken).max(1), "What"));
        let width = if matches!(layout, Layout::Line) { width } else { whole };
        Self { layout, width, trail, columns, has_colours, has_days: !has_date, marked: None, zone }
    }

    /// Returns the columns of these fields. Fields without a default width share what the others leave; the
    /// last column takes the rest.
    pub(crate) fn of_fields(
        fields: &[FieldPath],
        width: u16,
        trail: Option<usize>,
        has_colours: bool,
        zone: Zone,
    ) -> Self {
        let (trail, width) = beside_trail(trail, usize::from(width).max(MIN_WIDTH));
        let available = width.saturating_sub(GAP * fields.len().saturating_sub(1));
        let known: usize = fields.iter().filter_map(default_width).sum();
        let others = fields.iter().filter(|path| default_width(path).is_none()).count();
        let share = available.saturating_sub(known) / others.max(1);
        // If even the default widths do not fit, all columns get the same width.
        let is_crowded = known > available || others > 0 && share < 4;
        let equal = (available / fields.len().max(1)).max(1);
        let mut left = available;
        let last = fields.len().saturating_sub(1);
        let columns = fields.iter().enumerate().map(|(index, path)| {
            let wanted = if is_crowded { equal } else { default_width(path).unwrap_or(share) };
            let width = if index == last { left.max(1) } else { wanted };
            left = left.saturating_sub(width);
            Column { content: Content::Path(path.clone()), width, heading: path.name().to_owned() }
        });
        let columns = columns.collect();
        let layout =
            if is_crowded && equal < MIN_COLUMN { Layout::Fields(fields.to_vec()) } else { Layout::Line };
        Self { layout, width, trail, columns, has_colours, has_days: false, marked: None, zone }
    }

    /// Marks the line with this number.
    pub(crate) fn marked(mut self, seq: Option<u64>) -> Self {
        self.marked = seq;
        self
    }

    /// Returns `true` if each row begins with its date, for [`Days`].
    pub(crate) fn has_days(&self) -> bool {
        self.has_days
    }

    /// Writes the heading.
    pub(crate) fn heading(&self, out: &mut Vec<u8>) {
        match &self.layout {
            Layout::Line => {}
            Layout::Stacked => {
                let zone = format!("Times in {}", self.zone);
                self.paint(BOLD, out, |out| cell::plain(&zone, self.width, out));
                return out.push(b'\n');
            }
            Layout::Fields(_) => return,
        }
        self.trail(TRAIL, BOLD, out);
        self.line(out, |column, _, out| {
            // Headings of numbers are aligned right.
            let is_right = is_number(&column.content);
            let before = if is_right { column.width.saturating_sub(column.heading.len()) } else { 0 };
            pad(before, out);
            before + self.paint(BOLD, out, |out| cell::plain(&column.heading, column.width - before, out))
        });
    }

    /// Writes one entry with its line end, and the name of its trail if there are several. `*` after the
    /// number marks an entry that is not signed.
    pub(crate) fn row(&self, row: &Row<'_>, trail: Option<&str>, is_unsigned: bool, out: &mut Vec<u8>) {
        let prefix = |out: &mut Vec<u8>| {
            if self.has_days {
                day(row, &self.zone, out);
            }
        };
        match (&self.layout, trail) {
            (Layout::Line, _) => prefix(out),
            (_, Some(trail)) => {
                prefix(out);
                self.paint(BOLD, out, |out| cell::plain(trail, self.width, out));
                out.push(b'\n');
            }
            (_, None) => {}
        }
        match &self.layout {
            Layout::Line => {
                self.trail(trail.unwrap_or_default(), Style::new(), out);
                self.line(out, |column, width, out| match column.content {
                    Content::Seq => self.seq(row, is_unsigned, width, out),
                    _ => self.cell(column, row, width, out),
                });
            }
            Layout::Stacked => stacked::entry(self, row, is_unsigned, &prefix, out),
            Layout::Fields(paths) => stacked::fields(self, paths, row, out),
        }
    }

    /// Writes the cell of the trail, if there are several.
    fn trail(&self, name: &str, style: Style, out: &mut Vec<u8>) {
        if let Some(width) = self.trail {
            let used = self.paint(style, out, |out| cell::plain(name, width, out));
            pad(width + GAP - used, out);
        }
    }

    /// Writes one line of cells without trailing spaces.
    fn line(&self, out: &mut Vec<u8>, mut cell: impl FnMut(&Column, usize, &mut Vec<u8>) -> usize) {
        let (mut at, mut start) = (0, 0);
        for (number, column) in self.columns.iter().enumerate() {
            let before = out.len();
            // A number wider than its column moves the columns after it.
            let gap = start - at;
            pad(gap, out);
            let is_last = number + 1 == self.columns.len();
            let available = if is_last { self.width.saturating_sub(start).max(1) } else { column.width };
            match cell(column, available.min(column.width), out) {
                0 => out.truncate(before),
                used => at = start + used,
            }
            start = at.max(start + column.width) + GAP;
        }
        out.push(b'\n');
    }

    fn cell(&self, column: &Column, row: &Row<'_>, width: usize, out: &mut Vec<u8>) -> usize {
        match &column.content {
            Content::Seq => self.seq(row, false, width, out),
            Content::Time { has_date } => {
                self.paint(DIM, out, |out| time(row, &self.zone, *has_date, width, out))
            }
            Content::Level => self.level(row, width, out),
            Content::Text(field) => row.get(*field).map_or(0, |value| cell::value(value, width, out)),
            Content::Operation => joined(row, Field::Module, b'.', Field::Action, width, out),
            Content::Record => joined(row, Field::EntityType, b'/', Field::EntityId, width, out),
            Content::Amount => amount(row, width, out),
            Content::What { has_record } => self.what(row, *has_record, width, out),
            Content::Path(path) => match (path.of(row), path.field()) {
                (Some(value @ Json::Number(_)), Some(_)) if is_number(&column.content) => {
                    right(value, width, out)
                }
                (Some(_), Some(Field::Timestamp)) if !self.zone.is_utc() => {
                    time::exact(row, &self.zone, width, out)
                }
                (Some(_), Some(Field::Level)) => self.level(row, width, out),
                (Some(value), Some(_)) => cell::value(value, width, out),
                (Some(value), None) => cell::typed(value, width, out),
                (None, _) => 0,
            },
        }
    }

    fn seq(&self, row: &Row<'_>, is_unsigned: bool, width: usize, out: &mut Vec<u8>) -> usize {
        let Some(digits) = row.raw(Field::Seq) else { return 0 };
        let is_marked = self.marked.is_some() && row.seq() == self.marked;
        let used = digits.len() + usize::from(is_marked) + usize::from(is_unsigned);
        pad(width.saturating_sub(used), out);
        if is_marked {
            out.push(b'>');
            self.paint(BOLD, out, |out| out.extend_from_slice(digits.as_bytes()));
        } else {
            out.extend_from_slice(digits.as_bytes());
        }
        if is_unsigned {
            out.push(b'*');
        }
        used.max(width)
    }

    fn level(&self, row: &Row<'_>, width: usize, out: &mut Vec<u8>) -> usize {
        let Some(Json::Text(raw)) = row.get(Field::Level) else { return 0 };
        self.paint(style_of_level(raw), out, |out| cell::escaped(raw, width, out))
    }

    fn what(&self, row: &Row<'_>, has_record: bool, width: usize, out: &mut Vec<u8>) -> usize {
        if row.has(Field::Erased) {
            return self.paint(DIM, out, |out| cell::plain("(erased)", width, out));
        }
        let mut used = 0;
        if !row.is_success() && width > 2 {
            self.paint(RED, out, |out| out.extend_from_slice("✗".as_bytes()));
            out.push(b' ');
            used = 2;
        }
        if let Some(description) = row.get(Field::Description) {
            used += cell::value(description, width - used, out);
        }
        // Details that would be cut after a few characters are left out.
        const MIN_DETAILS: usize = 10;
        if width >= used + GAP + MIN_DETAILS { self.details(row, has_record, width, used, out) } else { used }
    }

    /// Writes the details after the description, reference number and record, as far as they fit.
    fn details(
        &self,
        row: &Row<'_>,
        has_record: bool,
        width: usize,
        used: usize,
        out: &mut Vec<u8>,
    ) -> usize {
        self.paint(DIM, out, |out| {
            let mut used = used;
            let mut add = |write: &dyn Fn(usize, &mut Vec<u8>) -> usize| {
                let before = out.len();
                let gap = if used == 0 { 0 } else { GAP };
                if width <= used + gap {
                    return;
                }
                pad(gap, out);
                match write(width - used - gap, out) {
                    // A number that is cut would be misread.
                    columns if columns == 0 || out.ends_with("…".as_bytes()) => out.truncate(before),
                    columns => used += gap + columns,
                }
            };
            add(&|width, out| row.get(Field::ReferenceNo).map_or(0, |value| cell::value(value, width, out)));
            if !has_record {
                add(&|width, out| joined(row, Field::EntityType, b'/', Field::EntityId, width, out));
                add(&|width, out| joined(row, Field::Amount, b' ', Field::Currency, width, out));
            }
            used
        })
    }

    fn paint<T>(&self, style: Style, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        paint(self.has_colours, style, out, write)
    }
}

/// Returns the width of the column of the trail, and what it leaves to the other columns.
fn beside_trail(longest: Option<usize>, whole: usize) -> (Option<usize>, usize) {
    let max = if whole < MIN_WIDTH_WITH_DATE { MAX_TRAIL } else { MAX_TRAIL_WITH_DATE };
    let trail = longest.map(|longest| longest.clamp(TRAIL.len(), max));
    (trail, trail.map_or(whole, |trail| whole.saturating_sub(trail + GAP).max(1)))
}

/// Returns the default width of a field.
fn default_width(path: &FieldPath) -> Option<usize> {
    Some(match path.field()? {
        Field::Seq | Field::Level | Field::Currency => 8,
        Field::Id => 36,
        Field::Timestamp => 27,
        Field::Amount => 14,
        Field::Status => 6,
        Field::Success => 7,
        _ => return None,
    })
}

fn is_number(content: &Content) -> bool {
    match content {
        Content::Seq | Content::Amount => true,
        Content::Path(path) => matches!(path.field(), Some(Field::Seq | Field::Amount | Field::Status)),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
