//! Records and waits for durable receipts while another process changes its files:
//! `durable_writer DIRECTORY ROUND`.

use std::path::Path;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, directory, round] = arguments.as_slice() else { panic!("usage: durable_writer DIRECTORY ROUND") };
    auditx_tests::interference::record(Path::new(directory), round.parse().expect("the round is a number"));
}
