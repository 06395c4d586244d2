//! `/v1/objects`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use crate::discovery::Refusal;
use crate::state::{Code, Diagnostic, ObjectStatus, PipelineState, Severity};

use super::Admin;

/// The objects of the configuration and how each stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectList {
    /// The revision that is served.
    pub revision: u64,
    /// Accepted and refused ones, by name.
    pub objects: Vec<ObjectConditions>,
}

/// An object and its conditions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectConditions {
    /// `kind namespace/name`.
    pub object: String,
    /// Relative to the configuration folder.
    pub file: String,
    /// From 1; 0 if unknown.
    pub line: u32,
    /// Whether a version of it is in use.
    pub in_use: bool,
    /// The version in use is an earlier one, because the current one is broken.
    pub stale: bool,
    /// One of each type: Accepted, ResolvedRefs, Programmed, Conflicted.
    pub conditions: Vec<Condition>,
    /// What connected clients have refused of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused_by: Vec<Refusal>,
}

/// A condition as objects of Kubernetes have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// Accepted, ResolvedRefs, Programmed or Conflicted.
    pub r#type: String,
    /// `True` or `False`.
    pub status: String,
    /// One word, for programs: the code of the first diagnostic that the status comes from, if there is one.
    pub reason: String,
    /// The texts of all such diagnostics.
    pub message: String,
}

pub(super) async fn list(State(admin): State<Admin>) -> Json<ObjectList> {
    let state = admin.pipeline();
    let refusals = admin.registry.refusals();
    Json(ObjectList { revision: state.revision, objects: objects(&state, &refusals) })
}

fn objects(state: &PipelineState, refusals: &BTreeMap<Arc<str>, Vec<Refusal>>) -> Vec<ObjectConditions> {
    let mut all: BTreeMap<String, (Option<&ObjectStatus>, Vec<&Diagnostic>)> = BTreeMap::new();
    for object in &state.objects {
        let name = format!("{} {}/{}", object.kind, object.namespace, object.name);
        all.entry(name).or_default().0 = Some(object);
    }
    for diagnostic in state.diagnostics.iter().filter(|found| !found.object.is_empty()) {
        all.entry(diagnostic.object.clone()).or_default().1.push(diagnostic);
    }
    let one = |(name, (object, diagnostics)): (String, (Option<&ObjectStatus>, Vec<&Diagnostic>))| {
        let refused_by = refusals.get(name.as_str()).map(Vec::as_slice).unwrap_or_default();
        one(name, object, &diagnostics).refused(refused_by)
    };
    all.into_iter().map(one).collect()
}

fn one(name: String, object: Option<&ObjectStatus>, diagnostics: &[&Diagnostic]) -> ObjectConditions {
    let place = object.map(|object| (object.file.clone(), object.line));
    let (file, line) = place
        .or_else(|| diagnostics.first().map(|found| (found.file.clone(), found.line)))
        .unwrap_or_default();
    let of = |wanted: fn(&Diagnostic) -> bool| -> Vec<&Diagnostic> {
        diagnostics.iter().copied().filter(|found| wanted(found)).collect()
    };
    let errors = of(|found| found.severity == Severity::Error && found.code != Code::RefusedByClients);
    let refused = of(|found| found.severity == Severity::Error);
    let in_use = object.is_some();
    // An object with a good version is programmed, whatever is wrong with its current one.
    let not_programmed = if in_use { of(|found| found.code == Code::RefusedByClients) } else { refused };
    ObjectConditions {
        object: name,
        file,
        line,
        in_use,
        stale: object.is_some_and(|object| object.stale),
        conditions: vec![
            Condition::unless("Accepted", "Accepted", &errors),
            Condition::unless(
                "ResolvedRefs",
                "ResolvedRefs",
                &of(|found| found.code == Code::UnresolvedReference),
            ),
            Condition::unless(PROGRAMMED, PROGRAMMED, &not_programmed),
            Condition::new(
                "Conflicted",
                "NoConflicts",
                &of(|found| found.code == Code::Conflicted),
                "True",
                "False",
            ),
        ],
        refused_by: Vec::new(),
    }
}

impl ObjectConditions {
    /// E3: what clients refuse is not programmed.
    fn refused(mut self, refused_by: &[Refusal]) -> Self {
        let programmed = self.conditions.iter_mut().find(|one| one.r#type == PROGRAMMED);
        if let Some(programmed) = programmed.filter(|_| !refused_by.is_empty()) {
            if programmed.status == "True" {
                programmed.reason = format!("{:?}", Code::RefusedByClients);
                programmed.message.clear();
            }
            "False".clone_into(&mut programmed.status);
            let texts = refused_by.iter().map(ToString::to_string);
            let before = Some(std::mem::take(&mut programmed.message)).filter(|text| !text.is_empty());
            programmed.message = before.into_iter().chain(texts).collect::<Vec<_>>().join("; ");
        }
        self.refused_by = refused_by.to_vec();
        self
    }
}

impl Condition {
    /// True, unless one of these was found.
    fn unless(name: &str, good: &str, found: &[&Diagnostic]) -> Self {
        Self::new(name, good, found, "False", "True")
    }

