//! What the other side may say, and how much of it is held.

use super::{Descent, LISTED_AT_ONCE, Node, Question};
use crate::sync::compare::compare;
use crate::wire::frame::RowSum;
use crate::wire::session::MAX_NODES;
use crate::wire::tally::{BRANCHES, Children, LEVELS, Prefix};

const NONE: Children = [RowSum { rows: 0, sum: 0 }; BRANCHES];

fn node(prefix: Prefix, there: RowSum) -> Node {
    let rows = there.rows;
    Node {
        prefix,
        there,
        rows,
    }
}

#[test]
fn children_that_do_not_add_up_to_their_node_are_a_contradiction() {
    let said = |children: &[(usize, u64, u128)]| {
        let mut all = NONE;
        for (at, rows, sum) in children {
            all[*at] = RowSum {
                rows: *rows,
                sum: *sum,
            };
        }
        let root = RowSum { rows: 5, sum: 9 };
        compare(&[node(Prefix::ROOT, root)], &[NONE], &[all]).is_ok()
    };
    for (name, children, holds) in [
        ("all of it", vec![(3, 5, 9)], true),
        ("in parts", vec![(0, 2, 4), (15, 3, 5)], true),
        (
            "sums beyond their end",
            vec![(0, 2, u128::MAX), (1, 3, 10)],
            true,
        ),
        ("a row too many", vec![(0, 2, 4), (1, 4, 5)], false),
        ("none of it", vec![], false),
        ("another sum", vec![(0, 5, 8)], false),
        (
            "rows beyond their end",
            vec![(0, u64::MAX, 9), (1, 6, 0)],
            false,
        ),
        ("a sum of no rows", vec![(0, 5, 4), (1, 0, 5)], false),
    ] {
        assert_eq!(said(&children), holds, "{name}");
    }
}

/// Answers every question as if `rows` rows were spread evenly, until a listing is asked for; the most nodes held.
fn most_held(rows: u64) -> (usize, Vec<Node>) {
    let mut descent = Descent::from_root(RowSum { rows, sum: 0 });
    let mut most = 0;
    loop {
        let nodes = match descent.ask().unwrap() {
            Question::Rows(leaves) => return (most, leaves),
            Question::Children(nodes) => nodes,
        };
        let there: Vec<Children> = nodes
            .iter()
            .map(|node| {
                let rows = node.there.rows / 16;
                [RowSum { rows, sum: 0 }; BRANCHES]
            })
            .collect();
        let here = vec![[RowSum { rows: 1, sum: 1 }; BRANCHES]; nodes.len()];
        let step = compare(&nodes, &here, &there).unwrap();
        descent.add(step.divide, step.list);
        let waiting: usize = descent
            .divide
            .iter()
            .map(std::collections::VecDeque::len)
            .sum();
        most = most.max(waiting + descent.list.len());
    }
}

#[test]
fn however_many_rows_are_said_to_be_there_few_nodes_are_held_until_they_are_listed() {
    for level in [4, 8, 15_u32] {
        let (most, listed) = most_held(1 << (4 * level));
        assert!(most <= usize::from(LEVELS) * BRANCHES * MAX_NODES, "{most}");
        assert!(listed.iter().all(|leaf| leaf.rows <= 16));
        assert!(listed.is_sorted_by_key(|leaf| leaf.prefix));
        assert_eq!(
            listed.first().map(|leaf| leaf.prefix.first_place().0),
            Some(0)
        );
    }
}

