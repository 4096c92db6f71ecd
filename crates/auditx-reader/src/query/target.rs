//! What a name before a colon stands for.

use auditx_core::Field;

use super::ast::{Keys, Path};
use super::error::Problem;
use super::names::Name;
use super::scanner::Piece;

/// A name that was found, and how it was typed.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) name: Name,
    /// Where it is within [`Name::Member`].
    pub(super) keys: Keys,
    pub(super) typed: String,
}

impl Target {
    pub(super) fn of(field: Field) -> Self {
        let name = Name::of(field);
        Self { name, keys: Box::default(), typed: name.to_string() }
    }

    pub(super) fn resolve(parts: &[Piece<'_>]) -> Result<Self, Problem> {
        let [first, keys @ ..] = parts else { return Err(Problem::new(0..0, "a name is due")) };
        let typed = first.text.to_string();
        if typed.is_empty() {
            let here = first.span.start;
            return Err(Problem::new(here..here + 1, "a field's name is due before the colon")
                .help("text with a colon goes between quotation marks"));
        }
        let Some(name) = Name::find(&typed) else { return Err(unknown(first)) };
        if let Some(empty) = keys.iter().find(|key| key.text.is_empty() && !key.is_quoted) {
            return Err(Problem::new(empty.span.clone(), "a member's name is due after the dot"));
        }
        if let (Some(key), false) = (keys.first(), matches!(name, Name::Member(_))) {
            let span = key.span.start..keys.last().unwrap_or(key).span.end;
            return Err(Problem::new(span, format!("{typed:?} has no members"))
                .help("only auditx, meta, new and old have: meta.party:\"Golden Trading Co.\""));
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
    let fields = format!("fields: {}\ntext with a colon goes between quotation marks", Name::list());
    let typed = &name.text;
    let message = match Name::nearest(typed) {
        Some(nearest) => format!("no field is called {typed:?}: did you mean {nearest:?}?"),
        None => format!("no field is called {typed:?}"),
    };
    Problem::new(name.span.clone(), message).help(fields)
}
