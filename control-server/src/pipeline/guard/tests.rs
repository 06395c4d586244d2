use super::{Guard, MaxRemoval};
use crate::source::{Change, Entries, Event, Merge};

/// Files behind a guard, and the names of objects that have taken effect.
struct Story {
    entries: Entries,
    merge: Merge,
    guard: Guard,
}

impl Story {
    fn new() -> Self {
        let guard = Guard::new(MaxRemoval::default(), "x".to_owned());
        let mut merge = Merge::new(1);
        merge.take(0, vec![Event::Synced]);
        Self { entries: Entries::default(), merge, guard }
    }

    /// Reads a file and its change in one go; an empty text removes it.
    fn file(&mut self, name: &str, text: &str) -> Vec<String> {
        self.files(&[(name, text)])
    }

    fn files(&mut self, files: &[(&str, &str)]) -> Vec<String> {
        for (name, text) in files {
            match text.is_empty() {
                true => self.entries.retain(|file| file != *name),
                false => self.entries.read(name, text),
            }
        }
        self.merge.take(0, self.entries.take_events());
        let changes = self.merge.changes().unwrap().objects;
        described(&self.guard.admit(changes))
    }

    fn reasons(&self) -> Vec<String> {
        self.guard.waiting().map(|waiting| waiting.reasons.clone()).unwrap_or_default()
    }

    fn id(&self) -> String {
        self.guard.waiting().unwrap().id.clone()
    }
}

fn described(changes: &[Change]) -> Vec<String> {
    let describe = |change: &Change| {
        let sign = match change {
            Change::Upsert(_) => '+',
            Change::Moved(_) => '~',
            Change::Refused(_) => '?',
            Change::Delete(_) => '-',
        };
        format!("{sign}{}", change.id().name)
    };
    changes.iter().map(describe).collect()
}

fn object(kind: &str, name: &str, labels: &str, spec: &str) -> String {
    let version = match kind {
        "Service" => "v1",
        "EndpointSlice" => "discovery.k8s.io/v1",
        _ => "networking.istio.io/v1",
    };
    format!(
        "---\napiVersion: {version}\nkind: {kind}\nmetadata: {{name: {name}, namespace: shop, labels: {{{labels}}}}}\n{spec}\n"
    )
}

/// A service with this many endpoints.
fn service(name: &str, endpoints: usize) -> String {
    let addresses: Vec<_> = (0..endpoints).map(|index| format!("{{address: 10.0.0.{index}}}")).collect();
    let spec = format!(
        "spec: {{hosts: [{name}.shop], resolution: STATIC, ports: [{{number: 80, name: grpc}}], endpoints: [{}]}}",
        addresses.join(", ")
    );
    object("ServiceEntry", name, "", &spec)
}

fn services(count: usize) -> String {
    (0..count).map(|index| service(&format!("s{index}"), 1)).collect()
}

fn workloads(count: usize, labels: &str) -> String {
    let spec = |index| format!("spec: {{address: 10.0.1.{index}, labels: {{{labels}}}}}");
    (0..count).map(|index| object("WorkloadEntry", &format!("w{index}"), "", &spec(index))).collect()
}

fn slice(name: &str, service: &str, endpoints: usize) -> String {
    let addresses: Vec<_> = (0..endpoints).map(|index| format!("{{addresses: [10.0.2.{index}]}}")).collect();
    let text = format!(
        "addressType: IPv4\nports: [{{name: grpc, port: 80}}]\nendpoints: [{}]",
        addresses.join(", ")
    );
    object("EndpointSlice", name, &format!("kubernetes.io/service-name: {service}"), &text)
}

type Row<'a> = (&'a str, String, String, Option<&'a str>);

