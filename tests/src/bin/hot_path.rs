//! Records COUNT entries on its main thread between the output of `begin` and `end`, so that the test can
//! count the system calls in between: `hot_path DIRECTORY COUNT`.

use auditx_core::{
    AuditAction, AuditLogger, BusinessModule, Config, Durability, JournalKind, RequestContext,
};
use auditx_tests::report::print_line;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, directory, count] = arguments.as_slice() else { panic!("usage: hot_path DIRECTORY COUNT") };
    let count: u64 = count.parse().expect("the count is a number");
    let config = Config::new(directory).journal(JournalKind::Ring).durability(Durability::Os);
    let logger = AuditLogger::open(config).expect("the trail opens");
    let context = RequestContext::new().user("admin").company_id("CO-001").ip([192, 168, 1, 10].into());
    let _scope = context.enter();
    let record = |number: u64| {
        logger
            .log_transaction(
                "Sales invoice posted",
                BusinessModule::Sales,
                AuditAction::Post,
                "SI-2026-0042",
                1_250_000 + number,
            )
            .entity("sales_invoice", "inv-42")
            .party("Golden Trading Co.")
            .record()
            .expect("the entry is accepted")
    };
    record(0).wait_durable().expect("the disk works");
    (1..100).for_each(|number| drop(record(number)));
    print_line(&"begin");
    (100..100 + count).for_each(|number| drop(record(number)));
    print_line(&"end");
    logger.close(std::time::Duration::from_secs(60)).expect("the trail closes");
}
