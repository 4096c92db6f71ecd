//! The proof of an entry on its page.

use maud::{Markup, html};

use crate::blocking;
use crate::dashboard::Dashboard;
use crate::guard::Visit;
use crate::layout::visible;
use crate::problem::Problem;
use crate::source::Proof;

/// Proves this line; the inner error is the reason why there is no proof.
pub(crate) async fn read(
    ui: &Dashboard,
    visit: &Visit,
    trail: &str,
    seq: u64,
) -> Result<Result<Proof, Problem>, Problem> {
    let (source, viewer, trail) = (ui.shown().clone(), visit.viewer.clone(), trail.to_owned());
    blocking::run(&ui.reads, move || Ok(source.one(&trail, &viewer)?.proof(seq, &viewer))).await?
}

/// Shows a proof, and what the script needs to check it.
pub(crate) fn shown(proof: &Proof, address: &str, seq: u64) -> Markup {
    html! {
        p { "Check it on any machine with the key of the trail: " code { "auditx check FILE --key KEY" } }
        pre #proof { (proof.proof) }
        p { a href=(address) { "Download the proof" } }
        // Shown by the script. The fields have no names, so that a browser could not send them.
        form #check data-seq=(seq) hidden {
            h3 { "Check it in this browser" }
            label {
                "Verifier key that you were given"
                input #check-key required autocomplete="off" spellcheck="false";
            }
            p { button { "Check" } }
            @if let Some(key) = &proof.key {
                p {
                    "The trail itself names this key, and everyone who can write the trail can name a key: "
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
