//! `--tz`: the time zone in which times are read and shown.

use auditx_reader::{Moment, TimeBase, Zone};

/// In which time zone.
#[derive(Debug, clap::Args)]
pub(crate) struct Zoned {
    /// Reads times without an offset, and shows times, in this zone: an IANA name such as Asia/Yangon, an
    /// offset such as +06:30, local (what TZ or the machine says), or utc. JSON and raw stay in UTC
    /// [default: utc]
    #[arg(
        long,
        value_name = "ZONE",
        env = "AUDITX_TZ",
        hide_env_values = true,
        allow_hyphen_values = true,
        help_heading = "Which entries"
    )]
    tz: Option<Zone>,
}

impl Zoned {
    pub(crate) fn zone(&self) -> Zone {
        self.tz.clone().unwrap_or_default()
    }

    /// What times are relative to.
    pub(crate) fn base(&self, now: Moment) -> TimeBase {
        TimeBase::new(now, self.zone())
    }
}
