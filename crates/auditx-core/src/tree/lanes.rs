//! SHA-256 (FIPS 180-4) of many messages, two side by side where the processor has instructions for it.
//!
//! One message keeps those instructions waiting: each round needs the one before. The rounds of another message fill the
//! gaps, in nearly no more time. A lane whose message ends takes the next one, so that lengths need not be alike.
//!
//! Comes in: messages. Goes out: their hashes, in order, the same ones as of any SHA-256. Without the instructions, `sha2`
//! hashes one message after the other.

use sha2::{Digest, Sha256};

use super::{Hash, LEAF_PREFIX, NODE_PREFIX};

#[cfg(target_arch = "x86_64")]
mod x86;

/// What is to be hashed. The messages of one kind begin with the same byte, which is not part of what stands here.
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

/// Gives the messages back where the processor lacks the instructions.
#[cfg(target_arch = "x86_64")]
#[expect(
    unsafe_code,
    reason = "only this call knows that the processor has what the functions behind it use"
)]
fn hash_in_pairs<'i, 'l>(messages: Messages<'i, 'l>, hashes: &mut Vec<Hash>) -> Result<(), Messages<'i, 'l>> {
    let is_able = is_x86_feature_detected!("sha")
        && is_x86_feature_detected!("sse2")
        && is_x86_feature_detected!("ssse3")
        && is_x86_feature_detected!("sse4.1");
    if !is_able {
        return Err(messages);
    }
    // SAFETY: the four features that the function is compiled for were all detected just now.
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
