//! Merging of sources.

use std::sync::Arc;

use super::{Change, Changes, Entries, Event, Merge};

fn workload(name: &str, address: &str) -> String {
    annotated(name, address, "")
}

fn annotated(name: &str, address: &str, note: &str) -> String {
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {{name: {name}, annotations: {{note: '{note}'}}}}\n\
         spec: {{address: {address}}}\n"
    )
}

/// Several sources and what they are merged to.
struct Story {
    sources: Vec<Entries>,
    merge: Merge,
}

impl Story {
    fn new(sources: usize) -> Self {
        Self { sources: (0..sources).map(|_| Entries::default()).collect(), merge: Merge::new(sources) }
    }

    fn write(&mut self, source: usize, name: &str, text: &str) -> &mut Self {
        self.sources[source].read(name, text);
        self.merge.take(source, self.sources[source].take_events());
        self
    }

    fn remove(&mut self, source: usize, name: &str) -> &mut Self {
        self.sources[source].retain(|file| file != name);
        self.merge.take(source, self.sources[source].take_events());
        self
    }

    fn sync(&mut self, source: usize) -> &mut Self {
        self.merge.take(source, vec![Event::Synced]);
        self
    }

    fn changes(&mut self) -> Vec<String> {
        described(&self.merge.changes().expect("synced"))
    }

    fn diagnostics(&mut self) -> Vec<String> {
        self.merge.changes_so_far().diagnostics.iter().map(ToString::to_string).collect()
    }
}

/// `+name file:line` for an upsert, `~` for one that has moved, `-name` for a deletion, `!` for a remembered version, `?name of
/// hosts` for an object that is refused.
fn described(changes: &Changes) -> Vec<String> {
    let describe = |change: &Change| {
        let (sign, one) = match change {
            Change::Upsert(one) => ('+', one),
            Change::Moved(one) => ('~', one),
            Change::Refused(refused) => return format!("?{} of {}", refused.id, refused.hosts.join(" ")),
            Change::Delete(id) => return format!("-{}", id.name),
        };
        let status = one.object.status(one.stale);
        let mark = if one.stale { "!" } else { "" };
        format!("{sign}{} {}:{}{mark}", status.name, status.file, status.line)
    };
    changes.objects.iter().map(describe).collect()
}

#[test]
fn source_that_is_late_delays_the_first_changes() {
    let mut story = Story::new(2);
    story.write(0, "a", &workload("a", "10.0.0.1")).sync(0);
    assert!(story.merge.changes().is_none());
    story.write(1, "b", &workload("b", "10.0.0.1"));
    assert!(story.merge.changes().is_none());
    assert_eq!(story.sync(1).changes(), ["+a a:2", "+b b:2"]);
    assert_eq!(story.changes(), [""; 0]);
}

#[test]
fn only_content_that_differs_is_an_upsert() {
    let (a, b) = (workload("a", "10.0.0.1"), workload("b", "10.0.0.2"));
    let mut story = Story::new(1);
    story.write(0, "f", &(a.clone() + &b)).sync(0);
    assert_eq!(story.changes(), ["+a f:2", "+b f:7"]);
    for (what, text, expected) in [
        ("the same text", a.clone() + &b, vec![]),
        ("a comment behind them", a.clone() + &b + "# end\n", vec![]),
        ("an annotation", annotated("a", "10.0.0.1", "x") + &b, vec!["~a f:2"]),
        ("without it", a.clone() + &b, vec!["~a f:2"]),
        ("another address", workload("a", "10.0.0.9") + &b, vec!["+a f:2"]),
        ("a line above", "# first\n".to_owned() + &workload("a", "10.0.0.9") + &b, vec!["~a f:3", "~b f:8"]),
        ("broken as a whole", "a: [".to_owned(), vec!["~a f:3!", "~b f:8!"]),
        ("another order", b.clone() + &a, vec!["+a f:7", "~b f:2"]),
        ("one of them", a.clone(), vec!["~a f:2", "-b"]),
    ] {
        assert_eq!(story.write(0, "f", &text).changes(), expected, "{what}");
    }
    story.remove(0, "f").write(0, "g", &a);
    assert_eq!(story.changes(), ["~a g:2"], "moved to another file");
    assert_eq!(story.remove(0, "g").changes(), ["-a"]);
    story.write(0, "g", &a).remove(0, "g");
    assert_eq!(story.changes(), [""; 0], "came and went");
}

#[test]
fn written_goes_before_remembered_then_source_then_file_and_line() {
    let (one, two) = (workload("a", "10.0.0.1"), workload("a", "10.0.0.2"));
    let mut story = Story::new(2);
    story.write(1, "a", &one).sync(0).sync(1);
    assert_eq!(story.changes(), ["+a a:2"]);
    assert_eq!(story.write(0, "z", &two).changes(), ["+a z:2"], "an earlier source");
    assert_eq!(
        story.diagnostics(),
        [
            "a:4:18: error: WorkloadEntry default/a: metadata.name: an object of this kind, namespace and name stands in z:2 already"
        ]
    );
    assert_eq!(
        story.write(0, "y", &(one.clone() + &two)).changes(),
        ["+a y:2"],
        "an earlier file, its first line"
    );
    assert_eq!(story.diagnostics().len(), 3);
    assert_eq!(story.write(0, "y", "a: [").changes(), ["+a z:2"], "a written one");
    assert_eq!(story.diagnostics().len(), 2, "of the broken file, and of the later source");
    assert_eq!(story.remove(0, "z").changes(), ["+a a:2"]);
    assert_eq!(story.remove(1, "a").changes(), ["~a y:2!"]);
    assert_eq!(story.remove(0, "y").changes(), ["-a"]);
    assert_eq!(story.diagnostics(), [""; 0]);
}

