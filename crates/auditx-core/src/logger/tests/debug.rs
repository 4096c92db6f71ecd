//! Tests of the `Debug` form of public handles: one short line, without internals.

use auditx_store::Cursor;

use super::*;
use crate::Config;

#[test]
fn the_debug_form_of_a_handle_is_one_short_line() {
    let directory = tempfile::tempdir().unwrap();
    let config = Config::new(directory.path());
    let logger = AuditLogger::open(config).unwrap();
    let receipt = logger.log("Goods received").record().unwrap();
    let builder = logger.log("Goods received").user("admin").metadata("party", "Golden Trading Co.");
    let context = RequestContext::new().user("admin").company_id("CO-001");
    logger.close(TIMEOUT).unwrap();
    let restored = directory.path().join("restored");
    let restored =
        auditx_store::RestoredTrail::create(&restored, &format!("o/auditx/{:032x}", 7), 0).unwrap();
    let shown = [
        ("AuditLogger", format!("{logger:?}")),
        ("Receipt", format!("{receipt:?}")),
        ("EntryBuilder", format!("{builder:?}")),
        ("RequestContext", format!("{context:?}")),
        ("TrailReader", format!("{:?}", TrailReader::new(directory.path(), 0))),
        ("Cursor", format!("{:?}", Cursor::of_shipper(directory.path(), "postgres").unwrap())),
        ("RestoredTrail", format!("{restored:?}")),
        ("Tiles", format!("{:?}", auditx_store::Tiles::open(directory.path()))),
        ("SignedCheckpoint", format!("{:?}", logger.checkpoint().unwrap())),
        ("TestTrail", format!("{:?}", crate::testing::TestTrail::new())),
    ];
    for (name, shown) in &shown {
        assert!(shown.starts_with(name), "{shown}");
        assert!(shown.len() <= 200 && !shown.contains('\n'), "{} bytes: {shown}", shown.len());
    }
    let receipt = &shown[1].1;
    assert!(receipt.contains("id: 0") && receipt.contains("position: "), "{receipt}");
}
