//! The texts of a request: its path and its query without secrets, its route, its `User-Agent`.

use std::borrow::Cow;

use auditx_format::redact::Rules;

use super::request::{MAX_HEADER_LEN, RequestFacts, first};
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

/// The texts of a request that its closing entry records, in one allocation.
pub(super) struct Texts {
    /// Path and query in the form in which they are recorded, the route, the `User-Agent`.
    all: String,
    /// The ends of the path, of the query and of the route in `all`.
    path_end: usize,
    endpoint_end: usize,
    route_end: usize,
    /// The path as received, if it differs from the recorded path.
    original: Option<Box<str>>,
}

impl Texts {
    pub(super) fn new(request: &RequestFacts<'_>, settings: &Settings, rules: &Rules) -> Self {
        let RequestFacts { path, query, route, .. } = *request;
        let route_len = route.map_or(0, str::len);
        let len = path.len() + query.map_or(0, |query| query.len() + 1) + route_len;
        let user_agent_len = if settings.user_agent { MAX_HEADER_LEN } else { 0 };
        let mut all = String::with_capacity(len + user_agent_len);
        push_recorded(&mut all, (path, route), settings, rules);
        let original = (all != path).then(|| path.into());
        let path_end = all.len();
        match (query, settings.query) {
            (None, _) | (_, QueryPolicy::Omit) => {}
            (Some(query), QueryPolicy::Masked) => {
                all.push('?');
                push_query(&mut all, query, rules, 0);
            }
            (Some(query), QueryPolicy::Names) => {
                all.push('?');
                push_names(&mut all, query);
            }
        }
        let endpoint_end = all.len();
        all.push_str(route.unwrap_or_default());
        let route_end = all.len();
        if settings.user_agent {
            first(request.headers, "user-agent", |value| push_header(&mut all, value));
        }
        Self { all, path_end, endpoint_end, route_end, original }
    }

    /// Sets the route, if it becomes known after the arrival of the request.
    pub(super) fn set_route(&mut self, route: &str, settings: &Settings, rules: &Rules) {
        let mut all = String::with_capacity(self.all.len() + route.len());
        push_recorded(&mut all, (self.original_path(), Some(route)), settings, rules);
        let original = self.original.take().unwrap_or_else(|| self.all[..self.path_end].into());
        let path_end = all.len();
        all.push_str(&self.all[self.path_end..self.endpoint_end]);
        let endpoint_end = all.len();
        all.push_str(route);
        let route_end = all.len();
        all.push_str(self.user_agent());
        *self = Self { all, path_end, endpoint_end, route_end, original: Some(original) };
    }

    /// Returns path and query in the form in which they are recorded.
    pub(super) fn endpoint(&self) -> Cow<'_, str> {
        shortened(&self.all[..self.endpoint_end], MAX_ENDPOINT)
    }

    /// Returns the full length of an endpoint that is truncated.
    pub(super) fn endpoint_len_if_cut(&self) -> Option<usize> {
        (self.endpoint_end > MAX_ENDPOINT).then_some(self.endpoint_end)
    }

    /// Returns the recorded path, for descriptions.
    pub(super) fn path(&self) -> Cow<'_, str> {
        shortened(&self.all[..self.path_end], MAX_PATH)
    }

    /// Returns the path as received.
    pub(super) fn original_path(&self) -> &str {
        self.original.as_deref().unwrap_or(&self.all[..self.path_end])
    }

    /// Returns the pattern of the matched route; empty if it is not known.
    pub(super) fn route(&self) -> &str {
        &self.all[self.endpoint_end..self.route_end]
    }

    /// Returns the `User-Agent`; empty if the request has none or it is not recorded.
    pub(super) fn user_agent(&self) -> &str {
        &self.all[self.route_end..]
    }
}

/// Appends the value of a header as text, up to its maximum length.
fn push_header(text: &mut String, value: &[u8]) {
    let value = String::from_utf8_lossy(value);
    let most = value.len().min(MAX_HEADER_LEN);
    let end = (0..=most).rev().find(|&end| value.is_char_boundary(end)).unwrap_or(0);
    text.push_str(&value[..end]);
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

    use super::super::request::Headers;
    use super::*;

    fn settings(endpoint: EndpointPolicy, query: QueryPolicy) -> Settings {
        let mut settings = Settings::default();
        (settings.endpoint, settings.query) = (endpoint, query);
        settings
    }

    /// Has no headers.
    struct NoHeaders;

    impl Headers for NoHeaders {
        fn each(&self, _: &str, _: &mut dyn FnMut(&[u8])) {}
    }

    fn texts(path: &str, query: &str, route: Option<&str>, settings: &Settings) -> Texts {
        let rules = Redaction::default().compile().unwrap();
        let request = RequestFacts::new("GET", path, &NoHeaders).query(Some(query)).route(route);
        Texts::new(&request, settings, &rules)
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
            let known_first = texts("/r/S", "a=1&token=S", route, &settings);
            let mut known_later = texts("/r/S", "a=1&token=S", None, &settings);
            assert_eq!(known_later.route(), "");
            let rules = Redaction::default().compile().unwrap();
            known_later.set_route("/r/{token}", &settings, &rules);
            for texts in [known_first, known_later] {
                assert_eq!((&*texts.endpoint(), texts.original_path()), (expected, "/r/S"));
                assert_eq!(texts.path(), expected.split('?').next().unwrap());
                assert_eq!((texts.route(), texts.user_agent()), ("/r/{token}", ""));
            }
        }
        let settings = settings(EndpointPolicy::Route, QueryPolicy::Omit);
        assert_eq!(texts("/r/S", "", None, &settings).endpoint(), "/r/S", "no route is known");
    }

    #[test]
    fn a_long_endpoint_is_masked_before_it_is_truncated() {
        let query = format!("{}&token=S", "é".repeat(MAX_ENDPOINT));
        let long = texts("/x", &query, None, &Settings::default());
        assert!(long.endpoint().len() < MAX_ENDPOINT + 40);
        assert_eq!(long.endpoint_len_if_cut(), Some(3 + 2 * MAX_ENDPOINT + "&token=[REDACTED]".len()));
        assert_eq!((&*long.path(), long.original_path()), ("/x", "/x"));
    }

    #[test]
    fn a_long_header_is_truncated_between_characters() {
        for (value, expected) in [
            ("curl/8.5.0".to_owned(), "curl/8.5.0".to_owned()),
            ("é".repeat(300), "é".repeat(MAX_HEADER_LEN / 2)),
            (format!("x{}", "é".repeat(300)), format!("x{}", "é".repeat(MAX_HEADER_LEN / 2 - 1))),
        ] {
            let mut text = String::new();
            push_header(&mut text, value.as_bytes());
            assert_eq!(text, expected);
        }
        let mut text = "/x".to_owned();
        push_header(&mut text, b"a\xffb\xc3");
        assert_eq!(text, "/xa\u{fffd}b\u{fffd}");
    }
}
