//! The example of the specification, and bodies that must be refused.

use super::*;
use crate::key::SigningKey;
use crate::tree::{CompactRange, NodeIndex, leaf_hash};

/// The example of C2SP tlog-witness.
const EXAMPLE: &str = "old 20852014\n\
    PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n\
    jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n\
    5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n\
    /6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n\
    \n\
    example.com/behind-the-sofa\n\
    20852163\n\
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\
    \n\
    — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
    — example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=\n";

#[test]
fn the_published_example_reads_back() {
    let submission = Submission::parse(EXAMPLE.as_bytes()).unwrap();
    assert_eq!((submission.old_size(), submission.checkpoint().size()), (20_852_014, 20_852_163));
    assert_eq!(submission.to_string(), EXAMPLE);
}

#[test]
fn a_submission_extends_only_the_tree_from_which_its_proof_leads() {
    let key = SigningKey::generate();
    let leaves: Vec<Hash> = (0..13_u8).map(|number| leaf_hash(&[number])).collect();
    let root = |size: usize| {
        let mut tree = CompactRange::new(0);
        tree.extend(&leaves[..size], &mut |_, _, _| {});
        tree.root().unwrap()
    };
    let node = |level: u8, index: u64| {
        let (begin, width) = (usize::try_from(index).unwrap() << level, 1 << level);
        let mut tree = CompactRange::new(0);
        tree.extend(&leaves[begin..begin + width], &mut |_, _, _| {});
        tree.root().unwrap()
    };
    let checkpoint = SignedCheckpoint::sign("log", 13, &root(13), &[&key]).unwrap();
    for old in 1..=13_u8 {
        let read = &mut |nodes: &[NodeIndex]| {
            Ok::<_, Error>(nodes.iter().map(|(level, index)| node(*level, *index)).collect())
        };
        let submission = Submission::make(old.into(), checkpoint.clone(), read).unwrap();
        let mut read = Submission::parse(submission.to_string().as_bytes()).unwrap();
        assert!(read.extends(&root(old.into())), "{old}");
        assert!(!read.extends(&[0; 32]), "{old}");
        read.proof.push([0; 32]);
        assert!(!read.extends(&root(old.into())), "{old}");
        // Nodes of another tree.
        let wrong = &mut |nodes: &[NodeIndex]| Ok::<_, Error>(vec![[1; 32]; nodes.len()]);
        let made = Submission::make(old.into(), checkpoint.clone(), wrong);
        assert!(old == 13 || made.unwrap_err().is_corrupt(), "{old}");
    }
    let none = &mut |_: &[NodeIndex]| Ok::<_, Error>(Vec::new());
    assert!(Submission::make(14, checkpoint.clone(), none).unwrap_err().is_invalid());
    let mut first = Submission::make(0, checkpoint, none).unwrap();
    assert!(first.extends(&[0; 32]));
    first.proof.push([0; 32]);
    assert!(!first.extends(&[0; 32]));
    // The empty tree has one root.
    for (root, is_right) in [(root(0), true), ([9; 32], false)] {
        let empty = SignedCheckpoint::sign("log", 0, &root, &[&key]).unwrap();
        assert_eq!(Submission::make(0, empty, none).unwrap().extends(&[0; 32]), is_right);
    }
}

#[test]
fn malformed_submissions_are_refused() {
    let hash = "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n";
    let (_, rest) = EXAMPLE.split_once('\n').unwrap();
    let (_, note) = EXAMPLE.split_once("\n\n").unwrap();
    for (body, why) in [
        (String::new(), "it has no checkpoint"),
        (format!("old 020852014\n{rest}"), "does not begin with the old size"),
        (format!("old +1\n{rest}"), "does not begin with the old size"),
        (format!("new 1\n{rest}"), "does not begin with the old size"),
        (format!("old 20852164\n{rest}"), "larger than the checkpoint"),
        (format!("old 1\nabc\n\n{note}"), "base64"),
        (format!("old 1\n{}\n{note}", hash.repeat(64)), "more than 63"),
        (EXAMPLE.replace("20852163", "020852163"), "not a signed checkpoint"),
    ] {
        let error = Submission::parse(body.as_bytes()).unwrap_err();
        assert!(error.is_corrupt() && error.to_string().contains(why), "{body}: {error}");
    }
    assert!(Submission::parse(format!("old 1\n{}\n{note}", hash.repeat(63)).as_bytes()).is_ok());
}
