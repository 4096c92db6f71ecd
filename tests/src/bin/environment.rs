//! Records through the process-wide logger, configured only by environment variables.

use std::time::Duration;

use auditx_core::audit;

fn main() {
    audit()
        .log("Goods \u{1b}[2Jreceived\nby \u{202e}night")
        .user("admin")
        .record()
        .expect("the entry is accepted");
    audit()
        .log_security("Login failed")
        .user("admin")
        .success(false)
        .record()
        .expect("the entry is accepted");
    audit().close(Duration::from_secs(60)).expect("the trail closes");
}
