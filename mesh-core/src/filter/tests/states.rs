//! State that survives updates.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// Counts calls in a state that updates of its configuration keep.
#[derive(Debug, Clone, PartialEq)]
struct Counted(u32);

#[derive(Debug)]
struct Counting(Arc<AtomicUsize>);

impl FilterConfig for Counted {
    fn build(
        &self,
        _: Overrides<'_>,
        context: &FilterContext,
    ) -> Result<Option<Arc<dyn HttpFilter>>, BuildError> {
        Ok(Some(Arc::new(Counting(context.state(AtomicUsize::default)))))
    }
}

impl HttpFilter for Counting {
    fn on_request(&self, head: &mut request::Parts, _: &mut FilterCall<'_>) -> RequestAction {
        let count = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        head.headers.insert("x-count", count.into());
        RequestAction::Continue
    }
}

/// Compiles a version of the configuration, in which `a` and `b` are of one type.
fn version(version: u32, scope: &FilterScope) -> [CallFilters; 2] {
    let compiled = |name: &str| {
        let config = with_filters(vec![FilterInstance::new(name, Counted(version))]);
        let (filters, headers) = (FilterOverrides::new(), HeaderMutations::new());
        call(ChainCompiler::new(&config, scope).chain(&[level(&filters, &headers)]))
    };
    [compiled("a"), compiled("b")]
}

fn count(call: &mut CallFilters) -> String {
    let mut head = head(&[]);
    assert!(matches!(call.on_request(&mut head, &mut rng()), Progress::Passed));
    head.headers["x-count"].to_str().unwrap().to_owned()
}

/// Proves: HF-06.
#[test]
fn state_survives_updates_and_ends_with_the_last_call() {
    let scope = FilterScope::default();
    let [mut old, mut other] = version(1, &scope);
    assert_eq!(count(&mut old), "1");
    let [mut new, _] = version(2, &scope);
    assert_eq!(count(&mut new), "2", "the state of the version before");
    assert_eq!(count(&mut other), "1", "another filter of the type has its own");
    drop(new);
    let [mut newer, _] = version(3, &scope);
    assert_eq!(count(&mut newer), "3", "a call that still uses the first version keeps it");
    drop((old, newer, other));
    let [mut fresh, _] = version(4, &scope);
    assert_eq!(count(&mut fresh), "1", "the state was dropped");
}

#[test]
fn state_is_found_by_name_type_and_scope() {
    let (target, mesh) = (Arc::default(), Arc::default());
    let context = FilterContext::of("f".into(), target, mesh, Arc::default());
    let number = context.state(|| 7_u32);
    assert!(Arc::ptr_eq(&number, &context.state(|| 8_u32)));
    assert_eq!(*context.state(|| 9_u64), 9, "another type");
    assert_eq!(*context.mesh_state(|| 10_u32), 10, "another scope");
    let other = FilterContext::of("g".into(), Arc::default(), context.mesh.clone(), Arc::default());
    let shared = context.mesh_state(|| 11_u8);
    assert!(Arc::ptr_eq(&shared, &other.mesh_state(|| 12_u8)), "filters of a mesh share it");
    let nested = context.state(|| context.state(|| 1_i8).to_string());
    assert_eq!(*nested, "1");
}