#[test]
fn leaves_are_listed_in_order_and_as_many_at_once_as_one_answer_may_hold() {
    let mut descent = Descent::from_root(RowSum { rows: 1, sum: 1 });
    assert!(matches!(descent.ask(), Some(Question::Children(_))));
    let level = |nodes: &[Prefix]| -> Vec<Prefix> {
        nodes.iter().flat_map(|node| node.children()).collect()
    };
    let (first, mut deeper) = (level(&[Prefix::ROOT]), level(&[Prefix::ROOT]));
    for _ in 0..3 {
        deeper = level(&deeper[..deeper.len().min(256)]);
    }
    // Behind what is still divided nothing is listed, unless it stands at the very front.
    let rows = |rows| RowSum { rows, sum: 0 };
    let large = node(first[0], rows(LISTED_AT_ONCE));
    let behind = node(first[2], rows(3));
    descent.add(vec![node(first[1], rows(99))], vec![behind, large]);
    assert_eq!(
        descent.ask(),
        Some(Question::Children(vec![node(first[1], rows(99))]))
    );
    descent.add(Vec::new(), Vec::new());
    assert_eq!(descent.ask(), Some(Question::Rows(vec![large])));
    assert_eq!(descent.ask(), Some(Question::Rows(vec![behind])));
    assert_eq!(descent.ask(), None);
    assert_eq!(large.listed().count(), BRANCHES);
    let leaves = deeper.iter().map(|prefix| node(*prefix, rows(1)));
    descent.add(Vec::new(), leaves.collect());
    let Some(Question::Rows(listed)) = descent.ask() else {
        panic!("nothing is listed");
    };
    assert_eq!(listed.len(), MAX_NODES);
    assert_eq!(listed[0].listed().collect::<Vec<_>>(), [deeper[0]]);
}

/// How many questions a peer is asked that has `rows` rows spread evenly and lists up to `most` of them at once, and
/// the nodes that it listed; the node at which it is given up.
fn asked_of(rows: u64, most: u64) -> Result<(usize, Vec<Node>), Node> {
    let mut descent = Descent::from_root(RowSum { rows, sum: 0 });
    let (mut questions, mut listed) = (0, Vec::new());
    while let Some(question) = descent.ask() {
        questions += 1;
        let nodes = match question {
            Question::Children(nodes) => nodes,
            Question::Rows(leaves) => {
                match leaves.iter().map(|leaf| leaf.rows).sum::<u64>() <= most {
                    true => descent.listed(),
                    false => {
                        descent.too_many(leaves)?;
                        continue;
                    }
                }
                listed.extend(leaves);
                continue;
            }
        };
        let there = |node: &Node| -> Children {
            let spread = |at: u64| (node.there.rows + 15 - at) / 16;
            std::array::from_fn(|at| RowSum {
                rows: spread(u64::try_from(at).unwrap()),
                sum: 0,
            })
        };
        let there: Vec<Children> = nodes.iter().map(there).collect();
        let here = vec![[RowSum { rows: 1, sum: 1 }; BRANCHES]; nodes.len()];
        let Ok(step) = compare(&nodes, &here, &there) else {
            panic!("the children of a node do not add up to it");
        };
        let only_here = step.only_here.into_iter().map(|(node, _)| node);
        let list = step.list.into_iter().chain(only_here);
        descent.add(step.divide, list.collect());
    }
    Ok((questions, listed))
}

#[test]
fn what_is_too_much_for_one_listing_is_asked_for_in_smaller_parts() {
    const ROWS: u64 = 100_000;
    let (at_best, _) = asked_of(ROWS, u64::MAX).unwrap();
    for most in [20_000, 1_000, 16, 3, 1] {
        let (questions, listed) = asked_of(ROWS, most).unwrap();
        let there: u64 = listed.iter().map(|leaf| leaf.there.rows).sum();
        assert_eq!(there, ROWS, "{most}");
        assert!(listed.is_sorted_by_key(|leaf| leaf.prefix), "{most}");
        let rows: u64 = listed.iter().map(|leaf| leaf.rows).sum();
        let least = at_best + listed.len() / 8 + usize::try_from(2 * rows / most).unwrap();
        assert!(questions < 2 * least, "{most}: {questions}, {least}");
    }
}

#[test]
fn a_peer_that_lists_nothing_is_soon_given_up() {
    for rows in [1, 100_000, 1 << 60] {
        let node = asked_of(rows, 0).unwrap_err();
        assert_eq!(node.prefix.level(), LEVELS);
    }
}

#[test]
fn where_keys_are_short_again_as_many_rows_are_asked_for_as_before() {
    let mut descent = Descent::from_root(RowSum { rows: 9, sum: 0 });
    drop(descent.ask());
    let leaves: Vec<Node> = Prefix::ROOT
        .children()
        .map(|prefix| node(prefix, RowSum { rows: 1, sum: 0 }))
        .collect();
    descent.too_many(leaves).unwrap();
    assert_eq!(descent.rows_at_once, 8);
    for _ in 0..160 {
        descent.listed();
    }
    assert_eq!(descent.rows_at_once, LISTED_AT_ONCE);
}