#[test]
fn diagnostics_are_the_same_allocation_until_they_change() {
    let mut story = Story::new(1);
    story.write(0, "f", "a: [").write(0, "g", &workload("a", "10.0.0.1")).sync(0);
    let first = story.merge.changes_so_far().diagnostics;
    let second = story.write(0, "g", &workload("a", "10.0.0.2")).merge.changes_so_far().diagnostics;
    assert!(std::sync::Arc::ptr_eq(&first, &second));
    assert_eq!(story.write(0, "f", "").diagnostics(), [""; 0]);
}

#[test]
fn refused_object_is_handed_on_until_there_is_a_good_one() {
    let good = workload("a", "10.0.0.1");
    let broken = good.replace("address: 10.0.0.1", "address: 10.0.0.1, wieght: 1");
    let mut story = Story::new(1);
    assert_eq!(story.write(0, "f", &broken).sync(0).changes(), ["?WorkloadEntry default/a of "]);
    assert_eq!(story.write(0, "f", &(broken.clone() + "# still\n")).changes(), [""; 0]);
    assert_eq!(story.write(0, "f", "a: [").changes(), [""; 0], "nothing else is known");
    assert_eq!(story.write(0, "g", &good).changes(), ["+a g:2"], "a good one elsewhere");
    assert_eq!(story.remove(0, "g").changes(), ["?WorkloadEntry default/a of "]);
    assert_eq!(story.write(0, "f", &good).changes(), ["+a f:2"]);
    assert_eq!(story.write(0, "f", &broken).changes(), ["~a f:2!"], "the last good version");
    assert_eq!(story.write(0, "f", "# nothing\n").changes(), ["-a"]);
    assert_eq!(story.write(0, "f", &broken).changes(), ["?WorkloadEntry default/a of "]);
    assert_eq!(story.remove(0, "f").changes(), ["-a"]);
    assert_eq!(story.changes(), [""; 0]);
}

#[test]
fn hosts_of_a_refused_object_are_read_as_far_as_they_can_be() {
    let hosts = |kind: &str, spec: &str| {
        let group = if kind == "GRPCRoute" { "gateway.networking.k8s.io" } else { "networking.istio.io" };
        let text = format!("apiVersion: {group}/v1\nkind: {kind}\nmetadata: {{name: a}}\nspec: {spec}\n");
        let mut story = Story::new(1);
        let changes = story.write(0, "f", &text).sync(0).changes();
        changes.first().and_then(|change| change.split_once(" of ")).map(|(_, hosts)| hosts.to_owned())
    };
    for (kind, spec, expected) in [
        ("VirtualService", "{hosts: [orders, 5, users.shop], http: 7}", "orders users.shop"),
        ("VirtualService", "{hosts: orders, http: 7}", ""),
        ("VirtualService", "nothing", ""),
        ("DestinationRule", "{host: orders, trafficPolicy: 7}", "orders"),
        ("ServiceEntry", "{hosts: [a.example.com], ports: 7}", "a.example.com"),
        (
            "GRPCRoute",
            "{parentRefs: [{group: '', kind: Service, name: orders}, {group: '', kind: Service, name: a, namespace: b}, {name: gw}], rules: 7}",
            "orders a.b",
        ),
    ] {
        assert_eq!(hosts(kind, spec).as_deref(), Some(expected), "{kind} {spec}");
    }
}

/// Many endpoints have the same few labels, which are kept once for a file.
#[test]
fn equal_labels_of_a_file_are_one_allocation() {
    let mut entries = Entries::default();
    let entry = |name: &str| {
        format!(
            "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: {name}}}\nspec:\n  hosts: [{name}.b]\n  \
             resolution: STATIC\n  ports: [{{number: 80, name: grpc}}]\n  endpoints: [{{address: 10.0.0.1, labels: {{v: a}}}}, \
             {{address: 10.0.0.2, labels: {{v: b}}}}, {{address: 10.0.0.3, labels: {{v: a}}}}]\n"
        )
    };
    entries.read("a.yaml", &(entry("one") + &entry("two")));
    let mut labels = Vec::new();
    for event in entries.take_events() {
        let Event::Upsert(_, one) = event else { continue };
        let crate::kinds::Spec::ServiceEntry(entry) = &one.object.spec else { continue };
        labels.extend(entry.endpoints.iter().map(|endpoint| Arc::clone(&endpoint.labels)));
    }
    assert_eq!(labels.len(), 6);
    for (place, of_endpoint) in labels.iter().enumerate() {
        let same = labels[..place].iter().find(|other| *other == of_endpoint);
        assert!(same.is_none_or(|other| Arc::ptr_eq(other, of_endpoint)), "{place}");
    }
}
