//! The engine and the pipeline as a whole; what each field becomes is tested in `translate`.

mod folders;
mod restart;
mod summary;
mod threads;
mod unread;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::watch;

use super::engine::Engine;
use super::guard::{Guard, MaxRemoval};
use super::{DataDirError, Input, Options, Pipeline, StartError, validate};
use crate::resources::{EncodedResource, ResourceKind, ResourceSet};
use crate::source::{Entries, Event, Merge};
use crate::state::{PipelineState, Severity};

fn service(name: &str, endpoints: &[&str]) -> String {
    let mut text = format!(
        "---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: shop}}
spec:
  hosts: [{name}.shop.svc.cluster.local]
  resolution: STATIC
  ports: [{{number: 80, name: grpc, protocol: GRPC}}]
  endpoints:
"
    );
    for (index, address) in endpoints.iter().enumerate() {
        let version = index % 2 + 1;
        text.push_str(&format!("  - {{address: {address}, labels: {{version: v{version}}}}}\n"));
    }
    text
}

fn rule(name: &str, subsets: &[&str]) -> String {
    let mut text = format!(
        "---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {name}, namespace: shop}}
spec:
  host: {name}
  subsets:
"
    );
    for subset in subsets {
        text.push_str(&format!("  - {{name: {subset}, labels: {{version: {subset}}}}}\n"));
    }
    text
}

fn routes(name: &str, subset: &str) -> String {
    format!(
        "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: shop}}
spec:
  hosts: [{name}]
  http:
  - route: [{{destination: {{host: {name}, subset: {subset}}}}}]
"
    )
}

/// An engine and its only source.
struct Story {
    entries: Entries,
    merge: Merge,
    engine: Engine,
}

impl Story {
    fn new() -> Self {
        Self { entries: Entries::default(), merge: Merge::new(1), engine: Engine::default() }
    }

    /// Takes these texts, as `0.yaml` and so on, instead of those before; returns whether the resources have changed.
    fn apply(&mut self, texts: &[&str]) -> bool {
        let names: Vec<String> = (0..texts.len()).map(|index| format!("{index}.yaml")).collect();
        let files: Vec<(&str, &str)> = names.iter().map(String::as_str).zip(texts.iter().copied()).collect();
        self.apply_files(&files)
    }

    fn apply_files(&mut self, files: &[(&str, &str)]) -> bool {
        self.entries.retain(|name| files.iter().any(|(file, _)| name == *file));
        files.iter().for_each(|(name, text)| self.entries.read(name, text));
        self.merge.take(0, self.entries.take_events());
        self.merge.take(0, vec![Event::Synced]);
        self.engine.apply(self.merge.changes().unwrap()).has_changed
    }

    fn resources(&self) -> &Arc<ResourceSet> {
        self.engine.resources()
    }

    fn state(&self) -> &PipelineState {
        self.engine.state()
    }
}

fn resource(set: &ResourceSet, kind: ResourceKind, name: &str) -> Option<Arc<EncodedResource>> {
    set.get(kind, name).cloned()
}

fn errors(state: &PipelineState) -> Vec<String> {
    let errors = state.diagnostics.iter().filter(|one| one.severity == Severity::Error);
    errors.map(ToString::to_string).collect()
}

