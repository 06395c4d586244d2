use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::Files;
use super::last_good::Texts;
use super::read::{read_bounded, read_file};
use super::scan::Links;
use crate::source::{Event, Key, Place, Sourced};
use crate::state::Diagnostic;

fn workload(name: &str, address: &str) -> String {
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {{name: {name}}}\nspec: {{address: {address}}}\n"
    )
}

/// A folder, its files and a clock.
struct Story {
    folder: TempDir,
    files: Files,
    now: Instant,
    seen: Seen,
}

/// What all events so far leave.
#[derive(Default)]
struct Seen {
    objects: BTreeMap<Key, Sourced>,
    refused: BTreeSet<Key>,
    diagnostics: BTreeMap<Place, Vec<Diagnostic>>,
    texts: Texts,
}

impl Seen {
    fn take(&mut self, events: Vec<Event>) {
        for event in events {
            match event {
                Event::Upsert(key, one) => {
                    self.refused.remove(&key);
                    self.objects.insert(key, one);
                }
                Event::Delete(key) => {
                    let was_known = self.objects.remove(&key).is_some() || self.refused.remove(&key);
                    assert!(was_known, "deleted twice: {key:?}");
                }
                Event::Diagnostics(place, found) => drop(self.diagnostics.insert(place, found)),
                Event::Text(place, Some(text)) => drop(self.texts.insert(place, text)),
                Event::Text(place, None) => drop(self.texts.remove(&place)),
                Event::Refuse(key, _) => {
                    self.objects.remove(&key);
                    self.refused.insert(key);
                }
                Event::PassedOver(..) | Event::Hidden(..) | Event::Synced => {}
            }
        }
    }
}

impl Story {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let files = Files::new(folder.path().to_owned(), Duration::ZERO);
        Self { folder, files, now: Instant::now(), seen: Seen::default() }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    /// Whether there were events.
    fn rescan(&mut self) -> bool {
        let events = self.files.rescan(self.now);
        let any = !events.is_empty();
        self.seen.take(events);
        any
    }

    /// Looks, waits until a file that is gone is taken to be gone, and looks again.
    fn settle(&mut self) {
        self.rescan();
        if let Some(deadline) = self.files.deadline() {
            self.now = deadline;
            self.rescan();
        }
        assert_eq!(self.files.deadline(), None);
    }

    /// `file/name`, with `!` for what is only remembered.
    fn objects(&self) -> Vec<String> {
        let mut objects: Vec<String> = self
            .seen
            .objects
            .values()
            .map(|one| {
                let mark = if one.stale { "!" } else { "" };
                format!("{}/{}{mark}", one.object.origin.name(), one.object.id.name)
            })
            .collect();
        objects.sort();
        objects
    }

    fn diagnostics(&self) -> Vec<String> {
        self.seen.diagnostics.values().flatten().map(ToString::to_string).collect()
    }
}

#[test]
fn yaml_files_of_all_subfolders_are_read_and_hidden_ones_are_not() {
    let mut story = Story::new();
    let a = workload("a", "10.0.0.1");
    for name in
        ["a.yaml", "b.yml", "deep/er/c.yaml", ".hidden.yaml", ".git/d.yaml", "notes.txt", "e.yaml.bak"]
    {
        story.write(name, &a);
    }
    assert!(story.rescan());
    assert_eq!(story.objects(), ["a.yaml/a", "b.yml/a", "deep/er/c.yaml/a"]);
    assert!(!story.rescan(), "nothing has changed");
}

#[test]
fn broken_file_keeps_its_last_good_objects_and_others_unchanged() {
    let mut story = Story::new();
    story.write("a.yaml", &(workload("a", "10.0.0.1") + &workload("b", "10.0.0.2")));
    story.write("c.yaml", &workload("c", "10.0.0.3"));
    story.rescan();
    story.write("a.yaml", "a: [1,\n  : }");
    story.write("c.yaml", &(workload("c", "10.0.0.3") + &workload("d", "10.0.0.4")));
    assert!(story.rescan());
    assert_eq!(story.objects(), ["a.yaml/a!", "a.yaml/b!", "c.yaml/c", "c.yaml/d"]);
    assert_eq!(story.diagnostics().len(), 1);
    assert!(story.diagnostics()[0].starts_with("a.yaml:2:"), "{:?}", story.diagnostics());
    assert!(story.diagnostics()[0].ends_with("what was last good of this file stays in use"));
    story.write("a.yaml", &workload("b", "10.0.0.2"));
    story.rescan();
    assert_eq!(story.objects(), ["a.yaml/b", "c.yaml/c", "c.yaml/d"]);
    assert_eq!(story.diagnostics(), [""; 0]);
}

