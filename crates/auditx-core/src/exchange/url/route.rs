//! The pattern of a route beside the path that took it: which segments are parameters, and whether their
//! names are secrets'.
//!
//! Patterns are read as axum (`{id}`, `{*rest}`), actix-web (`{id}`, `{id:\d+}`, `{rest:.*}`), poem and salvo
//! (`:id`, `*rest`) and Rocket (`<id>`, `<rest..>`) write them.

use crate::redact::{Decision, Rules};

/// What a segment of a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A part of the pattern itself.
    Literal,
    /// The value of a parameter whose name is no secret's, or of nobody knows what.
    Open,
    /// The value of a parameter that is masked or hashed.
    Secret(Decision),
    /// This segment and all that follow are the value of a secret.
    SecretRest,
}

/// A pattern, laid beside its path from the left.
pub(super) struct Route<'p> {
    pattern: Segments<'p>,
    /// What of the pattern is not beside a segment of the path yet.
    rest: Segments<'p>,
    current: Option<&'p str>,
    /// Whether each segment of the pattern stands for one of the path, but for the last that may stand for
    /// several.
    is_aligned: bool,
    rules: &'p Rules,
}

impl<'p> Route<'p> {
    pub(super) fn new(pattern: Option<&'p str>, path: &str, rules: &'p Rules) -> Self {
        let pattern = Segments(pattern.unwrap_or_default());
        let count = path.split('/').filter(|segment| !segment.is_empty()).count();
        let (len, last) = pattern.clone().fold((0, ""), |(len, _), segment| (len + 1, segment));
        let is_aligned = len == count || (len < count && is_rest(last));
        Self { rest: pattern.clone(), pattern, current: None, is_aligned, rules }
    }

    /// What the next segment of the path is.
    pub(super) fn next_kind(&mut self, segment: &str) -> Kind {
        if !self.is_aligned {
            return self.kind_of_any(segment);
        }
        self.current = self.rest.next().or(self.current);
        let Some(pattern) = self.current else { return Kind::Open };
        let is_last = self.rest.clone().next().is_none();
        match self.decide(pattern) {
            None => Kind::Literal,
            Some(Decision::Keep) => Kind::Open,
            Some(_) if is_last && is_rest(pattern) => Kind::SecretRest,
            Some(secret) => Kind::Secret(secret),
        }
    }

    /// Where pattern and path do not lie side by side: whatever is not in the pattern may be the value of any
    /// parameter.
    fn kind_of_any(&self, segment: &str) -> Kind {
        if self.pattern.clone().any(|pattern| pattern == segment) {
            return Kind::Literal;
        }
        match self.pattern.clone().filter_map(|pattern| self.decide(pattern)).reduce(stricter) {
            Some(secret) if secret != Decision::Keep => Kind::Secret(secret),
            _ => Kind::Open,
        }
    }

    /// What the names of a segment's parameters decide; `None` for a literal.
    fn decide(&self, pattern: &str) -> Option<Decision> {
        let names = pattern.split(['{', '<']).skip(1).map(name);
        let names = names.chain(pattern.strip_prefix([':', '*']).map(name));
        names.map(|name| self.rules.decide_parameter(name)).reduce(stricter)
    }
}

fn stricter(one: Decision, other: Decision) -> Decision {
    if one == Decision::Keep { other } else { one }
}

/// The name of a parameter, from the text that begins with it.
fn name(text: &str) -> &str {
    let text = text.trim_start_matches('*');
    text.split(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '-')).next().unwrap_or("")
}

/// Whether a parameter may stand for several segments.
fn is_rest(segment: &str) -> bool {
    segment.contains('*') || segment.ends_with("..>")
}

/// The segments of a pattern; a slash within braces belongs to a regular expression.
#[derive(Clone)]
struct Segments<'p>(&'p str);

impl<'p> Iterator for Segments<'p> {
    type Item = &'p str;

    fn next(&mut self) -> Option<&'p str> {
        let mut depth = 0_usize;
        let rest = self.0.trim_start_matches('/');
        let end = rest.find(|c| {
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            c == '/' && depth == 0
        });
        let (segment, rest) = rest.split_at(end.unwrap_or(rest.len()));
        self.0 = rest;
        (!segment.is_empty()).then_some(segment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::Redaction;

    fn kinds(pattern: &str, path: &str) -> Vec<Kind> {
        let rules = Redaction::default().compile().unwrap();
        let mut route = Route::new(Some(pattern), path, &rules);
        path.split('/').skip(1).map(|segment| route.next_kind(segment)).collect()
    }

    #[test]
    fn parameters_are_found_in_the_patterns_of_every_framework() {
        use Kind::{Literal, Open, Secret, SecretRest};
        let masked = Secret(Decision::Mask);
        for pattern in
            ["/r/{token}", "/r/{token:[^/]{8,}}", "/r/:token", "/r/<token>", "/r/t-{id}-{reset_token}"]
        {
            assert_eq!(kinds(pattern, "/r/x"), [Literal, masked], "{pattern}");
        }
        for pattern in ["/r/{*token}", "/r/{token:.*}", "/r/*token", "/r/<token..>"] {
            assert_eq!(kinds(pattern, "/r/x/y")[1], SecretRest, "{pattern}");
        }
        for pattern in ["/p/{code}", "/p/{key}", "/p/{id}"] {
            assert_eq!(kinds(pattern, "/p/x"), [Literal, Open], "{pattern}");
        }
        assert_eq!(kinds("/files/{*rest}", "/files/a/b"), [Literal, Open, Open]);
    }

    #[test]
    fn a_path_that_does_not_lie_beside_its_pattern_is_masked_beyond_the_literals() {
        let masked = Kind::Secret(Decision::Mask);
        assert_eq!(
            kinds("/a/{x:.+}/reset/{token}", "/a/1/2/reset/S")[..],
            [Kind::Literal, masked, masked, Kind::Literal, masked]
        );
    }
}
