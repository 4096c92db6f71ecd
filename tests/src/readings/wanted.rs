//! The selection of lines that a command asks for, and the lines that it must find.

use auditx_format::moment::Moment;

use super::trails::Base;
use crate::random::Random;
use crate::trail::Line;

/// A selection of lines.
#[derive(Debug, Clone)]
pub(super) enum Wanted {
    Everything,
    /// Lines with this value in a field: the flag, the field and the value.
    Field(&'static str, &'static str, String),
    Word(String),
    /// Lines about a customer, whose id is already in the call's arguments.
    Customer(String),
    Failed,
    Security,
    /// Lines from the first time (inclusive) to the second (exclusive).
    Period(String, String),
    /// Lines within this many seconds of a line: seq and seconds.
    Around(u64, u64),
}

impl Wanted {
    /// Returns a random selection for this trail.
    pub(super) fn random(random: &mut Random, base: &Base) -> Self {
        let line = random.one_of(&base.lines);
        let timestamp = |line: &Line| line.json["timestamp"].as_str().map(str::to_owned);
        let field = |flag, name: &'static str| {
            let value = line.json[name].as_str()?.to_owned();
            Some(Self::Field(flag, name, value))
        };
        let wanted = match random.below(12) {
            0 | 1 => field("--user", "user"),
            2 => field("--module", "module"),
            3 => field("--level", "level"),
            4 | 5 => field("--request", "request_id"),
            6 => Some(Self::Word(format!("w{:03}w", random.below(300)))),
            7 => Some(Self::Failed),
            8 => Some(Self::Security),
            9 => {
                let other = random.one_of(&base.lines);
                let (from, to) = (line.seq.min(other.seq), line.seq.max(other.seq));
                let at = |seq| base.lines.iter().find(|line| line.seq == seq).and_then(timestamp);
                at(from).zip(at(to)).map(|(from, to)| Self::Period(from, to))
            }
            10 => timestamp(line).map(|_| Self::Around(line.seq, 1 + random.below(5))),
            _ => None,
        };
        wanted.unwrap_or(Self::Everything)
    }

    /// Returns the arguments for this selection.
    pub(super) fn words(&self) -> Vec<String> {
        let words: &[&str] = match self {
            Self::Everything | Self::Customer(_) => &[],
            Self::Field(flag, _, value) => &[flag, value],
            Self::Word(word) => &[word],
            Self::Failed => &["--failed"],
            Self::Security => &["--source", "security"],
            Self::Period(from, to) => &["--since", from, "--until", to],
            Self::Around(seq, seconds) => {
                return vec!["--around".into(), seq.to_string(), "--window".into(), format!("{seconds}s")];
            }
        };
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    /// Returns whether only `query` supports this selection.
    pub(super) fn is_for_query_only(&self) -> bool {
        matches!(self, Self::Around(..))
    }

    /// Returns whether `tail` supports this selection.
    pub(super) fn is_for_tail(&self) -> bool {
        !matches!(self, Self::Around(..) | Self::Period(..) | Self::Security)
    }

    fn matches(&self, line: &Line, base: &Base) -> bool {
        let text = |name: &str| line.json[name].as_str();
        match self {
            Self::Everything => true,
            Self::Field(_, name, value) => text(name) == Some(value),
            Self::Word(word) => text("description").is_some_and(|text| text.contains(word.as_str())),
            Self::Customer(id) => text("entity_type") == Some("customer") && text("entity_id") == Some(id),
            Self::Failed => line.json["success"] == false,
            Self::Security => matches!(text("level"), Some("SECURITY" | "CRITICAL")),
            Self::Period(from, to) => {
                text("timestamp").is_some_and(|at| from.as_str() <= at && at < to.as_str())
            }
            Self::Around(seq, seconds) => {
                let centre = base.lines.iter().find(|line| line.seq == *seq).and_then(moment);
                let distance = centre.zip(moment(line)).map(|(one, other)| one.abs_diff(other));
                distance.is_some_and(|distance| distance <= seconds * 1_000_000)
            }
        }
    }

    /// Returns the selected lines among those that the latest checkpoint covers.
    pub(super) fn found<'b>(&self, base: &'b Base) -> Vec<&'b Line> {
        base.signed_lines().filter(|line| self.matches(line, base)).collect()
    }
}

fn moment(line: &Line) -> Option<i64> {
    line.json["timestamp"].as_str().and_then(Moment::parse).map(Moment::micros)
}