#[test]
fn broken_object_keeps_its_last_good_version_and_the_rest_of_the_file_changes() {
    let mut story = Story::new();
    story.write(
        "a.yaml",
        &(workload("a", "10.0.0.1") + &workload("b", "10.0.0.2") + &workload("c", "10.0.0.3")),
    );
    story.rescan();
    story.write("a.yaml", &(workload("a", "'10.0.0.1', wieght: 1") + &workload("b", "10.0.0.9")));
    story.rescan();
    assert_eq!(story.objects(), ["a.yaml/a!", "a.yaml/b"], "c has been deleted");
    story.write("a.yaml", &(workload("a", "10.0.0.1").replace("name: a", "") + &workload("d", "10.0.0.9")));
    story.rescan();
    assert_eq!(story.objects(), ["a.yaml/a!", "a.yaml/b!", "a.yaml/d"], "the broken one may be any of them");
}

#[test]
fn file_that_is_broken_at_the_start_is_absent() {
    let mut story = Story::new();
    story.write("a.yaml", "a: [");
    story.write("b.yaml", &workload("b", "10.0.0.2"));
    story.rescan();
    assert_eq!(story.objects(), ["b.yaml/b"]);
    assert!(story.diagnostics()[0].ends_with("nothing of this file is in use"), "{:?}", story.diagnostics());
}

#[test]
fn missing_or_empty_file_is_removed_after_a_grace_period() {
    let mut story = Story::new();
    story.write("a.yaml", &workload("a", "10.0.0.1"));
    story.write("b.yaml", &workload("b", "10.0.0.2"));
    story.rescan();
    fs::remove_file(story.path("a.yaml")).unwrap();
    story.write("b.yaml", "# soon\n");
    assert!(!story.rescan());
    story.now += Duration::from_millis(100);
    story.write("a.yaml", &workload("a", "10.0.0.1"));
    story.write("b.yaml", &workload("b", "10.0.0.3"));
    assert!(story.rescan());
    assert_eq!(story.objects(), ["a.yaml/a", "b.yaml/b"]);
    assert_eq!(story.files.deadline(), None);

    fs::remove_file(story.path("a.yaml")).unwrap();
    story.write("b.yaml", "");
    story.settle();
    assert_eq!(story.objects(), [""; 0]);
    assert_eq!(story.diagnostics(), [""; 0]);
}

#[test]
fn file_being_written_is_read_when_unchanged() {
    let mut story = Story::new();
    story.write("a.yaml", &workload("a", "10.0.0.1"));
    story.files = Files::new(story.folder.path().to_owned(), Duration::from_secs(3600));
    assert!(story.rescan(), "the first time, everything is read");
    story.write("a.yaml", &workload("b", "10.0.0.2"));
    story.write("new.yaml", &workload("c", "10.0.0.3"));
    assert!(!story.rescan());
    assert_eq!(story.files.deadline(), Some(story.now + Duration::from_secs(3600)));
    for name in ["a.yaml", "new.yaml"] {
        let file = fs::OpenOptions::new().append(true).open(story.path(name)).unwrap();
        file.set_modified(std::time::SystemTime::now() - Duration::from_secs(3601)).unwrap();
    }
    assert!(story.rescan());
    assert_eq!(story.objects(), ["a.yaml/b", "new.yaml/c"]);
    assert_eq!(story.files.deadline(), None);
}

#[test]
fn change_that_keeps_length_and_time_is_seen() {
    let mut story = Story::new();
    story.write("a.yaml", &workload("a", "10.0.0.1"));
    story.rescan();
    let modified = fs::metadata(story.path("a.yaml")).unwrap().modified().unwrap();
    story.write("a.yaml", &workload("b", "10.0.0.2"));
    let file = fs::OpenOptions::new().append(true).open(story.path("a.yaml")).unwrap();
    file.set_modified(modified).unwrap();
    assert!(story.rescan());
    assert_eq!(story.objects(), ["a.yaml/b"]);
}

