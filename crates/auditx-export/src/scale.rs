//! Maps levels to the severity scale of each schema.

use auditx_format::vocabulary::LogLevel;

/// 0 unknown, 1 informational, 2 low, 3 medium, 4 high, 5 critical.
pub(crate) fn ocsf(level: Option<LogLevel>) -> usize {
    match level {
        None => 0,
        Some(LogLevel::Warning) => 2,
        Some(LogLevel::Error) => 3,
        Some(LogLevel::Security) => 4,
        Some(LogLevel::Critical) => 5,
        Some(_) => 1,
    }
}

/// CEF's scale from 0 to 10, also used for ECS's `event.severity`.
pub(crate) fn tenths(level: Option<LogLevel>) -> u64 {
    match level {
        Some(LogLevel::Debug) => 0,
        Some(LogLevel::Normal) => 2,
        Some(LogLevel::Audit) => 3,
        Some(LogLevel::Warning) => 5,
        Some(LogLevel::Error) => 6,
        Some(LogLevel::Security) => 8,
        Some(LogLevel::Critical) => 10,
        Some(_) | None => 1,
    }
}

/// RFC 5424, section 6.2.1: from 7 (debug) down to 2 (critical).
pub(crate) fn syslog(level: Option<LogLevel>) -> u64 {
    match level {
        Some(LogLevel::Debug) => 7,
        Some(LogLevel::Audit) => 5,
        Some(LogLevel::Warning) => 4,
        Some(LogLevel::Error | LogLevel::Security) => 3,
        Some(LogLevel::Critical) => 2,
        Some(_) | None => 6,
    }
}

/// OpenTelemetry's `SeverityNumber`: 5 debug, 9 info, 13 warn, 17 error, 21 fatal; 0 unspecified.
pub(crate) fn otel(level: Option<LogLevel>) -> u64 {
    match level {
        None => 0,
        Some(LogLevel::Debug) => 5,
        Some(LogLevel::Warning) => 13,
        Some(LogLevel::Error | LogLevel::Security) => 17,
        Some(LogLevel::Critical) => 21,
        Some(_) => 9,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_scale_ranks_a_more_severe_level_lower() {
        for pair in LogLevel::ALL.windows(2) {
            let [lower, higher] = [pair[0], pair[1]].map(Some);
            assert!(ocsf(lower) <= ocsf(higher) && tenths(lower) < tenths(higher), "{pair:?}");
            assert!(otel(lower) <= otel(higher) && syslog(lower) >= syslog(higher), "{pair:?}");
        }
    }
}
