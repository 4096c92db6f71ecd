//! SHA-256 (FIPS 180-4) of many messages, two at a time where the processor has SHA instructions.
//!
//! A single message cannot keep those instructions busy, because each round depends on the previous one. The
//! rounds of a second message fill the gaps at almost no cost. When the message in one lane ends, the lane
//! takes the next message, so lengths may differ.
//!
//! The hashes come out in order and equal those of any SHA-256 implementation. Without the instructions,
//! `sha2` hashes one message after the other.

use sha2::{Digest, Sha256};

use super::{Hash, LEAF_PREFIX, NODE_PREFIX};

#[cfg(target_arch = "x86_64")]
mod x86;

/// The messages to hash. All messages of a kind begin with the same prefix byte, which is not stored here.
pub(super) enum Messages<'i, 'l> {
    Leaves(&'i mut dyn Iterator<Item = &'l [u8]>),
    Nodes(&'l [[Hash; 2]]),
}

/// Appends the hash of each message.
pub(super) fn hash(messages: Messages<'_, '_>, hashes: &mut Vec<Hash>) {
    #[cfg(target_arch = "x86_64")]
    let Err(messages) = hash_in_pairs(messages, hashes) else { return };
    hash_singly(messages, hashes);
}

/// Hashes in two lanes. Returns the messages in `Err` if the processor lacks the instructions.
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "the call is sound only after the feature detection in this function")]
fn hash_in_pairs<'i, 'l>(messages: Messages<'i, 'l>, hashes: &mut Vec<Hash>) -> Result<(), Messages<'i, 'l>> {
    let is_supported = is_x86_feature_detected!("sha")
        && is_x86_feature_detected!("sse2")
        && is_x86_feature_detected!("ssse3")
        && is_x86_feature_detected!("sse4.1");
    if !is_supported {
        return Err(messages);
    }
    // SAFETY: the four target features that the function requires were all detected above.
    unsafe { x86::hash(messages, hashes) };
    Ok(())
}

fn hash_singly(messages: Messages<'_, '_>, hashes: &mut Vec<Hash>) {
    let one =
        |prefix: u8, message: &[u8]| Sha256::new().chain_update([prefix]).chain_update(message).finalize();
    match messages {
        Messages::Leaves(lines) => hashes.extend(lines.map(|line| Hash::from(one(LEAF_PREFIX, line)))),
        Messages::Nodes(pairs) => {
            hashes.extend(pairs.iter().map(|pair| Hash::from(one(NODE_PREFIX, pair.as_flattened()))));
        }
    }
}

#[cfg(test)]
mod tests;