#[test]
fn missing_folder_keeps_last_good_objects() {
    let mut story = Story::new();
    story.write("sub/a.yaml", &workload("a", "10.0.0.1"));
    story.rescan();
    fs::rename(story.folder.path(), story.folder.path().with_extension("away")).unwrap();
    assert!(story.rescan());
    story.now += Duration::from_secs(60);
    assert!(!story.rescan());
    assert_eq!(story.objects(), ["sub/a.yaml/a"]);
    assert!(story.diagnostics()[0].contains("cannot read the folder"), "{:?}", story.diagnostics());
    fs::rename(story.folder.path().with_extension("away"), story.folder.path()).unwrap();
    assert!(story.rescan());
    assert_eq!(story.diagnostics(), [""; 0]);
}

#[test]
fn unreadable_folder_falls_back_to_stored_texts() {
    let mut story = Story::new();
    let away = story.folder.path().with_extension("away");
    fs::rename(story.folder.path(), &away).unwrap();
    let texts = [("sub/a.yaml".into(), workload("a", "10.0.0.1").into())].into();
    let remembered = story.files.remember(&texts);
    story.seen.take(remembered);
    assert_eq!(story.objects(), ["sub/a.yaml/a"]);
    story.files.forget_missing();
    assert!(story.rescan());
    assert_eq!(story.objects(), ["sub/a.yaml/a"]);
    assert_eq!(story.seen.texts, texts, "they stay for the next start");
    fs::rename(&away, story.folder.path()).unwrap();
    story.settle();
    assert_eq!(story.objects(), [""; 0]);
    assert_eq!(story.seen.texts, [].into());
}

#[test]
fn text_that_is_not_utf_8_is_reported() {
    let mut story = Story::new();
    fs::write(story.path("a.yaml"), b"a: \xff\xfe").unwrap();
    assert!(story.rescan());
    assert!(
        story.diagnostics()[0].starts_with("a.yaml:0:0: error: cannot read the file"),
        "{:?}",
        story.diagnostics()
    );
    assert!(!story.rescan(), "told once");
}

#[cfg(unix)]
#[test]
fn links_of_config_map_mounts_are_followed() {
    use std::os::unix::fs::symlink;

    let mut story = Story::new();
    let link = |target: &str, name: &Path| {
        let _ = fs::remove_file(name);
        symlink(target, name).unwrap();
    };
    story.write("..first/a.yaml", &workload("a", "10.0.0.1"));
    link("..first", &story.path("..data"));
    link("..data/a.yaml", &story.path("a.yaml"));
    link(".", &story.path("loop"));
    link("nowhere", &story.path("broken.yaml"));
    story.rescan();
    assert_eq!(story.objects(), ["a.yaml/a"]);
    story.write("..second/a.yaml", &workload("b", "10.0.0.1"));
    link("..second", &story.path("..data"));
    assert!(story.rescan());
    assert_eq!(story.objects(), ["a.yaml/b"]);
}

#[cfg(unix)]
#[test]
fn unreadable_entry_keeps_last_good_objects() {
    let mut story = Story::new();
    story.write("sub/a.yaml", &workload("a", "10.0.0.1"));
    story.write("b.yaml", &workload("b", "10.0.0.1"));
    story.rescan();
    fs::remove_dir_all(story.path("sub")).unwrap();
    fs::remove_file(story.path("b.yaml")).unwrap();
    for name in ["sub", "b.yaml"] {
        // Not even root can look at a link that leads to itself.
        std::os::unix::fs::symlink(story.path(name), story.path(name)).unwrap();
    }
    story.settle();
    assert_eq!(story.objects(), ["b.yaml/b", "sub/a.yaml/a"]);
    let said = story.diagnostics().join("\n");
    for part in ["sub/:0:0: error: cannot read the folder", "b.yaml:0:0: error: cannot read the file"] {
        assert!(said.contains(part), "{said}");
    }
    for name in ["sub", "b.yaml"] {
        fs::remove_file(story.path(name)).unwrap();
    }
    story.settle();
    assert_eq!(story.objects(), [""; 0]);
}

