//! Case A6: what a file that cannot be read might have declared is not open to all at a start.

use super::*;
use crate::model::{OnInvalid, Settings};

/// A text that names routes and cannot be parsed.
fn cut_off(name: &str) -> String {
    routes(name, "v1") + "  - route: [{destination\n"
}

fn start_with(folder: &Path, on_invalid: OnInvalid) -> Pipeline {
    let options = Options {
        debounce: Duration::from_millis(5),
        rescan: Duration::from_millis(200),
        settings: Settings { on_invalid, ..Settings::default() },
        ..Options::new(folder)
    };
    Pipeline::start(options).unwrap()
}

/// What a folder of one service and this file leads to: the files that hold everything back.
async fn blocked_by(name: &str, text: impl AsRef<[u8]>) -> Vec<String> {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("orders.yaml"), service("orders", &["10.0.0.1"])).unwrap();
    fs::write(folder.path().join(name), text).unwrap();
    let pipeline = start(folder.path());
    until(&mut pipeline.state(), |state| state.synced || !state.blocked_by.is_empty()).await;
    let state = pipeline.state().borrow().clone();
    assert!(state.diagnostics.iter().any(|one| one.severity == Severity::Error), "{name}: {state:?}");
    assert_eq!(state.synced, state.blocked_by.is_empty());
    assert_eq!(pipeline.resources().borrow().to_map().is_empty(), !state.synced, "{name}");
    state.blocked_by.clone()
}

#[tokio::test]
async fn file_that_may_restrict_calls_holds_back_the_first_configuration() {
    let head = "apiVersion: networking.istio.io/v1\nkind: VirtualService\n";
    let named = format!("{head}metadata: {{name: orders, namespace: shop}}\n");
    let rule = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\n";
    let rows = [
        ("cut-off.yaml", cut_off("orders"), true),
        ("cut-off.json", "{\"kind\": \"DestinationRule\",".to_owned(), true),
        ("list.yaml", "kind: VirtualServiceList\nitems: [".to_owned(), true),
        ("values.yaml", "replicas: {{ .Values.replicas }}\na: [".to_owned(), false),
        ("workload.yaml", "kind: WorkloadEntry\nspec: {{ .Values.spec }}\na: [".to_owned(), false),
        // Parsed, but not even the name can be read.
        ("no-name.yaml", format!("{head}spec: {{hosts: [orders]}}\n"), true),
        ("kind.yaml", "apiVersion: networking.istio.io/v1\nkind: VirtualServcie\n".to_owned(), true),
        // Parsed, but its hosts cannot be read.
        ("hosts.yaml", format!("{named}spec: {{hosts: orders, http: []}}\n"), true),
        ("misspelt.yaml", format!("{named}spec: {{host: [orders], http: []}}\n"), true),
        ("host.yaml", format!("{rule}spec: {{hots: orders}}\n"), true),
        // Its hosts can be read: only calls to them fail.
        ("routes.yaml", format!("{named}spec: {{hosts: [orders], htpp: []}}\n"), false),
        ("delegate.yaml", format!("{named}spec: {{htpp: []}}\n"), false),
    ];
    for (name, text, blocks) in rows {
        let expected = if blocks { vec![name.to_owned()] } else { Vec::new() };
        assert_eq!(blocked_by(name, text).await, expected, "{name}");
    }
    assert_eq!(blocked_by("binary.yaml", b"\xff").await, ["binary.yaml"]);
}

#[tokio::test]
async fn first_configuration_comes_once_the_file_can_be_read() {
    let folder = TempDir::new().unwrap();
    let (orders, file) = (folder.path().join("orders.yaml"), folder.path().join("routes.yaml"));
    fs::write(orders, service("orders", &["10.0.0.1"]) + &rule("orders", &["v1"])).unwrap();
    fs::write(&file, cut_off("orders")).unwrap();
    let pipeline = start_with(folder.path(), OnInvalid::Fail);
    until(&mut pipeline.state(), |state| state.blocked_by == ["routes.yaml"]).await;
    fs::write(&file, routes("orders", "v1")).unwrap();
    until(&mut pipeline.state(), |state| state.synced).await;
    let state = pipeline.state().borrow().clone();
    assert_eq!((errors(&state), state.blocked_by.clone(), state.revision), (Vec::new(), Vec::new(), 1));

    // From then on there is an earlier version of the file, and a new file takes nothing away.
    fs::write(&file, cut_off("orders")).unwrap();
    fs::write(folder.path().join("new.yaml"), cut_off("orders")).unwrap();
    until(&mut pipeline.state(), |state| errors(state).len() == 2).await;
    let state = pipeline.state().borrow().clone();
    assert_eq!((state.synced, state.blocked_by.clone(), state.revision), (true, Vec::new(), 1));
}

#[tokio::test]
async fn operator_may_have_default_routes_instead() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("orders.yaml"), service("orders", &["10.0.0.1"])).unwrap();
    fs::write(folder.path().join("routes.yaml"), cut_off("orders")).unwrap();
    let pipeline = start_with(folder.path(), OnInvalid::DefaultRoute);
    until(&mut pipeline.state(), |state| state.synced).await;
    assert_eq!(errors(&pipeline.state().borrow()).len(), 1);
    assert!(!pipeline.resources().borrow().to_map().is_empty());
}

/// Proves that a kept text counts as an earlier version.
#[tokio::test]
async fn last_good_text_lets_the_first_configuration_through() {
    let (config, data) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let start = || {
        let options = Options {
            data_dir: Some(data.path().to_owned()),
            debounce: Duration::from_millis(5),
            rescan: Duration::from_millis(200),
            ..Options::new(config.path())
        };
        Pipeline::start(options).unwrap()
    };
    let good = service("orders", &["10.0.0.1"]) + &rule("orders", &["v1"]) + &routes("orders", "v1");
    fs::write(config.path().join("all.yaml"), &good).unwrap();
    let pipeline = start();
    until(&mut pipeline.state(), |state| state.synced).await;
    let kept = data.path().join("last-good").join("all.yaml");
    let is_kept = || fs::read_to_string(&kept).is_ok_and(|text| text.ends_with(&good));
    let waiting = async {
        while !is_kept() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap();
    drop(pipeline);
    fs::write(config.path().join("all.yaml"), good + "  - route: [{destination\n").unwrap();
    let pipeline = start();
    until(&mut pipeline.state(), |state| state.synced || !state.blocked_by.is_empty()).await;
    let state = pipeline.state().borrow().clone();
    assert_eq!((state.synced, errors(&state).len()), (true, 1));
    assert!(state.objects.iter().all(|one| one.stale) && state.objects.len() == 3);
}
