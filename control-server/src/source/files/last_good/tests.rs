use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::store::Store;
use super::{DataDirError, Keeper, LastGood, Texts, copy};
use crate::source::Event;

fn texts(pairs: &[(&str, &str)]) -> Texts {
    pairs.iter().map(|(name, text)| (Arc::from(*name), Arc::from(*text))).collect()
}

fn files(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

fn open(folder: &Path) -> Result<Store, DataDirError> {
    Store::open(folder, &[Path::new("no such configuration")])
}

/// What a restart finds.
fn copies(folder: &Path) -> Texts {
    open(folder).unwrap().copies().clone()
}

/// All files under a folder.
fn tree(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(path) = pending.pop() {
        for entry in fs::read_dir(path).unwrap() {
            let entry = entry.unwrap().path();
            if entry.is_dir() {
                pending.push(entry)
            } else {
                found.push(entry.strip_prefix(folder).unwrap().to_owned())
            }
        }
    }
    found.sort();
    found
}

#[test]
fn broken_file_keeps_its_text_and_a_deleted_one_is_forgotten() {
    let mut state = LastGood::default();
    state.take(&texts(&[("a", "1"), ("b", "1"), ("c", "bad"), ("d", "1")]), &files(&["c"]));
    assert_eq!(*state.each(), texts(&[("a", "1"), ("b", "1"), ("d", "1")]));
    state.take(&texts(&[("a", "2"), ("b", "bad"), ("c", "bad")]), &files(&["b", "c"]));
    assert_eq!(*state.each(), texts(&[("a", "2"), ("b", "1")]));
    state.take(&Texts::new(), &files(&[]));
    assert_eq!(state.to_copies(), Texts::new());
}

#[test]
fn related_texts_stay_until_all_are_good_again() {
    let mut state = LastGood::default();
    state.take(&texts(&[("definer", "1"), ("user", "1"), ("other", "1")]), &files(&[]));
    assert!(state.to_copies().keys().all(|path| path.starts_with("last-good/")));
    state.take(&texts(&[("definer", "2"), ("user", "1")]), &files(&["user"]));
    assert_eq!(*state.each(), texts(&[("definer", "2"), ("user", "1")]));
    assert_eq!(*state.together(), texts(&[("definer", "1"), ("user", "1"), ("other", "1")]));

    let restarted = LastGood::from_copies(&state.to_copies());
    assert_eq!((restarted.each(), restarted.together()), (state.each(), state.together()));
    state.take(&texts(&[("definer", "2"), ("user", "2")]), &files(&[]));
    assert_eq!(state.to_copies(), texts(&[("last-good/definer", "2"), ("last-good/user", "2")]));
}

#[test]
fn copy_is_whole_or_nothing() {
    for text in ["", "\n", "a: 1", "a: 1\n---\nb: 2\n", "\u{feff}ä: ö\r\n"] {
        let whole = copy::encode(text);
        assert_eq!(copy::decode(&whole), Some(text));
        for end in (0..whole.len()).filter(|end| whole.is_char_boundary(*end)) {
            assert_eq!(copy::decode(&whole[..end]), None, "{text:?} up to {end}");
        }
        for changed in 0..whole.len() {
            let mut bytes = whole.clone().into_bytes();
            bytes[changed] ^= 1;
            let different = String::from_utf8(bytes).ok();
            assert_eq!(different.as_deref().and_then(copy::decode), None, "{text:?} at {changed}");
        }
        assert_eq!(copy::decode(&format!("{whole} ")), None);
    }
}

#[test]
fn stored_texts_are_read_back() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("not/there/yet");
    let first =
        texts(&[("last-good/a.yaml", "1"), ("last-good/sub/deep/b.yml", ""), ("all-good/a.yaml", "0")]);
    assert!(open(&data).unwrap().write(&first));
    assert_eq!(copies(&data), first);
    let second = texts(&[("last-good/a.yaml", "2"), ("last-good/sub/c.yaml", "1")]);
    assert!(open(&data).unwrap().write(&second));
    assert_eq!(copies(&data), second);
    assert!(open(&data).unwrap().write(&Texts::new()));
    assert_eq!(copies(&data), Texts::new());
    assert_eq!(tree(&data), [PathBuf::from("lock")], "no temporary file stays");
}

#[test]
fn files_and_folders_may_take_each_others_names() {
    let folder = TempDir::new().unwrap();
    for names in [["last-good/x.yaml"], ["last-good/x.yaml/y.yaml"], ["last-good/x.yaml"]] {
        let wanted = texts(&names.map(|name| (name, "1")));
        assert!(open(folder.path()).unwrap().write(&wanted));
        assert_eq!(copies(folder.path()), wanted);
    }
}

