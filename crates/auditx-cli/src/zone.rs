//! `--tz`: the time zone in which times are read and shown.

use auditx_reader::{Moment, TimeBase, Zone};

/// `--tz`.
#[derive(Debug, clap::Args)]
pub(crate) struct Zoned {
    /// Time zone for times without an offset and for shown times: an IANA name such as Asia/Yangon, an offset
    /// such as +06:30, local (from TZ or the system), or utc. JSON and raw output stay in UTC [default: utc]
    #[arg(
        long,
        value_name = "ZONE",
        env = "AUDITX_TZ",
        hide_env_values = true,
        allow_hyphen_values = true,
        help_heading = "Selection"
    )]
    tz: Option<Zone>,
}

impl Zoned {
    pub(crate) fn zone(&self) -> Zone {
        self.tz.clone().unwrap_or_default()
    }

    /// Returns the base for relative times and times without an offset.
    pub(crate) fn base(&self, now: Moment) -> TimeBase {
        TimeBase::new(now, self.zone())
    }
}
