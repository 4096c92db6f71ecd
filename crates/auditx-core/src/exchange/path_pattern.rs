//! Path patterns, for the requests that get no closing entry and for those whose bodies are captured.

use auditx_format::{Error, Result};
use percent_encoding::percent_decode_str;

/// Matches a path and all paths below it. The segment `*` matches any segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PathPattern {
    /// A pattern without `*`, compared as text.
    Plain(String),
    Segments(Vec<String>),
}

impl PathPattern {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let Some(rest) = text.strip_prefix('/') else {
            return Err(Error::invalid(format!("invalid path {text:?}: it must begin with a slash")));
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.split('/').any(|segment| segment.is_empty() || segment.contains(['?', '#', '%'])) {
            return Err(Error::invalid(format!(
                "invalid path {text:?}: expected plain segments, for example /healthz or /internal/*/probe"
            )));
        }
        if rest.split('/').any(|segment| segment == "*") {
            return Ok(Self::Segments(rest.split('/').map(str::to_owned).collect()));
        }
        Ok(Self::Plain(format!("/{rest}")))
    }

    /// Returns `true` if a router may match the path, in whatever spelling, to this pattern.
    pub(super) fn may_cover(&self, path: &str) -> bool {
        let path = percent_decode_str(path).decode_utf8_lossy();
        let mut segments = path.split('/').filter(|segment| !segment.is_empty());
        let mut next_is = |wanted: &str| segments.next().is_some_and(|next| wanted == "*" || wanted == next);
        match self {
            Self::Plain(plain) => plain[1..].split('/').all(&mut next_is),
            Self::Segments(wanted) => wanted.iter().all(|wanted| next_is(wanted)),
        }
    }

    /// Returns `true` if the path as received matches. A path that a router may interpret differently never
    /// matches.
    pub(super) fn covers(&self, path: &str) -> bool {
        self.is_prefix_of(path) && !is_ambiguous(path)
    }

    fn is_prefix_of(&self, path: &str) -> bool {
        match self {
            Self::Plain(plain) => path
                .strip_prefix(plain.as_str())
                .is_some_and(|after| after.is_empty() || after.starts_with('/')),
            Self::Segments(wanted) => {
                let mut segments = path.strip_prefix('/').unwrap_or("").split('/');
                wanted
                    .iter()
                    .all(|wanted| segments.next().is_some_and(|segment| wanted == "*" || wanted == segment))
            }
        }
    }
}

/// Returns `true` if a router may normalize the path to another one.
fn is_ambiguous(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else { return true };
    let trimmed = rest.strip_suffix('/').unwrap_or(rest);
    trimmed.split('/').any(|segment| matches!(segment, "" | "." | "..") || segment.contains(['%', '\\', ';']))
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
    fn ambiguous_paths_are_never_excluded() {
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
    fn ambiguous_paths_are_captured() {
        let pattern = PathPattern::parse("/sales/*/lines").unwrap();
        for path in ["/sales/7/lines", "/s%61les/7/lines/", "//sales//7/lines/1", "/sales%2F7%2Flines"] {
            assert!(pattern.may_cover(path), "{path}");
        }
        assert!(!pattern.may_cover("/sales/7") && !pattern.may_cover("/sales/7/notes"));
    }

    #[test]
    fn a_pattern_that_never_matches_is_rejected() {
        for text in ["docs", "", "/", "/a//b", "/a?b", "/%20"] {
            assert!(PathPattern::parse(text).unwrap_err().is_invalid(), "{text:?}");
        }
    }
}
