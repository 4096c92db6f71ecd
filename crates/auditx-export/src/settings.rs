//! The settings of the output, with their defaults.

use crate::column::Column;
use crate::framing::Framing;

/// Reserved for documentation by RFC 5612.
const EXAMPLE_ENTERPRISE: u32 = 32_473;

/// The settings of all formats; each format uses those that apply to it.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) framing: Framing,
    pub(crate) product_version: String,
    pub(crate) service_name: String,
    pub(crate) default_hostname: String,
    pub(crate) enterprise_number: u32,
    pub(crate) columns: Vec<Column>,
    pub(crate) has_trail_column: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            framing: Framing::default(),
            product_version: env!("CARGO_PKG_VERSION").to_owned(),
            service_name: "auditx".to_owned(),
            default_hostname: String::new(),
            enterprise_number: EXAMPLE_ENTERPRISE,
            columns: Column::ALL.to_vec(),
            has_trail_column: false,
        }
    }
}
