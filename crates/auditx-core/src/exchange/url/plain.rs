//! Remembers which routes have no secrets, so that masking the path of most requests is one look-up and one
//! pass over its bytes.

use std::ops::Range;
use std::sync::OnceLock;

use auditx_format::redact::Rules;
use xxhash_rust::xxh3::xxh3_64;

use super::path::Keywords;
use super::route::{Kind, Segments, is_rest, kind};

/// More than the routes of most applications.
const SLOTS: usize = 256;

/// A route is remembered in one of this many slots; the first one that is empty.
const PROBES: usize = 4;

/// What is known of a route under some rules.
#[derive(Debug)]
struct Known {
    rules: u64,
    route: Box<str>,
    /// `None` if masking its paths needs more than a look-up.
    plain: Option<Plain>,
}

/// A route in which every segment is either literal or one parameter that is not secret, and in which no
/// literal segment before a parameter has a keyword.
#[derive(Debug)]
struct Plain {
    segments: usize,
    /// The length of the text before the first parameter.
    literal_len: usize,
    /// The indexes of the first parameter and the last one. What is between them may contain a keyword.
    parameters: Range<usize>,
}

/// The routes seen so far. A route that finds no free slot is analysed again at each request.
#[derive(Debug)]
pub(in crate::exchange) struct PlainRoutes(Box<[OnceLock<Known>]>);

impl Default for PlainRoutes {
    fn default() -> Self {
        Self(std::iter::repeat_with(OnceLock::new).take(SLOTS).collect())
    }
}

/// A clone is empty.
impl Clone for PlainRoutes {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PlainRoutes {
    /// Returns `true` if the path of a request to `route` has no secrets. `false` if that needs a closer look.
    pub(in crate::exchange) fn cover(&self, path: &str, route: &str, rules: &Rules) -> bool {
        self.plain(route, rules).is_some_and(|plain| plain.covers(path, route, rules))
    }

    fn plain(&self, route: &str, rules: &Rules) -> Option<&Plain> {
        let first = usize::try_from(xxh3_64(route.as_bytes()) % SLOTS as u64).unwrap_or(0);
        (first..first + PROBES)
            .map(|slot| self.0[slot % SLOTS].get_or_init(|| Known::of(route, rules)))
            .find(|known| known.rules == rules.number() && *known.route == *route)?
            .plain
            .as_ref()
    }
}

impl Known {
    fn of(route: &str, rules: &Rules) -> Self {
        Self { rules: rules.number(), route: route.into(), plain: Plain::of(route, rules) }
    }
}

impl Plain {
    fn of(route: &str, rules: &Rules) -> Option<Self> {
        let mut plain = Self { segments: 0, literal_len: route.len(), parameters: 0..0 };
        let (mut keywords, mut segments) = (Keywords::default(), Segments(route));
        while let Some(segment) = segments.next() {
            match kind(segment, rules) {
                _ if is_rest(segment) => return None,
                Kind::Literal => {}
                Kind::Open if keywords.are_active() => return None,
                Kind::Open => {
                    let start = route.len() - segments.0.len() - segment.len();
                    if start < plain.literal_len {
                        (plain.literal_len, plain.parameters.start) = (start, plain.segments);
                    }
                    plain.parameters.end = plain.segments;
                }
                Kind::Secret(_) | Kind::SecretRest => return None,
            }
            keywords.read(segment, rules);
            plain.segments += 1;
        }
        Some(plain)
    }

    fn covers(&self, path: &str, route: &str, rules: &Rules) -> bool {
        // Escapes and values within a segment need a closer look.
        let is_special = |byte: u8| matches!(byte, b'%' | b'=' | b'?' | b'#');
        let has_keyword = |segment: &str| {
            let mut keywords = Keywords::default();
            keywords.read(segment, rules);
            keywords.are_active()
        };
        if path.bytes().fold(false, |found, byte| found | is_special(byte))
            || !path.as_bytes().starts_with(&route.as_bytes()[..self.literal_len])
        {
            return false;
        }
        if self.parameters.is_empty() {
            return count_segments(path) == self.segments;
        }
        let mut segments = path.split('/').filter(|segment| !segment.is_empty()).enumerate();
        let count = segments.try_fold(0, |_, (index, segment)| {
            (!self.parameters.contains(&index) || !has_keyword(segment)).then_some(index + 1)
        });
        count == Some(self.segments)
    }
}

/// Returns the number of segments that are not empty.
fn count_segments(path: &str) -> usize {
    let mut previous = b'/';
    path.bytes().fold(0, |count, byte| {
        let begins = byte != b'/' && previous == b'/';
        previous = byte;
        count + usize::from(begins)
    })
}

#[cfg(test)]
mod tests {
    use auditx_format::redact::Redaction;

    use super::super::push_path;
    use super::*;

    fn rules() -> Rules {
        Redaction::default().compile().unwrap()
    }

    #[test]
    fn what_is_covered_is_not_masked() {
        let (rules, routes) = (rules(), PlainRoutes::default());
        let patterns = [
            "/",
            "/sales",
            "/sales/{id}",
            "/reset/{a}",
            "/reset/{a}/x/y/{b}",
            "/x/{token}",
            "/{a}/{b}",
            "/{a}/x/{b}",
            "/files/{*rest}",
            "/{a}-{b}/{c}",
            "/token",
            "/{id}/reset",
            "/:id/x",
            "/reset/x/y/z/{a}",
        ];
        let values = ["7", "reset", "S7x9k2", "token", "a%2Fb", "x;jsessionid=S", "", "sales", "x"];
        let mut covered = 0;
        for pattern in patterns {
            let count = Segments(pattern).count();
            for number in 0..values.len().pow(4) {
                let value = |place: u32| values[number / values.len().pow(place) % values.len()];
                let path: String = (0..4).map(|place| format!("/{}", value(place))).collect();
                let path: String = path.split_inclusive('/').take(count + 1).collect();
                if routes.cover(&path, pattern, &rules) {
                    let mut masked = String::new();
                    push_path(&mut masked, &path, Some(pattern), &rules, 0);
                    assert_eq!(masked, path, "{pattern}");
                    covered += 1;
                }
            }
        }
        assert!(covered > 1000, "{covered}");
    }

    #[test]
    fn ordinary_routes_are_covered() {
        let (rules, routes) = (rules(), PlainRoutes::default());
        for (path, route) in [
            ("/sales/invoice/42", "/sales/invoice/{id}"),
            ("/companies/CO-001/branches/BR-YGN", "/companies/{company}/branches/:branch"),
            ("/orders/7/confirm", "/orders/<id>/confirm"),
        ] {
            assert!(routes.cover(path, route, &rules), "{path}");
        }
        let others = Redaction::default().deny("id").compile().unwrap();
        assert!(!routes.cover("/sales/invoice/42", "/sales/invoice/{id}", &others));
    }

    #[test]
    fn more_routes_than_slots_are_covered_or_not() {
        let (rules, routes) = (rules(), PlainRoutes::default());
        let covered = (0..2 * SLOTS).filter(|number| {
            let (route, other) = (format!("/r{number}/{{id}}"), format!("/r{number}/{{token}}"));
            let path = format!("/r{number}/1");
            assert!(!routes.cover(&path, &other, &rules));
            routes.cover(&path, &route, &rules)
        });
        assert!((SLOTS / 4..SLOTS).contains(&covered.count()));
    }
}
