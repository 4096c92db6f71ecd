//! `--around`: entries shortly before and after a line or a time.

use auditx_reader::{Field, Line, Moment, Query, Row, Search, TimeBase, find_line};
use clap::ValueEnum;

use crate::failure::Failure;
use crate::family::Trails;
use crate::selection::{moment, span};
use crate::terminal::sanitized;

/// The flags `--around`, `--window` and `--same`.
#[derive(Debug, clap::Args)]
pub(crate) struct Around {
    /// Entries shortly before and after this line or time
    #[arg(
        long,
        value_name = "SEQ|TIME",
        conflicts_with_all = ["since", "until"],
        help_heading = "Selection"
    )]
    around: Option<String>,
    /// How long before and after
    #[arg(long, value_name = "SPAN", default_value = "15m", requires = "around", help_heading = "Selection")]
    window: String,
    /// Only entries with the same user, session, request or record as the line; repeatable
    #[arg(long, value_name = "WHAT", requires = "around", help_heading = "Selection")]
    same: Vec<Same>,
}

/// A property that entries may share with the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Same {
    User,
    Session,
    Request,
    Entity,
}

/// The period around a line or time, and the fields that entries share with the line.
#[derive(Debug)]
pub(crate) struct Neighbourhood {
    seq: Option<u64>,
    since: Moment,
    until: Moment,
    common: Vec<(Field, String)>,
}

impl Around {
    /// Finds the line. `None` if `--around` was not given.
    pub(crate) fn found(&self, trails: &Trails, base: &TimeBase) -> Result<Option<Neighbourhood>, Failure> {
        let Some(centre) = &self.around else { return Ok(None) };
        let window = span(&self.window)?;
        let about = |at: Moment, seq, common| Neighbourhood {
            seq,
            since: at.before(window),
            // The end of a period is exclusive; the window includes its last microsecond.
            until: at.after(window).after(std::time::Duration::from_micros(1)),
            common,
        };
        let Some((seq, line)) = numbered(centre, trails)? else {
            if !self.same.is_empty() {
                return Err(Failure::new("--same needs a line number: a time has no user"));
            }
            return Ok(Some(about(moment(centre, base)?, None, Vec::new())));
        };
        let row = Row::read(line.bytes()).map_err(|why| {
            Failure::new(format!("line {seq} cannot be read: {}", sanitized(&why.to_string())))
        })?;
        let at = row
            .moment()
            .ok_or_else(|| Failure::new(format!("line {seq} has no valid timestamp: give a time instead")))?;
        Ok(Some(about(at, Some(seq), self.common(seq, &row)?)))
    }

    fn common(&self, seq: u64, row: &Row<'_>) -> Result<Vec<(Field, String)>, Failure> {
        let mut common = Vec::new();
        for same in &self.same {
            let fields: &[Field] = match same {
                Same::User => &[Field::User],
                Same::Session => &[Field::SessionId],
                Same::Request => &[Field::RequestId],
                Same::Entity => &[Field::EntityType, Field::EntityId],
            };
            for field in fields {
                let value = row.text(*field).into_owned();
                if value.is_empty() {
                    return Err(Failure::new(format!(
                        "line {seq} has no {}: remove that --same",
                        field.name()
                    )));
                }
                common.push((*field, value));
            }
        }
        Ok(common)
    }
}

/// Returns the line with this number; `None` if the text is a time. A number of 10 or 13 digits is a time
/// (seconds or milliseconds since 1970) if the trail has no such line, or if there are several trails.
fn numbered(text: &str, trails: &Trails) -> Result<Option<(u64, Line)>, Failure> {
    let Ok(seq) = text.parse::<u64>() else { return Ok(None) };
    let is_time = matches!(text.len(), 10 | 13);
    let Some(trail) = trails.single() else {
        return if is_time {
            Ok(None)
        } else {
            trails.must_be_one("a line number is that of one trail").map(|()| None)
        };
    };
    match find_line(trail.directory(), seq)? {
        Some(line) => Ok(Some((seq, line))),
        None if is_time => Ok(None),
        None => {
            let display_path = trail.display_path();
            Err(Failure::new(format!(
                "{display_path} has no line {seq}: it was not written yet, or was retired"
            )))
        }
    }
}

impl Neighbourhood {
    /// Returns the number of the line.
    pub(crate) fn seq(&self) -> Option<u64> {
        self.seq
    }

    /// Returns the query for the shared fields.
    pub(crate) fn query(&self) -> Query {
        let is = |(field, value): &(Field, String)| Query::is(*field, [value.as_str()]);
        self.common.iter().map(is).fold(Query::everything(), Query::and)
    }

    /// Limits a search to the period.
    pub(crate) fn narrow(&self, search: Search) -> Search {
        search.since(self.since).until(self.until)
    }
}
