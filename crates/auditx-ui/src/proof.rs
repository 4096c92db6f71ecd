//! The proof of an entry on its page.

use std::sync::Arc;

use auditx_reader::{Result, prove, recorded_signer};
use auditx_tlog::{InclusionProof, VerifierKey};
use maud::{Markup, html};

use crate::blocking;
use crate::dashboard::Dashboard;
use crate::guard::Visit;
use crate::layout::visible;
use crate::problem::Problem;

/// Returns the proof of this line as text; the inner error is the reason why there is none.
pub(crate) async fn text(ui: &Dashboard, seq: u64) -> std::result::Result<Result<String>, Problem> {
    let directory = ui.directory().to_path_buf();
    blocking::run(&ui.reads, move || prove(&directory, seq).map(|proof| proof.to_string())).await
}

/// What proves a line, for a page.
#[derive(Debug)]
pub(crate) struct Proof {
    proof: InclusionProof,
    /// The key that the trail names and that signed the checkpoint; `None` if the trail names none.
    key: Option<VerifierKey>,
}

impl Proof {
    /// Proves this line; the inner error is the reason why there is no proof.
    pub(crate) async fn read(ui: &Arc<Dashboard>, seq: u64) -> std::result::Result<Result<Self>, Problem> {
        let owned = ui.clone();
        blocking::run(&ui.reads, move || {
            let proof = prove(owned.directory(), seq)?;
            // The proof is valid without it, and verification says what is wrong with the trail.
            let key = recorded_signer(owned.directory(), proof.checkpoint()).ok().flatten();
            Ok(Self { proof, key })
        })
        .await
    }

    /// Shows the proof, and what the script needs to check it.
    pub(crate) fn markup(&self, visit: &Visit, seq: u64) -> Markup {
        html! {
            p { "Check it on any machine with the key of the trail: " code { "auditx check FILE --key KEY" } }
            pre #proof { (self.proof) }
            p { a href=(format!("{}/api/v1/entries/{seq}/proof", visit.base)) { "Download the proof" } }
            // Shown by the script. The fields have no names, so that a browser could not send them.
            form #check data-seq=(seq) hidden {
                h3 { "Check it in this browser" }
                label {
                    "Verifier key that you were given"
                    input #check-key required autocomplete="off" spellcheck="false";
                }
                p { button { "Check" } }
                @if let Some(key) = &self.key {
                    p {
                        "The trail itself names this key, and whoever can write the trail can name a key: "
                        code #trail-key { (visible(&key.to_string())) }
                    }
                    p { button #check-own type="button" { "Check with the key that the trail names" } }
                }
                ol #check-steps {}
                p #check-outcome role="status" {}
                p.quiet {
                    "The key stays in this tab. The server that sends this page also sends the script that \
                     checks: as evidence, check the downloaded proof on a machine that you trust."
                }
            }
        }
    }
}
