//! Levels that change at run time.

use std::sync::{Arc, Mutex};

use tracing::{debug, error, info, warn};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{fmt, registry};

use crate::fixture::Fixture;

/// Uses the same callsites each time: the levels that they cache must change as well.
fn emit_all() {
    debug!(target: "erp::sales", "sales debug");
    info!(target: "erp::sales", "sales info");
    info!(target: "sqlx::query", "sqlx info");
    warn!(target: "sqlx::query", "sqlx warn");
    error!(target: "sqlx::query", "sqlx error");
}

#[test]
fn level_changes_apply_to_callsites_that_were_used_before() {
    let fixture = Fixture::new();
    let (layer, levels) = fixture.layer().with_levels("info,sqlx=warn").unwrap();
    let mut seen = 0;
    let mut new = || {
        let messages = fixture.messages().split_off(seen);
        seen += messages.len();
        messages
    };
    fixture.run(layer, || {
        emit_all();
        assert_eq!(new(), ["sales info", "sqlx warn", "sqlx error"]);
        levels.set("debug").unwrap();
        emit_all();
        assert_eq!(new(), ["sales debug", "sales info", "sqlx info", "sqlx warn", "sqlx error"]);
        let from_elsewhere = levels.clone();
        std::thread::spawn(move || from_elsewhere.set(" off , sqlx = error ")).join().unwrap().unwrap();
        emit_all();
        assert_eq!(new(), ["sqlx error"]);
        assert_eq!(levels.current().unwrap(), "sqlx=error,off");
        levels.set("off").unwrap();
        emit_all();
        assert_eq!(new(), [""; 0]);
        levels.set("sqlx=off,TRACE").unwrap();
        emit_all();
        assert_eq!(new(), ["sales debug", "sales info"]);
    });
}

#[test]
fn an_invalid_directive_is_quoted_and_changes_nothing() {
    let fixture = Fixture::new();
    let (layer, levels) = fixture.layer().with_levels("warn").unwrap();
    fixture.run(layer, || {
        for (directives, named) in [
            ("info,sqlx=loud", r#"invalid level "loud" in "sqlx=loud""#),
            ("inof", r#"invalid directive "inof": expected target=level or a level"#),
            ("info,,sqlx=warn", r#"invalid directive """#),
            ("", r#"invalid directive """#),
            ("sqlx=", r#"invalid level "" in "sqlx=""#),
            ("=warn", r#"invalid target "" in "=warn""#),
            ("sqlx=warn=info", r#"invalid level "warn=info" in "sqlx=warn=info""#),
            ("erp[request]=info", r#"invalid target "erp[request]" in "erp[request]=info""#),
            ("3", r#"invalid directive "3""#),
        ] {
            let error = levels.set(directives).unwrap_err();
            assert!(error.is_directive() && !error.is_gone(), "{directives}");
            assert!(error.to_string().contains(named), "{directives}: {error}");
            assert!(
                error.to_string().contains("off, error, warn, info, debug or trace")
                    || named.contains("target")
            );
        }
        assert_eq!(levels.current().unwrap(), "warn");
        emit_all();
    });
    assert_eq!(fixture.messages(), ["sqlx warn", "sqlx error"]);
    assert!(fixture.layer().with_levels::<tracing_subscriber::Registry>("a=b").is_err());
}

#[test]
fn levels_of_a_dropped_subscriber_cannot_be_set() {
    let fixture = Fixture::new();
    let (layer, levels) = fixture.layer().with_levels("warn").unwrap();
    fixture.run(layer, emit_all);
    assert!(levels.set("info").unwrap_err().is_gone());
    assert!(levels.current().unwrap_err().is_gone());
    assert!(format!("{levels:?}").contains("has been dropped"));
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Written {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[test]
fn a_fmt_layer_keeps_its_own_levels() {
    let fixture = Fixture::new();
    let written = Written::default();
    let (layer, levels) = fixture.layer().with_levels("error").unwrap();
    let printing = fmt::layer().with_ansi(false).with_writer(written.clone()).with_filter(LevelFilter::INFO);
    tracing::subscriber::with_default(registry().with(printing).with(layer), || {
        emit_all();
        levels.set("debug").unwrap();
        debug!("only in app.log");
        levels.set("off").unwrap();
        info!("only printed");
    });
    assert_eq!(fixture.messages(), ["sqlx error", "only in app.log"]);
    let printed = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    assert_eq!(printed.lines().count(), 5, "{printed}");
    assert!(printed.contains("sales info") && printed.contains("only printed"), "{printed}");
}

#[test]
fn levels_never_hide_events_recorded_as_entries() {
    let fixture = Fixture::new();
    let (layer, levels) = fixture.layer().entries(true).with_levels("off").unwrap();
    fixture.run(layer, || {
        debug!(target: "audit", "first");
        levels.set("audit=off,error").unwrap();
        info!(target: "audit", "second");
        info!(target: "auditx_tower", "another target");
        info!(target: "audit::deeper", "another one");
    });
    let recorded: Vec<String> = fixture.trail.entries().into_iter().map(|entry| entry.description).collect();
    assert_eq!(recorded, ["first", "second"]);
    assert_eq!(fixture.messages(), [""; 0]);
}
