//! Records through the process-wide logger and ends in the given way without calling `close`:
//! `leave DIRECTORY WAY`.
//!
//! Prints a report of each accepted entry, then `leaving`.

use std::time::Duration;

use auditx_core::{Config, audit, configure};
use auditx_tests::report::{Report, print_line, record_forever};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, directory, way] = arguments.as_slice() else { panic!("usage: leave DIRECTORY WAY") };
    configure(Config::new(directory)).expect("the trail opens");
    for number in 0..100 {
        let report = Report { round: 0, thread: 0, number };
        audit().log(report.to_string()).record().expect("the entry is accepted");
        print_line(&report);
    }
    if way.ends_with("-while-others-record") {
        for thread in 1..4 {
            std::thread::spawn(move || record_forever(audit(), 0, thread));
        }
        auditx_tests::deadline::wait_until("entries of other threads", || audit().metrics().accepted > 500);
    }
    print_line(&"leaving");
    match way.as_str() {
        "return" | "return-while-others-record" => {}
        "exit" | "exit-while-others-record" => std::process::exit(7),
        "panic" => {
            // The panic is intended; its message would only clutter the test's output.
            std::panic::set_hook(Box::new(|_| {}));
            panic!("on purpose");
        }
        "abort" => std::process::abort(),
        "stay" => loop {
            std::thread::sleep(Duration::from_secs(3_600));
        },
        other => panic!("unknown way {other:?}"),
    }
}
