//! Several folders as one configuration.

use super::*;
use crate::pipeline::labels;

/// Folders of one configuration, and a data folder.
struct Folders {
    root: TempDir,
}

impl Folders {
    fn new() -> Self {
        let root = TempDir::new().unwrap();
        for folder in ["base", "overlay", "data"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        Self { root }
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.root.path().join(file), text).unwrap();
    }

    fn start(&self, folders: &[&str]) -> Pipeline {
        let folders = folders.iter().map(|folder| self.root.path().join(folder)).collect();
        let options = Options {
            debounce: Duration::from_millis(5),
            rescan: Duration::from_millis(200),
            data_dir: Some(self.root.path().join("data")),
            ..Options::of_folders(folders)
        };
        Pipeline::start(options).unwrap()
    }
}

fn files(pipeline: &Pipeline) -> Vec<String> {
    let state = pipeline.state().borrow().clone();
    state
        .objects
        .iter()
        .map(|one| format!("{} {}{}", one.name, one.file, if one.stale { " stale" } else { "" }))
        .collect()
}

#[tokio::test]
async fn earlier_folder_goes_first_whatever_its_name() {
    let story = Folders::new();
    story.write("base/orders.yaml", &(service("orders", &["10.0.0.1"]) + &service("users", &["10.0.1.1"])));
    story.write("overlay/orders.yaml", &service("orders", &["10.0.0.2"]));
    for (order, winner, found) in [
        (["overlay", "base"], "orders overlay/orders.yaml", "base/orders.yaml:4:18"),
        (["base", "overlay"], "orders base/orders.yaml", "overlay/orders.yaml:4:18"),
    ] {
        let pipeline = story.start(&order);
        until(&mut pipeline.state(), |state| state.synced).await;
        assert_eq!(files(&pipeline), [winner, "users base/orders.yaml"]);
        let errors = errors(&pipeline.state().borrow());
        assert!(errors[0].starts_with(found) && errors[0].contains("already"), "{errors:?}");
    }
}

/// Of objects with other names that are for one host, too, the one of the earlier folder counts.
#[tokio::test]
async fn rules_of_the_earlier_folder_count_for_a_host() {
    let story = Folders::new();
    story.write(
        "base/orders.yaml",
        &(service("orders", &["10.0.0.1", "10.0.0.2"]) + &rule("orders", &["v1", "v2"])),
    );
    story.write("base/routes.yaml", &routes("orders", "v1").replace("name: orders", "name: base"));
    story.write("overlay/routes.yaml", &routes("orders", "v2").replace("name: orders", "name: overlay"));
    let pipeline = story.start(&["overlay", "base"]);
    until(&mut pipeline.state(), |state| state.synced).await;
    let conflicts =
        pipeline.state().borrow().diagnostics.iter().map(|one| one.object.clone()).collect::<Vec<_>>();
    assert_eq!(conflicts, ["VirtualService shop/base"]);
}

#[tokio::test]
async fn every_folder_is_followed_and_kept() {
    let story = Folders::new();
    let orders = service("orders", &["10.0.0.1"]);
    story.write("base/a.yaml", &service("users", &["10.0.1.1"]));
    story.write("overlay/a.yaml", &orders);
    let pipeline = story.start(&["base", "overlay"]);
    until(&mut pipeline.state(), |state| state.objects.len() == 2).await;
    story.write("overlay/b.yaml", &service("carts", &["10.0.2.1"]));
    until(&mut pipeline.state(), |state| state.objects.len() == 3).await;
    let kept = story.root.path().join("data/last-good/overlay/a.yaml");
    let waiting = async {
        while !fs::read_to_string(&kept).is_ok_and(|text| text.ends_with(&orders)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap();
    drop(pipeline);
    story.write("overlay/a.yaml", "kind: [");
    let pipeline = story.start(&["base", "overlay"]);
    until(&mut pipeline.state(), |state| state.synced).await;
    assert_eq!(
        files(&pipeline),
        ["carts overlay/b.yaml", "orders overlay/a.yaml stale", "users base/a.yaml"]
    );
}

#[test]
fn folders_of_one_name_are_told_apart() {
    let rows: [(&[&str], &[&str]); 4] = [
        (&["etc/config"], &[""]),
        (&["a/config", "b/config", "c/config"], &["config/", "config-2/", "config-3/"]),
        (&["config-2", "a/config", "b/config"], &["config-2/", "config/", "config-3/"]),
        (&[".", ".hidden"], &["config/", "hidden/"]),
    ];
    for (folders, expected) in rows {
        let folders: Vec<_> = folders.iter().map(Into::into).collect();
        assert_eq!(labels(&folders), expected, "{folders:?}");
    }
}
