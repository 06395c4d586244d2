//! Lists and tables compared with plain vectors.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::Index;

use super::{Mapping, SharedList, SharedTable};

fn list(elements: &[u32]) -> SharedList<u32> {
    elements.iter().copied().collect()
}

fn plain(list: &SharedList<u32>) -> Vec<u32> {
    list.iter().copied().collect()
}

/// Removed and added, in one text.
fn changes(old: &SharedList<u32>, new: &SharedList<u32>) -> String {
    let changes = SharedList::changes(old, new);
    format!("-{:?} +{:?}", changes.removed, changes.added)
}

#[test]
fn one_edit_is_one_change() {
    let numbers: Vec<u32> = (0..10_000).map(|number| number * 2).collect();
    let old = list(&numbers);
    let at = old.partition_point(|element| *element < 6_000);
    assert_eq!(at, 3_000);
    let edits = [
        (old.with_replaced(at, 7), "-[6000] +[7]"),
        (old.with_inserted(at, 7), "-[] +[7]"),
        (old.without(at), "-[6000] +[]"),
        (old.with_inserted(10_000, 7), "-[] +[7]"),
        (old.with_replaced(at, 6_000), "-[] +[]"),
        (old.with_replaced(0, 7).with_replaced(5_000, 8), "-[0, 10000] +[7, 8]"),
    ];
    for (new, expected) in edits {
        assert_eq!(changes(&old, &new), expected);
        assert_eq!(old == new, expected == "-[] +[]", "{expected}");
    }
}

#[test]
fn lists_that_share_nothing_are_compared_by_their_elements() {
    let numbers: Vec<u32> = (0..1_000).collect();
    let old = list(&numbers);
    type Case = (&'static str, fn(&mut Vec<u32>), &'static str);
    let cases: [Case; 5] = [
        ("equal", |_| {}, "-[] +[]"),
        ("replaced", |list| list[500] = 7, "-[500] +[7]"),
        ("replaced here and there", |list| (list[0], list[999]) = (7, 8), "-[0, 999] +[7, 8]"),
        ("one less", |list| _ = list.remove(41), "-[41] +[]"),
        ("more", |list| list.extend(2_000..2_003), "-[] +[2000, 2001, 2002]"),
    ];
    for (name, change, expected) in cases {
        let mut numbers = numbers.clone();
        change(&mut numbers);
        let new = list(&numbers);
        assert_eq!(changes(&old, &new), expected, "{name}");
        assert_eq!(old == new, expected == "-[] +[]", "{name}");
    }
}

/// Odd numbers have counterparts of ten times their value; records calls.
#[derive(Default)]
struct Tenfold {
    added: Vec<u32>,
    removed: Vec<u32>,
}

impl Mapping<u32, u32> for Tenfold {
    fn has_counterpart(&self, element: &u32) -> bool {
        element % 2 == 1
    }

    fn add(&mut self, element: &Arc<u32>) -> u32 {
        self.added.push(**element);
        **element * 10
    }

    fn remove(&mut self, counterpart: &u32) {
        self.removed.push(*counterpart / 10);
    }
}

