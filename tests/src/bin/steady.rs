//! Records COUNT entries and waits for every twenty-fifth to be durable: `steady DIRECTORY COUNT`.
//!
//! Prints `accepted N` for each entry and `durable N` for each durable receipt. If an entry is refused, it
//! prints `refused N: why` and exits. Never calls `close`.

use auditx_core::{AuditLogger, Config, JournalKind};
use auditx_tests::report::print_line;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, directory, count] = arguments.as_slice() else { panic!("usage: steady DIRECTORY COUNT") };
    let count: u64 = count.parse().expect("the count is a number");
    let config =
        Config::new(directory).journal(JournalKind::Ring).journal_bytes(256 * 1024).max_file_bytes(65_536);
    let logger = AuditLogger::open(config).expect("the trail opens");
    print_line(&"opened");
    for number in 0..count {
        let recorded = logger.log(number.to_string()).metadata("pad", "x".repeat(1_000)).record();
        let durable = recorded.and_then(|receipt| {
            print_line(&format!("accepted {number}"));
            if number % 25 == 24 { receipt.wait_durable().map(Some) } else { Ok(None) }
        });
        match durable {
            Ok(None) => {}
            Ok(Some(_)) => print_line(&format!("durable {number}")),
            Err(error) => {
                print_line(&format!("refused {number}: {error}"));
                std::process::exit(3);
            }
        }
    }
    print_line(&"done");
    // Ends without closing the trail.
    std::process::abort();
}