/// What one change from the first to the second text of each row would remove.
fn check(rows: &[Row<'_>]) {
    for (name, before, after, expected) in rows {
        let mut story = Story::new();
        assert_ne!(story.file("f", before), [""; 0], "{name}: the first set is never held back");
        let changed = story.file("f", after);
        let expected: Vec<&str> = expected.iter().copied().collect();
        assert_eq!(story.reasons(), expected, "{name}");
        assert!(expected.is_empty() || changed.is_empty(), "{name}: {changed:?}");
    }
}

#[test]
fn change_that_removes_more_than_half_and_at_least_ten_waits() {
    check(&[
        ("half of the endpoints", service("a", 20), service("a", 10), None),
        ("more than half", service("a", 20), service("a", 9), Some("11 of 20 endpoints of a.shop")),
        ("all of fewer than ten", service("a", 9), "# none".to_owned(), None),
        ("a service of ten", service("a", 10), "# none".to_owned(), Some("10 of 10 endpoints of a.shop")),
        ("half of the services", services(20), services(10), None),
        ("more than half of them", services(20), services(9), Some("11 of 20 services")),
        ("nine services", services(9), "# none".to_owned(), None),
        ("endpoints replaced", service("a", 20), service("a", 20).replace("10.0.0", "10.9.0"), None),
        (
            "another service's",
            service("a", 20) + &service("b", 100),
            service("a", 20) + &service("b", 51),
            None,
        ),
        ("the same elsewhere", service("a", 20), "# moved\n".to_owned() + &service("a", 20), None),
    ]);
}

#[test]
fn endpoints_that_services_select_are_counted() {
    let selecting = object(
        "ServiceEntry",
        "selecting",
        "",
        "spec: {hosts: [selecting.shop], resolution: STATIC, ports: [{number: 80, name: grpc}], workloadSelector: {labels: {app: a}}}",
    );
    let kubernetes = object("Service", "k", "", "spec: {ports: [{port: 80, name: grpc}]}");
    check(&[
        (
            "workloads",
            selecting.clone() + &workloads(20, "app: a"),
            selecting.clone() + &workloads(9, "app: a"),
            Some("11 of 20 endpoints of selecting.shop"),
        ),
        (
            "labels of workloads",
            selecting.clone() + &workloads(20, "app: a"),
            selecting.clone() + &workloads(20, "app: b"),
            Some("20 of 20 endpoints of selecting.shop"),
        ),
        (
            "a selector",
            selecting.clone() + &workloads(20, "app: a"),
            selecting.replace("app: a", "app: b") + &workloads(20, "app: a"),
            Some("20 of 20 endpoints of selecting.shop"),
        ),
        (
            "one of two slices",
            kubernetes.clone() + &slice("one", "k", 15) + &slice("two", "k", 10),
            kubernetes.clone() + &slice("two", "k", 10),
            Some("15 of 25 endpoints of k.shop.svc.cluster.local"),
        ),
        (
            "the other of two slices",
            kubernetes.clone() + &slice("one", "k", 15) + &slice("two", "k", 10),
            kubernetes.clone() + &slice("one", "k", 15),
            None,
        ),
        (
            "a service of Kubernetes",
            kubernetes + &slice("one", "k", 15),
            slice("one", "k", 15),
            Some("15 of 15 endpoints of k.shop.svc.cluster.local"),
        ),
    ]);
}

#[test]
fn whole_change_waits_and_later_ones_go_on() {
    let mut story = Story::new();
    story.files(&[("a", &service("a", 20)), ("b", &service("b", 1)), ("c", &service("c", 1))]);
    assert_eq!(story.files(&[("a", ""), ("b", ""), ("d", &service("d", 1))]), [""; 0]);
    let waiting = story.guard.waiting().cloned().unwrap();
    assert_eq!((waiting.objects, waiting.reasons), (3, vec!["20 of 20 endpoints of a.shop".to_owned()]));
    assert_eq!(story.file("c", &service("c", 2)), ["+c"]);
    assert_eq!(story.id(), waiting.id, "still the same change");
    assert!(story.guard.approve("x-0").is_none());
    let approved = story.guard.approve(&waiting.id).unwrap();
    assert_eq!(described(&approved), ["-a", "-b", "+d"]);
    assert_eq!(story.guard.waiting(), None);
    assert_eq!(story.file("a", &service("a", 20)), ["+a"]);
}

#[test]
fn change_that_removes_less_by_now_takes_effect() {
    let mut story = Story::new();
    story.files(&[("a", &service("a", 20)), ("b", &service("b", 1))]);
    story.files(&[("a", &service("a", 2)), ("b", &service("b", 2))]);
    let first = story.id();
    story.file("a", &service("a", 3));
    assert_eq!(story.reasons(), ["17 of 20 endpoints of a.shop"]);
    assert_ne!(story.id(), first, "another change: its approval would be another");
    assert_eq!(story.file("a", &service("a", 15)), ["+a", "+b"]);
    assert_eq!(story.guard.waiting(), None);

    story.file("a", "");
    assert_eq!(story.reasons(), ["15 of 15 endpoints of a.shop"]);
    assert_eq!(story.file("a", &service("a", 15)), ["+a"], "taken back");
    assert_eq!(story.guard.waiting(), None);
}

#[test]
fn object_that_moves_while_its_change_waits_keeps_waiting() {
    let mut story = Story::new();
    story.files(&[("a", &service("a", 20)), ("b", &service("b", 1))]);
    story.files(&[("a", &service("a", 2)), ("b", &service("b", 2))]);
    let id = story.id();
    assert_eq!(story.file("b", &("# first\n".to_owned() + &service("b", 2))), [""; 0]);
    assert_eq!(story.id(), id);
    let approved = story.guard.approve(&id).unwrap();
    assert_eq!(described(&approved), ["+a", "+b"]);
}

#[test]
fn everything_may_be_removed_with_a_limit_of_100() {
    let mut story = Story::new();
    story.guard = Guard::new(MaxRemoval(100), "x".to_owned());
    story.files(&[("a", &service("a", 20))]);
    assert_eq!(story.file("a", ""), ["-a"]);
    let mut story = Story::new();
    story.guard = Guard::new(MaxRemoval(0), "x".to_owned());
    story.files(&[("a", &service("a", 100))]);
    story.file("a", &service("a", 90));
    assert_eq!(story.reasons(), ["10 of 100 endpoints of a.shop"]);
}