#[test]
fn one_edit_changes_only_its_counterpart() {
    let old = list(&(0..10_000).collect::<Vec<_>>());
    let of_old = old.mapped((&SharedList::default(), &SharedList::default()), &mut Tenfold::default());
    let edits = [
        (old.with_replaced(5_001, 7), vec![7], vec![5_001]),
        (old.with_replaced(5_001, 8), vec![], vec![5_001]),
        (old.with_replaced(5_000, 8), vec![], vec![]),
        (old.with_inserted(0, 7), vec![7], vec![]),
        (old.with_replaced(5_001, 7).with_replaced(1, 9), vec![9, 7], vec![1, 5_001]),
    ];
    for (new, added, removed) in edits {
        let mut mapping = Tenfold::default();
        let _ = new.mapped((&old, &of_old), &mut mapping);
        assert_eq!((mapping.added, mapping.removed), (added, removed));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Random edits lead to the elements of a vector edited the same way; derived lists follow, and changes lead from any
    /// version to any other.
    #[test]
    fn list_equals_vector_after_random_edits(
        length in 0_usize..2_000,
        edits in prop::collection::vec((any::<Index>(), 0_u8..8, any::<bool>()), 0..300),
        is_shrinking in any::<bool>(),
    ) {
        let mut numbers: Vec<u32> = (0..length as u32).collect();
        let first = list(&numbers);
        let (mut last, mut known) = (first.clone(), (SharedList::default(), SharedList::default()));
        for (number, (at, what, is_mapped)) in (10_000..).zip(&edits) {
            if numbers.is_empty() || *what == 0 {
                let at = at.index(numbers.len() + 1);
                numbers.insert(at, number);
                last = last.with_inserted(at, number);
            } else {
                let at = at.index(numbers.len());
                match (what, is_shrinking) {
                    (1 | 2, _) => {
                        numbers[at] = number;
                        last = last.with_replaced(at, number);
                    }
                    (3, _) | (_, true) => {
                        numbers.remove(at);
                        last = last.without(at);
                    }
                    _ => {
                        numbers.insert(at, number);
                        last = last.with_inserted(at, number);
                    }
                }
            }
            if *is_mapped {
                known = followed(&known, &last)?;
            }
        }
        prop_assert_eq!(plain(&last), numbers.clone());
        prop_assert_eq!(last.len(), numbers.len());
        prop_assert_eq!(last.iter().len(), numbers.len());
        prop_assert!((0..=numbers.len()).all(|at| last.get(at) == numbers.get(at)));
        prop_assert_eq!(&last, &list(&numbers));
        prop_assert!(last.root.height() <= 4);
        check(&first, &last)?;
        check(&known.0, &last)?;
        check(&last, &list(&numbers[numbers.len() / 2..]))?;
        followed(&known, &first)?;
        let kept = last.retained(|number| number % 3 > 0);
        prop_assert_eq!(plain(&kept), numbers.into_iter().filter(|number| number % 3 > 0).collect::<Vec<_>>());
        prop_assert!(last.retained(|_| true).is_same(&last));
    }

    /// A table has the elements of a vector changed the same way, and a clone the elements at the time of cloning.
    #[test]
    fn table_equals_vector_and_its_clones_are_snapshots(
        length in 0_u32..1_200,
        edits in prop::collection::vec((any::<Index>(), 0_u8..8, any::<bool>()), 0..600),
        is_shrinking in any::<bool>(),
    ) {
        let (mut table, mut numbers) = (SharedTable::default(), Vec::new());
        for number in 0..length {
            numbers.push(number);
            table.push(number);
        }
        let mut clones = Vec::new();
        for (number, (at, what, is_cloned)) in (0_u32..).zip(&edits) {
            if *what == 0 && !numbers.is_empty() {
                let at = at.index(numbers.len());
                numbers[at] = number;
                table.set(at, number);
            } else if (*what < 3) == is_shrinking || numbers.is_empty() {
                numbers.push(number);
                table.push(number);
            } else {
                let at = at.index(numbers.len());
                numbers.swap_remove(at);
                table.swap_remove(at);
            }
            if *is_cloned && number % 16 == 0 {
                clones.push((table.clone(), numbers.clone()));
            }
        }
        table.set(numbers.len(), 7);
        clones.push((table, numbers));
        for (table, numbers) in clones {
            prop_assert!(table.iter().eq(&numbers));
            prop_assert_eq!(table.len(), numbers.len());
            prop_assert!((0..=numbers.len()).all(|at| table.get(at) == numbers.get(at)));
        }
    }
}

/// Removing the removed elements and adding the added ones leads from old to new, as multisets.
fn check(old: &SharedList<u32>, new: &SharedList<u32>) -> Result<(), TestCaseError> {
    let changes = SharedList::changes(old, new);
    let copied = |list: &SharedList<u32>, more: &[&u32]| sorted(list.iter().chain(more.iter().copied()));
    prop_assert_eq!(copied(old, &changes.added), copied(new, &changes.removed));
    prop_assert_eq!(old == new, plain(old) == plain(new));
    Ok(())
}

/// Derives the counterparts of a new version from those of an earlier one, and checks them.
fn followed(
    (old, of_old): &(SharedList<u32>, SharedList<u32>),
    new: &SharedList<u32>,
) -> Result<(SharedList<u32>, SharedList<u32>), TestCaseError> {
    let mut mapping = Tenfold::default();
    let of_new = new.mapped((old, of_old), &mut mapping);
    let expected: Vec<_> = new.iter().filter(|number| **number % 2 == 1).map(|number| number * 10).collect();
    prop_assert_eq!(plain(&of_new), expected);
    let before: Vec<u32> = of_old.iter().map(|number| number / 10).collect();
    let after: Vec<u32> = of_new.iter().map(|number| number / 10).collect();
    let balance = (sorted(before.iter().chain(&mapping.added)), sorted(after.iter().chain(&mapping.removed)));
    prop_assert_eq!(balance.0, balance.1);
    Ok((new.clone(), of_new))
}

fn sorted<'a>(numbers: impl Iterator<Item = &'a u32>) -> Vec<u32> {
    let mut numbers: Vec<_> = numbers.copied().collect();
    numbers.sort_unstable();
    numbers
}