#[test]
fn json_files_are_read_as_json() {
    let mut story = Story::new();
    let text = "{\"apiVersion\": \"networking.istio.io/v1\", \"kind\": \"WorkloadEntry\",\n \"metadata\": {\"name\": \"a\"}, \"spec\": \
                {\"address\": \"10.0.0.1\"}}";
    story.write("a.json", text);
    story.rescan();
    assert_eq!(story.objects(), ["a.json/a"]);
    story.write("a.json", &text.replace("\"spec\"", "spec"));
    story.rescan();
    assert_eq!(story.objects(), ["a.json/a!"]);
    assert_eq!(
        story.diagnostics(),
        [
            "a.json:2:29: error: not valid JSON: key must be a string; what was last good of this file stays in use"
        ]
    );
}

#[cfg(unix)]
#[test]
fn links_out_of_the_folder_are_read_only_if_allowed() {
    use std::os::unix::fs::symlink;

    let outside = Story::new();
    outside.write("b.yaml", &workload("b", "10.0.0.2"));
    outside.write("sub/c.yaml", &workload("c", "10.0.0.3"));
    outside.write("notes.txt", "");
    let mut story = Story::new();
    story.write("b.yaml", &workload("b", "10.0.0.1"));
    story.rescan();
    fs::remove_file(story.path("b.yaml")).unwrap();
    for (target, name) in [("b.yaml", "b.yaml"), ("sub", "sub"), ("notes.txt", "notes.txt")] {
        symlink(outside.path(target), story.path(name)).unwrap();
    }
    story.settle();
    assert_eq!(story.objects(), ["b.yaml/b"], "what was last good of it");
    let mut found = story.diagnostics();
    found.sort();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("b.yaml:0:0: error: cannot read the file: it is a link"), "{found:?}");
    assert!(found[1].starts_with("sub/:0:0: error: cannot read the folder: it is a link"), "{found:?}");
    assert!(found[1].contains("--follow-links"));

    story.files = Files::new(story.folder.path().to_owned(), Duration::ZERO).with_links(Links::Anywhere);
    story.seen = Seen::default();
    story.rescan();
    assert_eq!(story.objects(), ["b.yaml/b", "sub/c.yaml/c"]);
    assert_eq!(story.diagnostics(), [""; 0]);
}

#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_not_read() {
    let mut story = Story::new();
    let _socket = std::os::unix::net::UnixListener::bind(story.path("a.yaml")).unwrap();
    nix::unistd::mkfifo(&story.path("b.yaml"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    nix::unistd::mkfifo(&story.path("c"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    std::os::unix::fs::symlink("/dev/zero", story.path("d.yaml")).unwrap();
    story.write("e.yaml", &workload("e", "10.0.0.1"));
    story.files = Files::new(story.folder.path().to_owned(), Duration::ZERO).with_links(Links::Anywhere);
    story.rescan();
    assert_eq!(story.objects(), ["e.yaml/e"]);
    let found = story.diagnostics();
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found.iter().all(|one| one.contains("it is no regular file")), "{found:?}");
    for name in ["b.yaml", "d.yaml"] {
        let error = read_file(&story.path(name), 10).unwrap_err().to_string();
        assert_eq!(error, "it is no regular file", "even if it was one when the folder was scanned");
    }
}

#[test]
fn reading_ends_at_the_limit() {
    let error = read_bounded(std::io::repeat(b'#'), 1000).unwrap_err().to_string();
    assert_eq!(error, "it has more than 1000 bytes; split it into several files");
    assert_eq!(read_bounded(&b"1234"[..], 4).unwrap(), "1234");
}

#[test]
fn one_file_is_read_whatever_its_name_and_neighbours() {
    let mut story = Story::new();
    story.write("mesh.conf", &workload("a", "10.0.0.1"));
    story.write("other.yaml", &workload("b", "10.0.0.2"));
    story.files = Files::only(&story.path("mesh.conf"), Duration::ZERO);
    story.rescan();
    assert_eq!(story.objects(), ["mesh.conf/a"]);
    story.write("mesh.conf", "a: [");
    story.rescan();
    assert_eq!(story.objects(), ["mesh.conf/a!"]);
    fs::remove_file(story.path("mesh.conf")).unwrap();
    story.settle();
    assert_eq!(story.objects(), [""; 0]);
    fs::create_dir(story.path("mesh.conf")).unwrap();
    story.rescan();
    assert!(story.diagnostics()[0].contains("it is no regular file"), "{:?}", story.diagnostics());
}
