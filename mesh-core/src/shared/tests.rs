//! Lists and tables compared with plain vectors.

use std::sync::Arc;

use proptest::prelude::*;

use super::{SharedList, SharedTable};

fn list(elements: &[u32]) -> SharedList<u32> {
    elements.iter().copied().collect()
}

fn plain(list: &SharedList<u32>) -> Vec<u32> {
    list.iter().copied().collect()
}

/// Chunks that are in both.
fn shared(a: &SharedList<u32>, b: &SharedList<u32>) -> usize {
    a.chunks().iter().filter(|chunk| b.chunks().iter().any(|other| Arc::ptr_eq(chunk, other))).count()
}

/// Removed and added, in one text.
fn changes(old: &SharedList<u32>, new: &SharedList<u32>) -> String {
    let changes = SharedList::changes(old, new);
    format!("-{:?} +{:?}", changes.removed, changes.added)
}

#[test]
fn one_replaced_element_is_one_change_and_one_chunk() {
    let numbers: Vec<u32> = (0..10_000).collect();
    let old = list(&numbers);
    let mut chunk = old.chunks()[100].to_vec();
    chunk[5] = 70_000;
    let new = old.with_chunk(100, chunk);
    assert_eq!(shared(&old, &new), old.chunks().len() - 1);
    assert_eq!(changes(&old, &new), "-[6405] +[70000]");
    assert_eq!(changes(&new, &new.clone()), "-[] +[]");
    assert_ne!(old, new);
}

#[test]
fn lists_that_share_nothing_are_compared_by_their_elements() {
    let numbers: Vec<u32> = (0..1_000).collect();
    let old = list(&numbers);
    type Case = (&'static str, fn(&mut Vec<u32>), &'static str);
    let cases: [Case; 5] = [
        ("equal", |_| {}, "-[] +[]"),
        ("replaced", |list| list[500] = 7, "-[500] +[7]"),
        ("replaced in two chunks", |list| (list[0], list[999]) = (7, 8), "-[0, 999] +[7, 8]"),
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A list made by any edits has the elements of a vector made by the same, in chunks of bounded size, and the
    /// changes lead from any version to any other.
    #[test]
    fn edits_and_changes_are_those_of_a_vector(
        length in 0_usize..500,
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..8), 0..200),
    ) {
        let mut numbers: Vec<u32> = (0..length as u32).collect();
        let first = list(&numbers);
        let mut last = first.clone();
        for (number, (at, what)) in (10_000..).zip(&edits) {
            if numbers.is_empty() {
                break;
            }
            let at = at.index(numbers.len());
            let (mut chunk_at, mut within) = (0, at);
            while within >= last.chunks()[chunk_at].len() {
                within -= last.chunks()[chunk_at].len();
                chunk_at += 1;
            }
            let mut chunk = last.chunks()[chunk_at].to_vec();
            match what {
                0 => (numbers[at], chunk[within]) = (number, number),
                1..=3 => _ = (numbers.insert(at, number), chunk.insert(within, number)),
                _ => _ = (numbers.remove(at), chunk.remove(within)),
            }
            let next = last.with_chunk(chunk_at, chunk);
            check(&last, &next)?;
            last = next;
        }
        prop_assert_eq!(plain(&last), numbers.clone());
        prop_assert_eq!(last.len(), numbers.len());
        prop_assert_eq!(last.iter().len(), numbers.len());
        prop_assert!(last.chunks().iter().all(|chunk| (1..=128).contains(&chunk.len())));
        prop_assert!(last.chunks().len() <= numbers.len() / 8 + 2, "{} chunks", last.chunks().len());
        prop_assert_eq!(&last, &list(&numbers));
        check(&first, &last)?;
        check(&last, &list(&numbers[numbers.len() / 2..]))?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A table has the elements of a vector that was changed the same way, and its clones those of that moment.
    #[test]
    fn a_table_is_a_vector_whose_clones_stay_as_they_are(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..8, any::<bool>()), 0..600),
    ) {
        let (mut table, mut numbers) = (SharedTable::default(), Vec::new());
        let mut clones = Vec::new();
        for (number, (at, what, is_cloned)) in (0_u32..).zip(&edits) {
            match what {
                0..=4 => {
                    numbers.push(number);
                    table.push(number);
                }
                _ if numbers.is_empty() => table.swap_remove(0),
                5 => {
                    let at = at.index(numbers.len());
                    numbers[at] = number;
                    table.set(at, number);
                }
                _ => {
                    let at = at.index(numbers.len());
                    numbers.swap_remove(at);
                    table.swap_remove(at);
                }
            }
            if *is_cloned {
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

/// Old without removed and with added is new, as sets with repetitions.
fn check(old: &SharedList<u32>, new: &SharedList<u32>) -> Result<(), TestCaseError> {
    let changes = SharedList::changes(old, new);
    let sorted = |list: &SharedList<u32>, more: &[&u32]| {
        let mut all: Vec<_> = list.iter().chain(more.iter().copied()).copied().collect();
        all.sort_unstable();
        all
    };
    prop_assert_eq!(sorted(old, &changes.added), sorted(new, &changes.removed));
    prop_assert_eq!(old == new, plain(old) == plain(new));
    Ok(())
}
