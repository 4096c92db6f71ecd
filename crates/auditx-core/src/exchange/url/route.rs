//! Aligns the pattern of a route with a path: which segments are parameters, and whether their names denote
//! secrets.
//!
//! The syntaxes of axum (`{id}`, `{*rest}`), actix-web (`{id}`, `{id:\d+}`, `{rest:.*}`), poem and salvo
//! (`:id`, `*rest`) and Rocket (`<id>`, `<rest..>`) are supported.

use auditx_format::redact::{Decision, Rules};

/// The kind of a path segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A literal segment of the pattern.
    Literal,
    /// The value of a parameter whose name does not denote a secret, or an unknown segment.
    Open,
    /// The value of a parameter that is masked or hashed.
    Secret(Decision),
    /// This segment and all following ones are the value of a secret.
    SecretRest,
}

/// A pattern, aligned with its path segment by segment from the left.
pub(super) struct Route<'p> {
    pattern: Segments<'p>,
    /// The segments of the pattern that are not aligned yet.
    rest: Segments<'p>,
    current: Option<&'p str>,
    /// Whether each segment of the pattern matches one segment of the path, except for the last, which may
    /// match several.
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

    /// Returns the kind of the next segment of the path.
    pub(super) fn next_kind(&mut self, segment: &str) -> Kind {
        if !self.is_aligned {
            return self.kind_of_any(segment);
        }
        self.current = self.rest.next().or(self.current);
        let Some(pattern) = self.current else { return Kind::Open };
        let is_last = self.rest.clone().next().is_none();
        match kind(pattern, self.rules) {
            Kind::Secret(_) if is_last && is_rest(pattern) => Kind::SecretRest,
            kind => kind,
        }
    }

    /// Returns the kind of a segment if pattern and path cannot be aligned: a segment that is not in the
    /// pattern may be the value of any parameter.
    fn kind_of_any(&self, segment: &str) -> Kind {
        if self.pattern.clone().any(|pattern| pattern == segment) {
            return Kind::Literal;
        }
        match self.pattern.clone().filter_map(|pattern| decide(pattern, self.rules)).reduce(stricter) {
            Some(secret) if secret != Decision::Keep => Kind::Secret(secret),
            _ => Kind::Open,
        }
    }
}

/// Returns the decision for the parameters of a segment of a pattern; `None` if it has none.
fn decide(pattern: &str, rules: &Rules) -> Option<Decision> {
    let names = pattern.split(['{', '<']).skip(1).map(name);
    let names = names.chain(pattern.strip_prefix([':', '*']).map(name));
    names.map(|name| rules.decide_parameter(name)).reduce(stricter)
}

/// Returns the kind of the path's segment that a segment of a pattern matches, if it matches one.
pub(super) fn kind(pattern: &str, rules: &Rules) -> Kind {
    match decide(pattern, rules) {
        None => Kind::Literal,
        Some(Decision::Keep) => Kind::Open,
        Some(secret) => Kind::Secret(secret),
    }
}

fn stricter(one: Decision, other: Decision) -> Decision {
    if one == Decision::Keep { other } else { one }
}

/// Returns the name of the parameter at the beginning of the text.
fn name(text: &str) -> &str {
    let text = text.trim_start_matches('*');
    text.split(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '-')).next().unwrap_or("")
}

/// Returns `true` if a parameter may match several segments.
pub(super) fn is_rest(segment: &str) -> bool {
    segment.contains('*') || segment.ends_with("..>")
}

/// An iterator over the segments of a pattern. A slash within braces belongs to a regular expression.
#[derive(Clone)]
pub(super) struct Segments<'p>(pub(super) &'p str);

impl<'p> Iterator for Segments<'p> {
    type Item = &'p str;

    fn next(&mut self) -> Option<&'p str> {
        let mut depth = 0_usize;
        let rest = self.0.trim_start_matches('/');
        let end = rest.bytes().position(|byte| {
            match byte {
                b'{' => depth += 1,
                b'}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            byte == b'/' && depth == 0
        });
        let (segment, rest) = rest.split_at(end.unwrap_or(rest.len()));
        self.0 = rest;
        (!segment.is_empty()).then_some(segment)
    }
}

#[cfg(test)]
mod tests {
    use auditx_format::redact::Redaction;

    use super::*;

    fn kinds(pattern: &str, path: &str) -> Vec<Kind> {
        let rules = Redaction::default().compile().unwrap();
        let mut route = Route::new(Some(pattern), path, &rules);
        path.split('/').skip(1).map(|segment| route.next_kind(segment)).collect()
    }

    #[test]
    fn the_syntax_of_every_framework_is_parsed() {
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
    fn only_literals_are_kept_if_the_path_cannot_be_aligned() {
        let masked = Kind::Secret(Decision::Mask);
        assert_eq!(
            kinds("/a/{x:.+}/reset/{token}", "/a/1/2/reset/S")[..],
            [Kind::Literal, masked, masked, Kind::Literal, masked]
        );
    }
}
