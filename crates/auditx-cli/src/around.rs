//! `--around`: what happened shortly before and after an entry or a time.

use auditx_reader::{Field, Line, Moment, Query, Row, Search, TimeBase, find_line};
use clap::ValueEnum;

use crate::failure::Failure;
use crate::question::{moment, span};
use crate::terminal::harmless;
use crate::trail::Trail;

/// Around what.
#[derive(Debug, clap::Args)]
pub(crate) struct Around {
    /// What happened shortly before and after this line, or this time
    #[arg(long, value_name = "SEQ|TIME", conflicts_with_all = ["since", "until"], help_heading = "Which entries")]
    around: Option<String>,
    /// How long before and after
    #[arg(
        long,
        value_name = "SPAN",
        default_value = "15m",
        requires = "around",
        help_heading = "Which entries"
    )]
    window: String,
    /// Only of the same user, session, request or record as the line; may be given more than once
    #[arg(long, value_name = "WHAT", requires = "around", help_heading = "Which entries")]
    same: Vec<Same>,
}

/// What entries may have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Same {
    User,
    Session,
    Request,
    Entity,
}

/// The moments around it, and what entries have in common with it.
#[derive(Debug)]
pub(crate) struct Neighbourhood {
    seq: Option<u64>,
    since: Moment,
    until: Moment,
    common: Vec<(Field, String)>,
}

impl Around {
    /// Looks for the line; none where nothing was asked for.
    pub(crate) fn found(&self, trail: &Trail, base: &TimeBase) -> Result<Option<Neighbourhood>, Failure> {
        let Some(centre) = &self.around else { return Ok(None) };
        let window = span(&self.window)?;
        let about = |at: Moment, seq, common| Neighbourhood {
            seq,
            since: at.before(window),
            // The last moment counts too.
            until: at.after(window).after(std::time::Duration::from_micros(1)),
            common,
        };
        let Some((seq, line)) = numbered(centre, trail)? else {
            if !self.same.is_empty() {
                return Err(Failure::said("--same needs the number of a line: a time has no user"));
            }
            return Ok(Some(about(moment(centre, base)?, None, Vec::new())));
        };
        let row = Row::read(line.bytes())
            .map_err(|why| Failure::said(format!("line {seq} cannot be read: {}", harmless(&why))))?;
        let at = Moment::parse(&row.text(Field::Timestamp)).ok_or_else(|| {
            Failure::said(format!("line {seq} does not say when it was written; give a time instead"))
        })?;
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
                    return Err(Failure::said(format!(
                        "line {seq} has no {}: leave that --same out",
                        field.name()
                    )));
                }
                common.push((*field, value));
            }
        }
        Ok(common)
    }
}

/// The line with this number; `None` if the text is a time. Digits that may be seconds or milliseconds since
/// 1970 are a time if the trail has no such line.
fn numbered(text: &str, trail: &Trail) -> Result<Option<(u64, Line)>, Failure> {
    let Ok(seq) = text.parse::<u64>() else { return Ok(None) };
    match find_line(trail.directory(), seq)? {
        Some(line) => Ok(Some((seq, line))),
        None if matches!(text.len(), 10 | 13) => Ok(None),
        None => {
            let place = trail.place();
            Err(Failure::said(format!("there is no line {seq} in {place}: not yet, or not any more")))
        }
    }
}

impl Neighbourhood {
    /// The number of the line that it is around.
    pub(crate) fn seq(&self) -> Option<u64> {
        self.seq
    }

    /// What an entry there has in common with it.
    pub(crate) fn query(&self) -> Query {
        let is = |(field, value): &(Field, String)| Query::is(*field, [value.as_str()]);
        self.common.iter().map(is).fold(Query::everything(), Query::and)
    }

    /// The same search, only there.
    pub(crate) fn narrow(&self, search: Search) -> Search {
        search.since(self.since).until(self.until)
    }
}
