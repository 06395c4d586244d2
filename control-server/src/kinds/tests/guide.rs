//! `docs/configuration.md` is held to what it says.

use crate::kinds::virtual_service::effects;
use crate::kinds::{gateway_route, service, service_entry, traffic_policy, workload_entry};
use crate::pipeline::{Input, validate};

const GUIDE: &str = include_str!("../../../../docs/configuration.md");
const SECURITY: &str = include_str!("../../../../docs/security.md");
const LIMITS: &str = include_str!("../../../../docs/rate-limits.md");
const POLICIES: &str = include_str!("../../../../docs/traffic-policies.md");

/// The guide's YAML.
pub(super) fn examples() -> impl Iterator<Item = &'static str> {
    [GUIDE, SECURITY, POLICIES, LIMITS].into_iter().flat_map(of_page)
}

fn of_page(page: &'static str) -> impl Iterator<Item = &'static str> {
    page.split("```yaml\n").skip(1).map(|block| block.split("```").next().unwrap())
}

#[test]
fn guides_examples_are_valid() {
    let found = |page, count| {
        let texts = of_page(page).enumerate();
        let inputs: Vec<Input> = texts
            .map(|(index, text)| Input::Text { name: format!("example {index}"), text: text.to_owned() })
            .collect();
        assert_eq!(inputs.len(), count);
        validate(&inputs)
    };
    assert_eq!(found(GUIDE, 2), []);
    assert_eq!(found(SECURITY, 4), []);
    let of_ours = found(POLICIES, 1).into_iter().chain(found(LIMITS, 1));
    let told_to_others = of_ours.filter(|one| one.clients != [crate::state::ClientFamily::Grpc]);
    assert_eq!(told_to_others.collect::<Vec<_>>(), []);
}

#[test]
fn guide_names_every_field_without_effect() {
    let tables = [
        service::EFFECTS,
        service_entry::EFFECTS,
        workload_entry::EFFECTS,
        effects::EFFECTS,
        traffic_policy::EFFECTS,
        traffic_policy::POOL_EFFECTS,
        gateway_route::EFFECTS,
    ];
    for effect in tables.concat() {
        let name = effect.field.rsplit('.').next().unwrap().trim_end_matches("[]");
        let is_named = [GUIDE, SECURITY].iter().any(|guide| guide.contains(&format!("{name}`")));
        assert!(is_named, "{}", effect.field);
    }
}
