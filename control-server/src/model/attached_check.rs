//! What our own policies are attached to, and which of them has no effect.

use super::Settings;
use super::attached::{self, attached};
use super::conflict::conflict;
use super::declaration::find_service;
use super::index::Reader;
use super::key::Key;
use super::policy_check;
use super::report::Report;
use crate::kinds::Object;
use crate::kinds::mesh_policy::{AttachedPolicy, PolicySettings, PolicyTarget, TargetKind};
use crate::kinds::rate_limit_policy::RateLimitPolicy;
use crate::yaml::{FieldPath, did_you_mean};

/// Checks a policy against its targets and against the other policies for them.
pub(super) fn policy(object: &Object, policy: &AttachedPolicy, reader: &Reader<'_>, report: &mut Report) {
    let targets = FieldPath::spec().field("targetRefs");
    for (index, target) in policy.target_refs.iter().enumerate() {
        let Some(kind) = target.kind() else { continue };
        let path = targets.index(index);
        match kind {
            TargetKind::Namespace => {}
            TargetKind::Service => service(object, target, &path, reader, report),
            TargetKind::GrpcRoute | TargetKind::HttpRoute | TargetKind::VirtualService => {
                route(object, target, &path, reader, report)
            }
        }
        conflicts(object, policy, kind, target, reader, report);
    }
}

fn service(
    object: &Object,
    target: &PolicyTarget,
    path: &FieldPath,
    reader: &Reader<'_>,
    report: &mut Report,
) {
    let Some(host) = attached::target_host(target, &object.id.namespace, reader) else {
        let message = format!("has no effect: {}", reader.unknown(&target.name, &object.id.namespace));
        report.unresolved(object, path.field("name"), message);
        return;
    };
    check_section(object, target, &attached::port_names(&host, reader), "a port", path, report);
}

fn route(object: &Object, target: &PolicyTarget, path: &FieldPath, reader: &Reader<'_>, report: &mut Report) {
    let namespace = &object.id.namespace;
    let Some(rules) = attached::rules_of(target, namespace, reader) else {
        let message =
            format!("has no effect: found `{}`, expected a route of the namespace {namespace}", target.name);
        report.unresolved(object, path.field("name"), message);
        return;
    };
    check_section(object, target, &rules, "a rule", path, report);
}

fn check_section(
    object: &Object,
    target: &PolicyTarget,
    known: &[String],
    what: &str,
    path: &FieldPath,
    report: &mut Report,
) {
    let Some(section) = target.section_name.as_ref().filter(|section| !known.contains(section)) else {
        return;
    };
    let hint = did_you_mean(section, known.iter().map(String::as_str));
    let message =
        format!("has no effect: found `{section}`, expected the name of {what}: {}{hint}", known.join(", "));
    report.unresolved(object, path.field("sectionName"), message);
}

/// Of several policies for one target, the first that sets a field decides it.
fn conflicts(
    object: &Object,
    policy: &AttachedPolicy,
    kind: TargetKind,
    target: &PolicyTarget,
    reader: &Reader<'_>,
    report: &mut Report,
) {
    let all = attached(&object.id.namespace, kind, &target.name, reader);
    let before = all.into_iter().take_while(|(other, ..)| other.id != object.id);
    let same = before.filter(|(_, _, other)| other.section_name == target.section_name);
    for (winner, other, _) in same {
        let rows: [(&str, &PolicySettings, &PolicySettings); 2] = [
            ("defaults", &policy.defaults, &other.defaults),
            ("overrides", &policy.overrides, &other.overrides),
        ];
        for (section, own, others) in rows {
            for field in own.set_fields().filter(|field| others.set_fields().any(|other| other == *field)) {
                let message = conflict(&winner.id, &format!("sets it for {} already", target.name));
                report.conflict(object, FieldPath::spec().field(section).field(field), message);
            }
        }
    }
}

/// Only the first object of the root namespace counts.
pub(super) fn mesh_config(object: &Object, reader: &Reader<'_>, settings: &Settings, report: &mut Report) {
    let root = &settings.root_namespace;
    if object.id.namespace != *root {
        let path = FieldPath::root().field("metadata").field("namespace");
        report.warning(
            object,
            path,
            format!("the object has no effect: it counts in the namespace {root} only"),
        );
        return;
    }
    let first = reader.objects(&Key::MeshWide(root.clone())).first();
    if let Some(first) = first.filter(|first| first.object.id != object.id) {
        let message = conflict(&first.object.id, "has the settings of the mesh");
        report.conflict(object, FieldPath::spec(), message);
    }
}

/// Checks the targets of limits: a target without servers bars those of the namespace, one without a service limits no client.
pub(super) fn rate_limits(
    object: &Object,
    policy: &RateLimitPolicy,
    reader: &Reader<'_>,
    report: &mut Report,
) {
    if policy.is_for_servers() {
        policy_check::targets(object, policy.selector.as_ref(), &policy.target_refs, reader, report);
        return;
    }
    for (index, target) in policy.target_refs.iter().enumerate() {
        let namespace = &object.id.namespace;
        if find_service(&target.name, namespace, reader).is_none() {
            let path = FieldPath::spec().field("targetRefs").index(index).field("name");
            let message = format!("has no effect: {}", reader.unknown(&target.name, namespace));
            report.unresolved(object, path, message);
        }
    }
}
