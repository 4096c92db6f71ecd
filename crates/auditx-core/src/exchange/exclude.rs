//! Which paths get no closing entry.

use crate::error::{Error, Result};

/// A path to exclude, in segments; `*` stands for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PathPattern(Vec<String>);

impl PathPattern {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let Some(rest) = text.strip_prefix('/') else {
            return Err(Error::invalid(format!("excluded path {text:?} must begin with a slash")));
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.split('/').any(|segment| segment.is_empty() || segment.contains(['?', '#', '%'])) {
            return Err(Error::invalid(format!(
                "excluded path {text:?} must name plain segments, like /healthz or /internal/*/probe"
            )));
        }
        Ok(Self(rest.split('/').map(str::to_owned).collect()))
    }

    /// Compares with the path as it came. Anything a router further in might read differently never matches.
    pub(super) fn covers(&self, path: &str) -> bool {
        let Some(rest) = path.strip_prefix('/') else { return false };
        let trimmed = rest.strip_suffix('/').unwrap_or(rest);
        let mut segments = trimmed.split('/');
        let is_covered = self
            .0
            .iter()
            .all(|wanted| segments.next().is_some_and(|segment| wanted == "*" || wanted == segment));
        let is_tricky =
            |segment: &str| matches!(segment, "" | "." | "..") || segment.contains(['%', '\\', ';']);
        // Most paths are not covered: those that are, are looked at a second time.
        is_covered && !trimmed.split('/').any(is_tricky)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(pattern: &str, path: &str) -> bool {
        PathPattern::parse(pattern).unwrap().covers(path)
    }

    #[test]
    fn whole_segments_are_compared() {
        for path in ["/docs", "/docs/", "/docs/x", "/docs/x/y"] {
            assert!(covers("/docs", path), "{path}");
        }
        for path in ["/docs-private", "/doc", "/", "/x/docs", "/Docs", ""] {
            assert!(!covers("/docs", path), "{path}");
        }
        assert!(covers("/tenants/*/probe", "/tenants/acme/probe/x"));
        assert!(
            !covers("/tenants/*/probe", "/tenants/acme/sales")
                && !covers("/tenants/*/probe", "/tenants/probe")
        );
    }

    #[test]
    fn tricks_with_paths_never_exclude() {
        for path in [
            "/healthz/../sales",
            "/healthz/./x",
            "/healthz//x",
            "//healthz",
            "/healthz/%2e%2e/sales",
            "/healthz;x/../y",
            "/healthz/..\\sales",
        ] {
            assert!(!covers("/healthz", path), "{path}");
        }
    }

    #[test]
    fn a_pattern_that_could_never_match_is_refused() {
        for text in ["docs", "", "/", "/a//b", "/a?b", "/%20"] {
            assert!(PathPattern::parse(text).unwrap_err().is_invalid(), "{text:?}");
        }
    }
}
