//! What is kept of good configuration for the next start.

use super::*;

/// A configuration folder and a data folder.
struct Restarts {
    config: TempDir,
    data: TempDir,
}

impl Restarts {
    fn new() -> Self {
        Self { config: TempDir::new().unwrap(), data: TempDir::new().unwrap() }
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.config.path().join(name), text).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.config.path().join(name)).unwrap();
    }

    async fn start(&self) -> Pipeline {
        let options = Options {
            data_dir: Some(self.data.path().to_owned()),
            debounce: Duration::from_millis(5),
            rescan: Duration::from_millis(200),
            ..Options::new(self.config.path())
        };
        let pipeline = Pipeline::start(options).unwrap();
        until(&mut pipeline.state(), |state| state.synced).await;
        pipeline
    }

    /// Waits until the copy of a file has this text, or is gone.
    async fn until_kept(&self, name: &str, text: impl Into<Option<&str>>) {
        let (kept, text) = (self.data.path().join("last-good").join(name), text.into());
        let is_kept = || match (fs::read_to_string(&kept), text) {
            (Ok(copy), Some(text)) => copy.ends_with(text),
            (copy, text) => copy.is_err() && text.is_none(),
        };
        let waiting = async {
            while !is_kept() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(20), waiting).await.is_ok(), "{name} is not kept");
    }
}

fn files_with_errors(pipeline: &Pipeline) -> Vec<String> {
    pipeline.state().borrow().diagnostics.iter().map(|found| found.file.clone()).collect()
}

fn stale(pipeline: &Pipeline) -> Vec<String> {
    let state = pipeline.state().borrow().clone();
    let stale = state.objects.iter().filter(|object| object.stale);
    stale.map(|object| format!("{} {}", object.kind, object.name)).collect()
}

#[tokio::test]
async fn last_good_objects_survive_a_restart() {
    let story = Restarts::new();
    let users = service("users", &["10.0.1.1"]);
    story.write("orders.yaml", service("orders", &["10.0.0.1", "10.0.0.2"]) + &rule("orders", &["v1", "v2"]));
    story.write("routes.yaml", routes("orders", "v1"));
    story.write("carts.yaml", service("carts", &["10.0.3.1"]));
    story.write("users.yaml", &users);
    story.write("gone.yaml", service("gone", &["10.0.2.1"]));
    let pipeline = story.start().await;
    let good = pipeline.resources().borrow().to_map();
    story.until_kept("users.yaml", users.as_str()).await;
    drop(pipeline);

    story.write("users.yaml", "kind: [");
    story.write("carts.yaml", b"\xff");
    story.write("routes.yaml", routes("orders", "v1").replace("hosts:", "hots:"));
    story.remove("gone.yaml");
    for _ in 0..3 {
        let pipeline = story.start().await;
        assert_eq!(files_with_errors(&pipeline), ["carts.yaml", "routes.yaml", "users.yaml"]);
        assert_eq!(stale(&pipeline), ["ServiceEntry carts", "ServiceEntry users", "VirtualService orders"]);
        let without_gone: Vec<_> = good.iter().filter(|((_, name), _)| !name.contains("gone")).collect();
        assert_eq!(pipeline.resources().borrow().to_map().iter().collect::<Vec<_>>(), without_gone);
        story.until_kept("users.yaml", users.as_str()).await;
    }
    story.remove("users.yaml");
    let pipeline = story.start().await;
    story.until_kept("users.yaml", None).await;
    drop(pipeline);
    story.write("users.yaml", "kind: [");
    let pipeline = story.start().await;
    assert_eq!(stale(&pipeline), ["ServiceEntry carts", "VirtualService orders"], "deleted is forgotten");
}

/// A file is kept although something that it refers to is missing: nothing of it is refused.
#[tokio::test]
async fn file_with_a_missing_reference_survives_a_restart() {
    let story = Restarts::new();
    let (orders, routed) = (service("orders", &["10.0.0.1", "10.0.0.2"]), routes("orders", "v9"));
    story.write("orders.yaml", &orders);
    story.write("routes.yaml", &routed);
    let pipeline = story.start().await;
    let good = pipeline.resources().borrow().to_map();
    story.until_kept("routes.yaml", routed.as_str()).await;
    drop(pipeline);
    story.write("routes.yaml", "kind: [");
    let pipeline = story.start().await;
    assert_eq!(stale(&pipeline), ["VirtualService orders"]);
    assert_eq!(pipeline.resources().borrow().to_map(), good);
}

#[tokio::test]
async fn unusable_data_folder_is_an_error_that_names_it() {
    let story = Restarts::new();
    let start = |data_dir: &Path| {
        let options = Options { data_dir: Some(data_dir.to_owned()), ..Options::new(story.config.path()) };
        Pipeline::start(options)
    };
    story.write("file", "");
    let file = story.config.path().join("file");
    let error = start(&file).unwrap_err();
    assert!(matches!(&error, StartError::DataDir { folder, source: DataDirError::Io(_) } if *folder == file));
    assert!(error.to_string().contains("--data-dir"), "{error}");
    let error = start(story.config.path()).unwrap_err();
    assert!(matches!(error, StartError::DataDir { source: DataDirError::Overlap { .. }, .. }));
    let first = story.start().await;
    let error = start(story.data.path()).unwrap_err();
    assert!(matches!(error, StartError::DataDir { source: DataDirError::InUse, .. }));
    drop(first);
    assert!(start(story.data.path()).is_ok());
}

/// A file that also holds what the server does not know is kept like any other; one that is not is named.
#[tokio::test]
async fn file_with_other_kinds_is_kept_and_what_is_not_kept_is_told() {
    let story = Restarts::new();
    let other = "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: orders}\n";
    let mixed = other.to_owned() + &service("orders", &["10.0.0.1"]);
    story.write("mixed.yaml", &mixed);
    story.write("values.yaml", "replicas: 3\n");
    story.write("broken.yaml", "a: [");
    let pipeline = story.start().await;
    story.until_kept("mixed.yaml", mixed.as_str()).await;
    let state = pipeline.state().borrow().clone();
    assert_eq!((state.passed_over, state.not_kept.clone()), (2, vec!["broken.yaml".to_owned()]));
    drop(pipeline);

    story.write("mixed.yaml", "a: [");
    let pipeline = story.start().await;
    assert_eq!(stale(&pipeline), ["ServiceEntry orders"]);
    assert_eq!(pipeline.state().borrow().not_kept, ["broken.yaml"]);
    story.write("broken.yaml", service("users", &["10.0.1.1"]));
    until(&mut pipeline.state(), |state| state.not_kept.is_empty()).await;
}
