//! What the log tells of a change.

use super::*;
use crate::pipeline::summary::{Objects, Summary};

/// What a change of these files is, told as `added; changed; removed`.
fn told(story: &mut Story, files: &[(&str, &str)]) -> [String; 3] {
    story.entries.retain(|name| files.iter().any(|(file, _)| name == *file));
    files.iter().for_each(|(name, text)| story.entries.read(name, text));
    story.merge.take(0, story.entries.take_events());
    story.merge.take(0, vec![Event::Synced]);
    let applied = story.engine.apply(story.merge.changes().unwrap());
    let Summary { added, changed, removed } = applied.summary;
    [added, changed, removed]
        .map(|objects: Objects| objects.told().map_or(String::new(), ToString::to_string))
}

#[test]
fn change_is_told_by_object_and_place() {
    let (mut story, orders, users) =
        (Story::new(), service("orders", &["10.0.0.1"]), service("users", &["10.0.0.9"]));
    let both = [("a.yaml", &*orders), ("b.yaml", &*users)];
    let added = "ServiceEntry shop/orders (a.yaml:2), ServiceEntry shop/users (b.yaml:2)";
    assert_eq!(told(&mut story, &both), [added, "", ""]);
    assert_eq!(told(&mut story, &[("a.yaml", &orders), ("c.yaml", &users)]), ["", "", ""], "only moved");
    let more = service("orders", &["10.0.0.1", "10.0.0.2"]);
    let changed = told(&mut story, &[("a.yaml", &more)]);
    assert_eq!(changed, ["", "ServiceEntry shop/orders (a.yaml:2)", "ServiceEntry shop/users (c.yaml:2)"]);
}

#[test]
fn large_change_is_told_by_some_objects_and_their_number() {
    let services: Vec<String> =
        (0..100).map(|index| service(&format!("s{index:02}"), &["10.0.0.1"])).collect();
    let [added, ..] = told(&mut Story::new(), &[("a.yaml", &services.concat())]);
    assert!(
        added.starts_with("ServiceEntry shop/s00 (a.yaml:2), ") && added.ends_with(" and 95 more"),
        "{added}"
    );
}
