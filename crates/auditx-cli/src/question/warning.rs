//! What a command says of flags and questions that probably do not mean what was wanted.

use auditx_reader::Query;

use super::Question;
use crate::terminal::{complain, harmless};

impl Question {
    /// Says on standard error what the question, which this query comes from, probably does not mean.
    pub(crate) fn warn(&self, query: &Query) {
        for (flag, _, values) in self.flags() {
            for warning in values.iter().filter_map(|value| of_value(flag, value)) {
                complain(&format!("warning: {}", harmless(&warning)));
            }
        }
        for warning in query.warnings() {
            complain(&format!("warning: {}", harmless(&warning.to_string())));
        }
    }
}

/// Of a flag's value, which is taken as it is.
fn of_value(flag: &str, value: &str) -> Option<String> {
    if value.is_empty() {
        return Some(format!("--{flag} '' asks for entries without one: is a variable of the shell empty?"));
    }
    if value.contains('*') {
        return Some(format!("--{flag} takes {value} as it is: a pattern is asked for with {flag}:{value}"));
    }
    let is_list = value.contains(',') && !value.contains(char::is_whitespace);
    is_list.then(|| {
        format!("--{flag} takes {value} as one value: repeat the flag, or ask for any with {flag}:{value}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_text_and_no_pattern_or_list() {
        let of = |value| of_value("user", value);
        assert!(of("").is_some_and(|warning| warning.contains("--user ''")));
        assert!(of("adm*").is_some_and(|warning| warning.ends_with("with user:adm*")));
        assert!(of("admin,clerk").is_some_and(|warning| warning.ends_with("with user:admin,clerk")));
        assert_eq!(of("admin"), None);
        assert_eq!(of("Doe, John"), None);
    }
}
