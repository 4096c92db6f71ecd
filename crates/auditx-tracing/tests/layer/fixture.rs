//! A trail for one test, with access to its entries and to app.log.

use auditx_core::StoredEntry;
use auditx_core::testing::TestTrail;
use auditx_tracing::AuditTracingLayer;
use serde_json::{Map, Value};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry, registry};

pub(crate) struct Fixture {
    pub(crate) trail: TestTrail,
}

/// A line of app.log.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) level: String,
    pub(crate) message: String,
    pub(crate) fields: Map<String, Value>,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self { trail: TestTrail::new() }
    }

    pub(crate) fn layer(&self) -> AuditTracingLayer {
        AuditTracingLayer::new().logger(self.trail.logger().clone())
    }

    /// Runs the work with a subscriber that has only this layer.
    pub(crate) fn run<T>(
        &self,
        layer: impl Layer<Registry> + Send + Sync + 'static,
        work: impl FnOnce() -> T,
    ) -> T {
        tracing::subscriber::with_default(registry().with(layer), work)
    }

    pub(crate) fn app_log(&self) -> String {
        std::fs::read_to_string(self.trail.directory().join("app.log")).unwrap_or_default()
    }

    pub(crate) fn lines(&self) -> Vec<Line> {
        self.app_log().lines().map(Line::parse).collect()
    }

    /// Returns the only line; panics if there is not exactly one.
    pub(crate) fn line(&self) -> Line {
        let mut lines = self.lines();
        assert_eq!(lines.len(), 1, "{lines:?}");
        lines.remove(0)
    }

    pub(crate) fn messages(&self) -> Vec<String> {
        self.lines().into_iter().map(|line| line.message).collect()
    }

    /// Returns the only entry; panics if there is not exactly one.
    pub(crate) fn entry(&self) -> StoredEntry {
        let mut entries = self.trail.entries();
        assert_eq!(entries.len(), 1, "{entries:?}");
        entries.remove(0)
    }
}

impl Line {
    fn parse(line: &str) -> Self {
        let (_time, rest) = line.split_once(" | ").unwrap();
        let (level, rest) = rest.split_once(" | ").unwrap();
        let (message, fields) = rest.rsplit_once(" | ").unwrap();
        Self {
            level: level.to_owned(),
            message: message.to_owned(),
            fields: serde_json::from_str(fields).unwrap(),
        }
    }
}
