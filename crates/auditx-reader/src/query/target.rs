//! Resolves the name before a colon.

use auditx_format::row::Field;

use super::ast::{Keys, Path};
use super::error::Problem;
use super::names::Name;
use super::scanner::Piece;

/// A resolved name, and how it was written.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) name: Name,
    /// The path within [`Name::Member`].
    pub(super) keys: Keys,
    pub(super) typed: String,
}

impl Target {
    pub(super) fn of(field: Field) -> Self {
        let name = Name::of(field);
        Self { name, keys: Box::default(), typed: name.to_string() }
    }

    pub(super) fn resolve(parts: &[Piece<'_>]) -> Result<Self, Problem> {
        let [first, keys @ ..] = parts else { return Err(Problem::new(0..0, "expected a name")) };
        let typed = first.text.to_string();
        if typed.is_empty() {
            let here = first.span.start;
            return Err(Problem::new(here..here + 1, "expected a field name before the colon")
                .help("to search for text with a colon, put it in quotation marks"));
        }
        let Some(name) = Name::find(&typed) else { return Err(unknown(first)) };
        if let Some(empty) = keys.iter().find(|key| key.text.is_empty() && !key.is_quoted) {
            return Err(Problem::new(empty.span.clone(), "expected a member name after the dot"));
        }
        if let (Some(key), false) = (keys.first(), matches!(name, Name::Member(_))) {
            let span = key.span.start..keys.last().unwrap_or(key).span.end;
            return Err(Problem::new(span, format!("{typed:?} has no members"))
                .help("only auditx, meta, new and old have members: meta.party:\"Golden Trading Co.\""));
        }
        if name == Name::Kind {
            return Ok(Self { name: Name::Member(Field::Auditx), keys: Box::new(["kind".into()]), typed });
        }
        Ok(Self { name, keys: keys.iter().map(|key| key.text.as_ref().into()).collect(), typed })
    }

    pub(super) fn path(&self, root: Field) -> Path {
        Path { root, keys: self.keys.clone() }
    }
}

fn unknown(name: &Piece<'_>) -> Problem {
    let fields =
        format!("fields: {}\nto search for text with a colon, put it in quotation marks", Name::list());
    let typed = &name.text;
    let message = match Name::nearest(typed) {
        Some(nearest) => format!("unknown field {typed:?}: did you mean {nearest:?}?"),
        None => format!("unknown field {typed:?}"),
    };
    Problem::new(name.span.clone(), message).help(fields)
}
