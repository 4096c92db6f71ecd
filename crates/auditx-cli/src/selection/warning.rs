//! Warnings about flags and queries that probably do not mean what the user intended.

use auditx_reader::Query;

use super::Filter;
use crate::terminal::{print_message, sanitized};

impl Filter {
    /// Prints the warnings about the flags and about the query that was built from them.
    pub(crate) fn warn(&self, query: &Query) {
        for (flag, _, values) in self.flags() {
            for warning in values.iter().filter_map(|value| of_value(flag, value)) {
                print_message(&format!("warning: {}", sanitized(&warning)));
            }
        }
        for warning in query.warnings() {
            print_message(&format!("warning: {}", sanitized(&warning.to_string())));
        }
    }
}

/// Returns the warning about the value of a flag, which is matched literally.
fn of_value(flag: &str, value: &str) -> Option<String> {
    if value.is_empty() {
        return Some(format!(
            "--{flag} '' matches entries in which the field is empty: is a shell variable unset?"
        ));
    }
    if value.contains('*') {
        return Some(format!("--{flag} matches {value} literally: for a pattern, use {flag}:{value}"));
    }
    let is_list = value.contains(',') && !value.contains(char::is_whitespace);
    is_list.then(|| format!("--{flag} matches {value} as one value: repeat the flag, or use {flag}:{value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_and_lists_in_flags_are_warned_about() {
        let of = |value| of_value("user", value);
        assert!(of("").is_some_and(|warning| warning.contains("--user ''")));
        assert!(of("adm*").is_some_and(|warning| warning.ends_with("use user:adm*")));
        assert!(of("admin,clerk").is_some_and(|warning| warning.ends_with("use user:admin,clerk")));
        assert_eq!(of("admin"), None);
        assert_eq!(of("Doe, John"), None);
    }
}
