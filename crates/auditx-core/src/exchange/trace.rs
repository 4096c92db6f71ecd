//! Parses the trace id of a request: `traceparent` of W3C Trace Context
//! (<https://www.w3.org/TR/trace-context/>).

/// The length of version, trace id, parent id and flags, with dashes.
const LEN: usize = 55;

/// Returns the trace id, 32 hexadecimal digits. `None` if the header is not valid by the standard.
pub(super) fn trace_id(traceparent: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(traceparent).ok()?;
    let mut parts = text.splitn(5, '-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |part: &str, len| {
        part.len() == len && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_nonzero = |part: &str| part.bytes().any(|byte| byte != b'0');
    let is_valid = is_hex(version, 2)
        && version != "ff"
        // Later versions may append fields; version 00 has no others.
        && (version != "00" || text.len() == LEN)
        && is_hex(trace, 32)
        && is_nonzero(trace)
        && is_hex(parent, 16)
        && is_nonzero(parent)
        && is_hex(flags, 2);
    is_valid.then_some(trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_valid_header_has_a_trace_id() {
        const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
        let of = |text: &str| trace_id(text.as_bytes()).map(str::to_owned);
        assert_eq!(of(&format!("00-{TRACE}-00f067aa0ba902b7-01")).as_deref(), Some(TRACE));
        assert_eq!(of(&format!("01-{TRACE}-00f067aa0ba902b7-01-more")).as_deref(), Some(TRACE));
        for wrong in [
            format!("00-{TRACE}-00f067aa0ba902b7-01-more"),
            format!("ff-{TRACE}-00f067aa0ba902b7-01"),
            format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{TRACE}-00f067aa0ba902b7"),
            String::new(),
        ] {
            assert_eq!(of(&wrong), None, "{wrong}");
        }
    }
}
