//! The endpoint of a request: its path and its query, without secrets.

use std::borrow::Cow;

use auditx_format::redact::Rules;

use super::settings::Settings;
use super::shortened;
use super::url::{push_names, push_path, push_query};

/// The longest recorded endpoint. A longer one would leave too little of the line for other fields; it is
/// truncated, and the entry has its length.
const MAX_ENDPOINT: usize = 8_192;

/// The longest path in a description.
const MAX_PATH: usize = MAX_ENDPOINT / 4;

/// The part of a request's query that is recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueryPolicy {
    /// The whole query, with secrets masked.
    #[default]
    Masked,
    /// The names of the parameters, without their values.
    Names,
    /// Nothing.
    Omit,
}

/// The form in which the path of a request is recorded, in the endpoint and in the description.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndpointPolicy {
    /// The path, with secrets masked.
    #[default]
    Path,
    /// The pattern of the matched route, such as `/customers/{id}`. The path, with secrets masked, if no
    /// route matched.
    Route,
}

/// Path and query in the form in which they are recorded.
pub(super) struct Endpoint {
    text: String,
    /// The length of the path in `text`.
    path_len: usize,
    /// The path as received, if it differs from the recorded path.
    original: Option<Box<str>>,
}

impl Endpoint {
    pub(super) fn new(
        (path, query, route): (&str, Option<&str>, Option<&str>),
        settings: &Settings,
        rules: &Rules,
    ) -> Self {
        let mut text = String::with_capacity(path.len() + query.map_or(0, |query| query.len() + 1));
        push_recorded(&mut text, (path, route), settings, rules);
        let original = (text != path).then(|| path.into());
        let path_len = text.len();
        match (query, settings.query) {
            (None, _) | (_, QueryPolicy::Omit) => {}
            (Some(query), QueryPolicy::Masked) => {
                text.push('?');
                push_query(&mut text, query, rules, 0);
            }
            (Some(query), QueryPolicy::Names) => {
                text.push('?');
                push_names(&mut text, query);
            }
        }
        Self { text, path_len, original }
    }

    /// Sets the route, if it becomes known after the arrival of the request.
    pub(super) fn set_route(&mut self, route: &str, settings: &Settings, rules: &Rules) {
        let mut text = String::with_capacity(self.text.len());
        push_recorded(&mut text, (self.original_path(), Some(route)), settings, rules);
        let original = self.original.take().unwrap_or_else(|| self.text[..self.path_len].into());
        let path_len = text.len();
        text.push_str(&self.text[self.path_len..]);
        *self = Self { text, path_len, original: Some(original) };
    }

    pub(super) fn text(&self) -> Cow<'_, str> {
        shortened(&self.text, MAX_ENDPOINT)
    }

    /// Returns the full length of an endpoint that is truncated.
    pub(super) fn len_if_cut(&self) -> Option<usize> {
        (self.text.len() > MAX_ENDPOINT).then_some(self.text.len())
    }

    /// Returns the recorded path, for descriptions.
    pub(super) fn path(&self) -> Cow<'_, str> {
        shortened(&self.text[..self.path_len], MAX_PATH)
    }

    /// Returns the path as received.
    pub(super) fn original_path(&self) -> &str {
        self.original.as_deref().unwrap_or(&self.text[..self.path_len])
    }
}

fn push_recorded(text: &mut String, (path, route): (&str, Option<&str>), settings: &Settings, rules: &Rules) {
    match (settings.endpoint, route) {
        (EndpointPolicy::Route, Some(route)) => text.push_str(route),
        (EndpointPolicy::Path, Some(route)) if settings.plain_routes.cover(path, route, rules) => {
            text.push_str(path);
        }
        _ => push_path(text, path, route, rules, 0),
    }
}

#[cfg(test)]
mod tests {
    use auditx_format::redact::Redaction;

    use super::*;

    fn settings(endpoint: EndpointPolicy, query: QueryPolicy) -> Settings {
        let mut settings = Settings::default();
        (settings.endpoint, settings.query) = (endpoint, query);
        settings
    }

    fn endpoint(route: Option<&str>, settings: &Settings) -> Endpoint {
        let rules = Redaction::default().compile().unwrap();
        Endpoint::new(("/r/S", Some("a=1&token=S"), route), settings, &rules)
    }

    #[test]
    fn policies_select_the_recorded_path_and_query() {
        let route = Some("/r/{token}");
        for (policy, query, expected) in [
            (EndpointPolicy::Path, QueryPolicy::Masked, "/r/[REDACTED]?a=1&token=[REDACTED]"),
            (EndpointPolicy::Path, QueryPolicy::Names, "/r/[REDACTED]?a&token"),
            (EndpointPolicy::Path, QueryPolicy::Omit, "/r/[REDACTED]"),
            (EndpointPolicy::Route, QueryPolicy::Omit, "/r/{token}"),
            (EndpointPolicy::Route, QueryPolicy::Masked, "/r/{token}?a=1&token=[REDACTED]"),
        ] {
            let settings = settings(policy, query);
            let known_first = endpoint(route, &settings);
            let mut known_later = endpoint(None, &settings);
            let rules = Redaction::default().compile().unwrap();
            known_later.set_route("/r/{token}", &settings, &rules);
            for endpoint in [known_first, known_later] {
                assert_eq!((&*endpoint.text(), endpoint.original_path()), (expected, "/r/S"));
                assert_eq!(endpoint.path(), expected.split('?').next().unwrap());
            }
        }
        assert_eq!(
            endpoint(None, &settings(EndpointPolicy::Route, QueryPolicy::Omit)).text(),
            "/r/S",
            "no route is known"
        );
    }

    #[test]
    fn a_long_endpoint_is_masked_before_it_is_truncated() {
        let rules = Redaction::default().compile().unwrap();
        let query = format!("{}&token=S", "é".repeat(MAX_ENDPOINT));
        let long = Endpoint::new(("/x", Some(&query), None), &Settings::default(), &rules);
        assert!(long.text().len() < MAX_ENDPOINT + 40);
        assert_eq!(long.len_if_cut(), Some(3 + 2 * MAX_ENDPOINT + "&token=[REDACTED]".len()));
        assert_eq!((&*long.path(), long.original_path()), ("/x", "/x"));
    }
}
