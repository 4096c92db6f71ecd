//! Records so many entries, waits for the disk now and then, and says what it was told: `steady DIRECTORY COUNT`.
//!
//! For each entry `accepted N`, after each twenty-fifth `durable N`; where something is refused `refused N: why`, and then it
//! ends. It never calls `close`.

use auditx_core::{AuditLogger, Config, JournalKind};
use auditx_tests::report::say;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, directory, count] = arguments.as_slice() else { panic!("usage: steady DIRECTORY COUNT") };
    let count: u64 = count.parse().expect("the count is a number");
    let config =
        Config::new(directory).journal(JournalKind::Ring).journal_bytes(256 * 1024).max_file_bytes(65_536);
    let logger = AuditLogger::open(config).expect("the trail opens");
    say(&"opened");
    for number in 0..count {
        let recorded = logger.log(number.to_string()).metadata("pad", "x".repeat(1_000)).record();
        let durable = recorded.and_then(|receipt| {
            say(&format!("accepted {number}"));
            if number % 25 == 24 { receipt.wait_durable().map(Some) } else { Ok(None) }
        });
        match durable {
            Ok(None) => {}
            Ok(Some(_)) => say(&format!("durable {number}")),
            Err(error) => {
                say(&format!("refused {number}: {error}"));
                std::process::exit(3);
            }
        }
    }
    say(&"done");
    // As a process ends that nobody has time to close.
    std::process::abort();
}