    fn new(name: &str, without: &str, found: &[&Diagnostic], if_found: &str, else_status: &str) -> Self {
        let status = if found.is_empty() { else_status } else { if_found };
        let texts: Vec<String> = found.iter().map(|one| text(one)).collect();
        Self {
            r#type: name.to_owned(),
            status: status.to_owned(),
            reason: found.first().map_or_else(|| without.to_owned(), |one| format!("{:?}", one.code)),
            message: texts.join("; "),
        }
    }
}

fn text(diagnostic: &Diagnostic) -> String {
    match diagnostic.field.as_str() {
        "" => diagnostic.message.clone(),
        field => format!("{field}: {}", diagnostic.message),
    }
}

const PROGRAMMED: &str = "Programmed";

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnostic(object: &str, severity: Severity, code: Code) -> Diagnostic {
        Diagnostic {
            severity,
            code,
            file: "a.yaml".to_owned(),
            line: 3,
            column: 5,
            object: object.to_owned(),
            field: "spec.x".to_owned(),
            message: "no".to_owned(),
            clients: Vec::new(),
        }
    }

    fn object(name: &str, stale: bool) -> ObjectStatus {
        ObjectStatus {
            kind: "VirtualService".to_owned(),
            namespace: "shop".to_owned(),
            name: name.to_owned(),
            file: "a.yaml".to_owned(),
            line: 1,
            stale,
        }
    }

    /// The conditions of the only object as `type=status/reason`.
    fn conditions(objects: Vec<ObjectStatus>, found: &[(Severity, Code)]) -> Vec<String> {
        let name = "VirtualService shop/a";
        let diagnostics = found.iter().map(|(severity, code)| diagnostic(name, *severity, *code)).collect();
        let state = PipelineState { objects: objects.into(), diagnostics, ..PipelineState::default() };
        let [one] = super::objects(&state, &BTreeMap::new()).try_into().unwrap();
        assert_eq!(one.object, name);
        one.conditions.iter().map(|one| format!("{}={}/{}", one.r#type, one.status, one.reason)).collect()
    }

    #[test]
    fn conditions_come_from_diagnostics() {
        let good = [
            "Accepted=True/Accepted",
            "ResolvedRefs=True/ResolvedRefs",
            "Programmed=True/Programmed",
            "Conflicted=False/NoConflicts",
        ];
        let with = |changed: &[(usize, &'static str)]| {
            let mut all = good;
            changed.iter().for_each(|(index, text)| all[*index] = text);
            all
        };
        let (error, warning) = (Severity::Error, Severity::Warning);
        let invalid = (0, "Accepted=False/InvalidValue");
        let unresolved = (1, "ResolvedRefs=False/UnresolvedReference");
        let cases = [
            ("no diagnostic", Some(false), vec![], good),
            ("only warnings", Some(false), vec![(warning, Code::NoEffect)], good),
            ("last good version", Some(true), vec![(error, Code::InvalidValue)], with(&[invalid])),
            (
                "refused",
                None,
                vec![(error, Code::InvalidValue)],
                with(&[invalid, (2, "Programmed=False/InvalidValue")]),
            ),
            ("reference", Some(false), vec![(warning, Code::UnresolvedReference)], with(&[unresolved])),
            (
                "conflict",
                Some(false),
                vec![(warning, Code::Conflicted)],
                with(&[(3, "Conflicted=True/Conflicted")]),
            ),
            (
                "refused by clients",
                Some(false),
                vec![(error, Code::RefusedByClients)],
                with(&[(2, "Programmed=False/RefusedByClients")]),
            ),
        ];
        for (name, in_use, found, expected) in cases {
            let objects = in_use.map(|stale| object("a", stale)).into_iter().collect();
            assert_eq!(conditions(objects, &found), expected, "{name}");
        }
    }

    #[test]
    fn messages_name_fields() {
        let found = diagnostic("VirtualService shop/a", Severity::Error, Code::InvalidValue);
        let state =
            PipelineState { diagnostics: vec![found.clone(), found].into(), ..PipelineState::default() };
        let [one] = super::objects(&state, &BTreeMap::new()).try_into().unwrap();
        assert_eq!((one.file.as_str(), one.line, one.in_use), ("a.yaml", 3, false));
        assert_eq!(one.conditions[0].message, "spec.x: no; spec.x: no");
    }

    /// Case E3.
    #[test]
    fn refusal_of_a_client_is_a_condition_of_the_object() {
        let name = "VirtualService shop/a";
        let refusal = Refusal {
            r#type: "rds".to_owned(),
            resource: "outbound|80||a".to_owned(),
            reason: "unknown field".to_owned(),
            client: "web-1".to_owned(),
            clients: 2,
        };
        let state = PipelineState { objects: vec![object("a", false)].into(), ..PipelineState::default() };
        let refusals = BTreeMap::from([(Arc::from(name), vec![refusal])]);
        let [one] = super::objects(&state, &refusals).try_into().unwrap();
        let programmed = one.conditions.iter().find(|one| one.r#type == PROGRAMMED).unwrap();
        assert_eq!(
            [&programmed.status, &programmed.reason, &programmed.message],
            ["False", "RefusedByClients", "2 clients, web-1 first, refuse rds outbound|80||a: unknown field"]
        );
        assert_eq!(one.refused_by.len(), 1);
        assert_eq!(one.conditions[0].status, "True", "the object itself is accepted");
    }
}
