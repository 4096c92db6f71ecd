//! Field names of the query language: the names in a line, and short forms.

use std::fmt;

use auditx_format::row::{Field, FieldKind};

use super::text::Case;

/// The meaning of a field name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    /// A top-level field.
    Field(Field),
    /// A field whose members are addressed by path.
    Member(Field),
    /// `auditx.kind`
    Kind,
    /// `TYPE/ID`
    Entity,
    Changed,
    Success,
    Time,
    Since,
    Until,
}

/// The first name of each meaning is the one that a query is displayed with.
const NAMES: [(&str, Name); 51] = [
    ("action", Name::Field(Field::Action)),
    ("amount", Name::Field(Field::Amount)),
    ("auditx", Name::Member(Field::Auditx)),
    ("behalf", Name::Field(Field::OnBehalfOf)),
    ("on_behalf_of", Name::Field(Field::OnBehalfOf)),
    ("branch", Name::Field(Field::BranchId)),
    ("branch_id", Name::Field(Field::BranchId)),
    ("changed", Name::Changed),
    ("company", Name::Field(Field::CompanyId)),
    ("company_id", Name::Field(Field::CompanyId)),
    ("currency", Name::Field(Field::Currency)),
    ("entity", Name::Entity),
    ("entity_id", Name::Field(Field::EntityId)),
    ("erased", Name::Field(Field::Erased)),
    ("host", Name::Field(Field::Hostname)),
    ("hostname", Name::Field(Field::Hostname)),
    ("id", Name::Field(Field::Id)),
    ("ip", Name::Field(Field::Ip)),
    ("kind", Name::Kind),
    ("level", Name::Field(Field::Level)),
    ("meta", Name::Member(Field::Metadata)),
    ("metadata", Name::Member(Field::Metadata)),
    ("method", Name::Field(Field::Method)),
    ("module", Name::Field(Field::Module)),
    ("new", Name::Member(Field::NewValues)),
    ("new_values", Name::Member(Field::NewValues)),
    ("old", Name::Member(Field::OldValues)),
    ("old_values", Name::Member(Field::OldValues)),
    ("path", Name::Field(Field::Endpoint)),
    ("endpoint", Name::Field(Field::Endpoint)),
    ("ref", Name::Field(Field::ReferenceNo)),
    ("reference", Name::Field(Field::ReferenceNo)),
    ("reference_no", Name::Field(Field::ReferenceNo)),
    ("request", Name::Field(Field::RequestId)),
    ("request_id", Name::Field(Field::RequestId)),
    ("role", Name::Field(Field::UserRole)),
    ("user_role", Name::Field(Field::UserRole)),
    ("seq", Name::Field(Field::Seq)),
    ("session", Name::Field(Field::SessionId)),
    ("session_id", Name::Field(Field::SessionId)),
    ("since", Name::Since),
    ("status", Name::Field(Field::Status)),
    ("success", Name::Success),
    ("text", Name::Field(Field::Description)),
    ("description", Name::Field(Field::Description)),
    ("time", Name::Time),
    ("timestamp", Name::Time),
    ("type", Name::Field(Field::EntityType)),
    ("entity_type", Name::Field(Field::EntityType)),
    ("until", Name::Until),
    ("user", Name::Field(Field::User)),
];

impl Name {
    /// Finds a name, ignoring case.
    pub(super) fn find(text: &str) -> Option<Self> {
        NAMES.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, name)| name)
    }

    /// The name that stands for a field passed to a builder method.
    pub(super) fn of(field: Field) -> Self {
        match field {
            Field::Timestamp => Self::Time,
            Field::Success => Self::Success,
            Field::OldValues | Field::NewValues | Field::Metadata | Field::Auditx => Self::Member(field),
            field => Self::Field(field),
        }
    }

    /// The field, if the name stands for exactly one.
    pub(super) fn field(self) -> Option<Field> {
        match self {
            Self::Field(field) | Self::Member(field) => Some(field),
            Self::Success => Some(Field::Success),
            Self::Time => Some(Field::Timestamp),
            Self::Kind | Self::Entity | Self::Changed | Self::Since | Self::Until => None,
        }
    }

    /// The most similar name, if it differs by at most two edits and by no more than half of its letters.
    pub(super) fn nearest(text: &str) -> Option<&'static str> {
        let text: String = text.chars().take(32).collect::<String>().to_ascii_lowercase();
        NAMES
            .into_iter()
            .map(|(name, _)| (distance(&text, name), name))
            .filter(|(distance, name)| *distance <= 2 && distance * 2 <= name.len())
            .min_by_key(|(distance, _)| *distance)
            .map(|(_, name)| name)
    }

    /// All names, one for each meaning, wrapped to the width of a terminal.
    pub(super) fn list() -> String {
        const WIDTH: usize = 76;
        let (mut list, mut width) = (String::new(), 0);
        for (text, _) in NAMES.into_iter().filter(|(text, name)| name.to_string() == *text) {
            let between = match width {
                0 => "",
                width if width + text.len() > WIDTH => ",\n",
                _ => ", ",
            };
            width = if between == ",\n" { text.len() } else { width + between.len() + text.len() };
            list.push_str(between);
            list.push_str(text);
        }
        list
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = NAMES.into_iter().find(|(_, name)| name == self).map_or("", |(text, _)| text);
        f.write_str(found)
    }
}

/// How the letters of a field's text are compared.
pub(super) fn case_of(field: Field) -> Case {
    match field {
        Field::Level | Field::Module | Field::Action | Field::Method | Field::Currency => Case::Ascii,
        _ => Case::Exact,
    }
}

pub(super) fn is_number(field: Field) -> bool {
    field.kind() == FieldKind::Number
}

/// The Damerau-Levenshtein distance: insertions, deletions, replacements and swaps of adjacent letters.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<_>, Vec<_>) = (one.chars().collect(), other.chars().collect());
    let mut rows = vec![vec![0; other.len() + 1]; one.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=other.len()).collect();
    for i in 1..=one.len() {
        for j in 1..=other.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(one[i - 1] != other[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_short_names_are_found() {
        for field in Field::ALL {
            let found = Name::find(field.name()).unwrap();
            assert_eq!(found, Name::of(field), "{field:?}");
            assert_eq!(Name::find(&found.to_string()), Some(found));
        }
        assert_eq!(Name::find("Reference"), Some(Name::Field(Field::ReferenceNo)));
        assert_eq!(Name::find("users"), None);
    }

    #[test]
    fn only_a_similar_name_is_suggested() {
        for (typed, meant) in [
            ("usr", Some("user")),
            ("USRE", Some("user")),
            ("refrence", Some("reference")),
            ("compnay", Some("company")),
            ("amont", Some("amount")),
            ("http", None),
            ("12", None),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(Name::nearest(typed), meant, "{typed}");
        }
        assert!(Name::list().starts_with("action, amount, auditx, behalf, branch,"));
    }
}