#[test]
fn change_touches_only_the_resources_that_depend_on_it() {
    let mut engine = Story::new();
    let (orders, users) = (service("orders", &["10.0.0.1", "10.0.0.2"]), service("users", &["10.0.1.1"]));
    let rule = rule("orders", &["v1", "v2"]);
    assert!(engine.apply(&[&orders, &users, &rule]));
    let before = Arc::clone(engine.resources());
    assert_eq!(before.revision, 1);

    assert!(!engine.apply(&[&orders, &users, &rule]), "read again, nothing new");
    assert!(Arc::ptr_eq(&before, engine.resources()));
    assert!(!engine.apply(&[&rule, "# moved\n\n", &users, &orders]), "other files, same content");
    assert!(Arc::ptr_eq(&before, engine.resources()));

    let more = service("orders", &["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    assert!(engine.apply(&[&more, &users, &rule]));
    let after = engine.resources();
    assert_eq!(after.revision, 2);
    let (mut before, mut after) = (before.to_map(), after.to_map());
    for resources in [&mut before, &mut after] {
        resources.retain(|(kind, _), _| *kind != ResourceKind::LbEndpoint);
    }
    assert_eq!(before.len(), after.len());
    let changed: Vec<&str> = after
        .iter()
        .filter(|(key, resource)| !Arc::ptr_eq(resource, &before[*key]))
        .map(|((_, name), _)| &**name)
        .collect();
    let host = "orders.shop.svc.cluster.local";
    assert_eq!(changed, [format!("outbound|80|v1|{host}"), format!("outbound|80||{host}")]);
}

#[test]
fn order_of_objects_does_not_matter() {
    let texts = [
        service("orders", &["10.0.0.1", "10.0.0.2"]),
        service("users", &["10.0.1.1"]),
        rule("orders", &["v1", "v2"]),
        routes("orders", "v2"),
        routes("users", "nowhere"),
    ];
    let mut expected: Option<(Arc<ResourceSet>, Vec<String>)> = None;
    for rotation in 0..texts.len() {
        for reversed in [false, true] {
            let mut order: Vec<usize> =
                (0..texts.len()).map(|index| (index + rotation) % texts.len()).collect();
            if reversed {
                order.reverse();
            }
            let names: Vec<String> = order.iter().map(|index| format!("{index}.yaml")).collect();
            let files: Vec<(&str, &str)> = names
                .iter()
                .zip(&order)
                .map(|(name, index)| (name.as_str(), texts[*index].as_str()))
                .collect();
            let mut engine = Story::new();
            engine.apply_files(&files);
            let found = (Arc::clone(engine.resources()), errors(engine.state()));
            let (set, errors) = expected.get_or_insert_with(|| found.clone());
            assert_eq!(set.to_map(), found.0.to_map());
            assert_eq!(*errors, found.1);
        }
    }
}

#[test]
fn missing_destination_fails_its_share_until_it_is_there() {
    let mut story = Story::new();
    let (orders, users) = (service("orders", &["10.0.0.1", "10.0.0.2"]), service("users", &["10.0.1.1"]));
    let rules = |subsets: &[&str]| rule("orders", subsets);
    let host = "outbound|80||orders.shop.svc.cluster.local";
    let cluster = "outbound|80|v2|orders.shop.svc.cluster.local";
    let missing =
        "unavailable|orders.shop.svc.cluster.local has no subset v2|orders.shop.svc.cluster.local".to_owned();
    story.apply(&[&orders, &users, &rules(&["v1", "v2"]), &routes("orders", "v2")]);
    let good = story.resources().to_map();

    story.apply(&[&orders, &users, &rules(&["v1"]), &routes("orders", "v2")]);
    let found = errors(story.state());
    assert_eq!(
        found,
        [
            "3.yaml:8:50: error: VirtualService shop/orders: spec.http[0].route[0].destination.subset: its share of the calls \
          fails: orders.shop.svc.cluster.local has no subset v2, only v1; did you mean `v1`?"
        ]
    );
    assert!(resource(story.resources(), ResourceKind::Cluster, cluster).is_none());
    assert!(resource(story.resources(), ResourceKind::Cluster, &missing).is_some());
    let route = resource(story.resources(), ResourceKind::Route, host).unwrap();
    assert!(route.bytes.windows(missing.len()).any(|part| part == missing.as_bytes()));

    story.apply(&[&orders, &users, &rules(&["v1", "v2"]), &routes("orders", "v2")]);
    assert_eq!(errors(story.state()), [""; 0]);
    assert_eq!(story.resources().to_map(), good, "nothing stays of what was missing");
}

#[test]
fn first_of_two_objects_with_one_name_counts() {
    let mut engine = Story::new();
    engine.apply(&[&service("orders", &["10.0.0.1"]), &service("orders", &["10.0.0.2"])]);
    let found = errors(engine.state());
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with("1.yaml:4:18: error: ServiceEntry shop/orders: metadata.name: "),
        "{found:?}"
    );
    assert!(found[0].ends_with("stands in 0.yaml:2 already"), "{found:?}");
}

/// Waits for a state that is as wanted.
async fn until(state: &mut watch::Receiver<Arc<PipelineState>>, wanted: impl Fn(&PipelineState) -> bool) {
    let waited =
        tokio::time::timeout(Duration::from_secs(20), state.wait_for(|state| wanted(state))).await.is_ok();
    assert!(waited, "the state never came: {:?}", state.borrow());
}

fn start(folder: &Path) -> Pipeline {
    let options = Options {
        debounce: Duration::from_millis(5),
        rescan: Duration::from_millis(200),
        ..Options::new(folder)
    };
    Pipeline::start(options).unwrap()
}

#[tokio::test]
async fn changed_files_are_applied_and_broken_ones_ignored() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("shop").join("orders.yaml");
    fs::create_dir(file.parent().unwrap()).unwrap();
    fs::write(&file, service("orders", &["10.0.0.1"])).unwrap();
    let pipeline = start(folder.path());
    let (resources, mut state) = (pipeline.resources(), pipeline.state());
    until(&mut state, |state| state.synced && state.revision == 1).await;
    let first = resources.borrow().clone();
    assert!(resource(&first, ResourceKind::Listener, "orders.shop.svc.cluster.local:80").is_some());

    fs::write(&file, "apiVersion: networking.istio.io/v1\nkind: [\n").unwrap();
    until(&mut state, |state| !state.diagnostics.is_empty()).await;
    let broken = state.borrow().clone();
    assert_eq!((broken.diagnostics[0].file.as_str(), broken.diagnostics[0].line), ("shop/orders.yaml", 2));
    assert!(broken.objects[0].stale);
    assert!(Arc::ptr_eq(&first, &*resources.borrow()));

    fs::write(&file, service("orders", &["10.0.0.2"])).unwrap();
    until(&mut state, |state| state.diagnostics.is_empty() && state.revision == 2).await;
    fs::remove_file(&file).unwrap();
    until(&mut state, |state| state.objects.is_empty() && state.revision == 3).await;
    assert!(resources.borrow().to_map().is_empty());
}

