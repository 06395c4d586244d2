//! An HTTP filter of a user: tells endpoints which team calls, and lets no caller say so itself.
//!
//! The filter is [`Team`]'s own affair; a mesh gets it by [`MeshConfig::with_filters`](mesh_core::config::MeshConfig), or, from
//! a control plane, by [`TeamType`] in the options of the xDS client.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, request};
use mesh_core::filter::{
    BuildError, ConfigValue, FilterCall, FilterConfig, FilterContext, HttpFilter, LocalReply, Overrides,
    RequestAction, Stages,
};
use xds_client::resource::{ExtensionError, ExtensionPayload, HttpFilterType};

/// The header that names the team.
pub const TEAM: HeaderName = HeaderName::from_static("x-team");

/// Which team calls: the filter's configuration, and what overrides it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Team(HeaderValue);

impl Team {
    /// A team by its name; `None` if it cannot be a header's value.
    pub fn new(name: &str) -> Option<Self> {
        HeaderValue::from_str(name).ok().filter(|name| !name.is_empty()).map(Self)
    }
}

impl FilterConfig for Team {
    fn build(
        &self,
        overrides: Overrides<'_>,
        _: &FilterContext,
    ) -> Result<Option<Arc<dyn HttpFilter>>, BuildError> {
        let Self(name) = overrides.most_specific::<Self>()?.unwrap_or(self);
        Ok(Some(Arc::new(TellTeam { name: name.clone() })))
    }
}

/// The filter.
#[derive(Debug)]
struct TellTeam {
    name: HeaderValue,
}

impl HttpFilter for TellTeam {
    fn stages(&self) -> Stages {
        Stages::REQUEST
    }

    fn on_request(&self, head: &mut request::Parts, call: &mut FilterCall<'_>) -> RequestAction {
        if head.headers.contains_key(TEAM) {
            let message = format!("{TEAM} is set by the mesh, not by callers of {}", call.cluster());
            return RequestAction::Reply(LocalReply::grpc(PERMISSION_DENIED, message));
        }
        head.headers.insert(TEAM, self.name.clone());
        RequestAction::Continue
    }
}

/// How a control plane configures the filter: by a `TypedStruct` with a `name`, in listeners and in routes.
#[derive(Debug)]
pub struct TeamType;

impl TeamType {
    fn read(payload: &ExtensionPayload<'_>) -> Result<Team, ExtensionError> {
        let fields = payload.fields().ok_or_else(|| ExtensionError::new("expected a TypedStruct"))?;
        let name = fields["name"].as_str().and_then(Team::new);
        name.ok_or_else(|| ExtensionError::at("name", "expected the name of a team"))
    }
}

impl HttpFilterType for TeamType {
    fn type_name(&self) -> &str {
        "mesh.examples.Team"
    }

    fn decode(&self, payload: &ExtensionPayload<'_>) -> Result<Arc<dyn FilterConfig>, ExtensionError> {
        Ok(Arc::new(Self::read(payload)?))
    }

    fn override_type_name(&self) -> Option<&str> {
        Some("mesh.examples.Team")
    }

    fn decode_override(
        &self,
        payload: &ExtensionPayload<'_>,
    ) -> Result<Arc<dyn ConfigValue>, ExtensionError> {
        Ok(Arc::new(Self::read(payload)?))
    }
}

/// gRPC's code.
const PERMISSION_DENIED: u32 = 7;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn team_is_read_from_its_fields_and_must_have_a_name() {
        let decoded = TeamType::read(&ExtensionPayload::of_fields(json!({"name": "shop"}))).unwrap();
        assert_eq!(decoded, Team::new("shop").unwrap());
        for wrong in [json!({}), json!({"name": ""}), json!({"name": "a\nb"}), json!({"name": 7})] {
            assert!(TeamType::read(&ExtensionPayload::of_fields(wrong.clone())).is_err(), "{wrong}");
        }
        assert!(TeamType::read(&ExtensionPayload::of_message(b"")).is_err());
    }
}
