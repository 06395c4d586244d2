//! `docs/configuration.md` is held to what it says.

use crate::kinds::virtual_service::effects;
use crate::kinds::{grpc_route, service, service_entry, traffic_policy, workload_entry};
use crate::pipeline::{Input, validate};

const GUIDE: &str = include_str!("../../../../docs/configuration.md");

/// The guide's YAML.
pub(super) fn examples() -> impl Iterator<Item = &'static str> {
    GUIDE.split("```yaml\n").skip(1).map(|block| block.split("```").next().unwrap())
}

#[test]
fn guides_examples_are_valid() {
    let inputs: Vec<Input> = examples()
        .enumerate()
        .map(|(index, text)| Input::Text { name: format!("example {index}"), text: text.to_owned() })
        .collect();
    assert_eq!(inputs.len(), 2);
    assert_eq!(validate(&inputs), []);
}

#[test]
fn guide_names_every_field_without_effect() {
    let tables = [
        service::EFFECTS,
        service_entry::EFFECTS,
        workload_entry::EFFECTS,
        effects::EFFECTS,
        traffic_policy::EFFECTS,
        grpc_route::EFFECTS,
    ];
    for effect in tables.concat() {
        let name = effect.field.rsplit('.').next().unwrap().trim_end_matches("[]");
        assert!(GUIDE.contains(&format!("{name}`")), "{}", effect.field);
    }
}