#[test]
fn copies_that_are_not_whole_are_left_out_and_replaced() {
    let folder = TempDir::new().unwrap();
    let wanted = texts(&[("last-good/a.yaml", "kind: A\n---\nkind: B\n"), ("last-good/b.yaml", "1")]);
    assert!(open(folder.path()).unwrap().write(&wanted));
    let path = folder.path().join("last-good/a.yaml");
    let whole = fs::read(&path).unwrap();
    let rest = texts(&[("last-good/b.yaml", "1")]);
    for end in 0..whole.len() {
        fs::write(&path, &whole[..end]).unwrap();
        assert_eq!(copies(folder.path()), rest, "up to {end}");
    }
    fs::write(&path, b"\xff\xfe\0").unwrap();
    fs::write(folder.path().join("last-good/strange.yaml"), "of another program").unwrap();
    let mut store = open(folder.path()).unwrap();
    assert_eq!(*store.copies(), rest);
    assert!(store.write(&wanted));
    drop(store);
    assert_eq!(copies(folder.path()), wanted);
    assert!(folder.path().join("last-good/strange.yaml").exists(), "not ours");
}

#[test]
fn unfinished_write_is_no_copy() {
    let folder = TempDir::new().unwrap();
    let wanted = texts(&[("last-good/a.yaml", "1")]);
    assert!(open(folder.path()).unwrap().write(&wanted));
    fs::write(folder.path().join("last-good/.new"), "half").unwrap();
    assert_eq!(copies(folder.path()), wanted);
    assert!(open(folder.path()).unwrap().write(&texts(&[("last-good/a.yaml", "2")])));
    assert!(!folder.path().join("last-good/.new").exists());
}

#[test]
fn failed_write_is_reported_and_delays_no_other() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path()).unwrap();
    let in_the_way = folder.path().join("last-good/a.yaml");
    fs::create_dir_all(in_the_way.join("not empty")).unwrap();
    let wanted = texts(&[("last-good/a.yaml", "1"), ("last-good/b.yaml", "1")]);
    assert!(!store.write(&wanted));
    assert_eq!(*store.copies(), texts(&[("last-good/b.yaml", "1")]));
    fs::remove_dir_all(in_the_way).unwrap();
    assert!(store.write(&wanted));
    drop(store);
    assert_eq!(copies(folder.path()), wanted);
}

#[test]
fn one_server_has_a_data_folder_at_a_time() {
    let folder = TempDir::new().unwrap();
    let mut first = open(folder.path()).unwrap();
    assert!(matches!(open(folder.path()), Err(DataDirError::InUse)));
    first.lock().release();
    assert_eq!(copies(folder.path()), Texts::new());
    first.write(&texts(&[("last-good/a.yaml", "too late")]));
    assert_eq!(copies(folder.path()), Texts::new());
}

#[test]
fn data_folder_and_the_configuration_do_not_overlap() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir_all(path("config/deep")).unwrap();
    fs::create_dir_all(path("data/last-good/deep")).unwrap();
    for (data, config, is_fine) in [
        ("config", "config", false),
        ("config/deep/data", "config", false),
        ("data", "data/last-good", false),
        ("data", "data/last-good/deep", false),
        ("data", "config", true),
        (".", "config", true),
        ("config2", "config", true),
    ] {
        let opened = Store::open(&path(data), &[path(config)]);
        let refused =
            matches!(&opened, Err(DataDirError::Overlap { config: named }) if *named == path(config));
        assert_eq!((opened.is_ok(), refused), (is_fine, !is_fine), "{data} for {config}");
    }
}

#[tokio::test(start_paused = true)]
async fn failed_write_is_tried_again_by_itself() {
    let folder = TempDir::new().unwrap();
    let mut keeper = Keeper::open(folder.path(), &[Path::new("no such configuration")]).unwrap();
    let (first, second) = (folder.path().join("last-good/a.yaml"), folder.path().join("last-good/b.yaml"));
    fs::create_dir_all(first.join("not empty")).unwrap();
    keeper.take(&["a.yaml", "b.yaml"].map(|name| Event::Text(name.into(), Some("1".into()))));
    keeper.keep(&BTreeSet::new());
    let once = async |path: &Path| {
        while !path.is_file() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(600), once(&second)).await.unwrap();
    fs::remove_dir_all(&first).unwrap();
    tokio::time::timeout(Duration::from_secs(600), once(&first)).await.unwrap();
}