#[tokio::test]
async fn empty_folder_is_synced_and_serves_nothing() {
    let folder = TempDir::new().unwrap();
    let pipeline = start(folder.path());
    until(&mut pipeline.state(), |state| state.synced && state.revision == 1).await;
    assert!(pipeline.resources().borrow().to_map().is_empty());
}

#[tokio::test]
async fn missing_folder_is_an_error_that_names_it() {
    let folder = TempDir::new().unwrap();
    let missing = folder.path().join("missing");
    let error = Pipeline::start(Options::new(&missing)).unwrap_err();
    assert!(matches!(error, StartError::Folder { folder, .. } if folder == missing));
}

#[tokio::test]
async fn dropping_the_pipeline_ends_it() {
    let folder = TempDir::new().unwrap();
    let pipeline = start(folder.path());
    let mut state = pipeline.state();
    until(&mut state, |state| state.synced).await;
    drop(pipeline);
    let ended = async { while state.changed().await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(20), ended).await.unwrap();
}

#[test]
fn validation_takes_all_inputs_together() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("service.yaml"), service("orders", &["10.0.0.1", "10.0.0.2"])).unwrap();
    fs::write(folder.path().join("notes.txt"), "not: [yaml").unwrap();
    let good = routes("orders", "v1") + &rule("orders", &["v1"]);
    let inputs = |text: &str| {
        [Input::Path(folder.path().to_owned()), Input::Text { name: "<stdin>".into(), text: text.into() }]
    };
    assert_eq!(validate(&inputs(&good)), []);
    let found = validate(&inputs(&good.replace("subset: v1", "subset: v7")));
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].file.as_str(), found[0].line), ("<stdin>", 8));
    let missing = validate(&[Input::Path(folder.path().join("missing.yaml"))]);
    assert_eq!(missing[0].severity, Severity::Error);
}
