//! Misbehaviour on request, as gRPC's interoperability servers understand it.

use std::time::Duration;

use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

/// Which metadata key asks for misbehaviour.
const KEY: &str = "rpc-behavior";
/// Which metadata key a retrying client adds.
const ATTEMPTS_KEY: &str = "grpc-previous-rpc-attempts";

/// What the metadata `rpc-behavior` asks for. Several values, or one with commas, are all followed:
///
/// | value | effect |
/// | --- | --- |
/// | `sleep-N` | wait N seconds (`sleep-Nms`: milliseconds) first |
/// | `error-code-N` | fail with gRPC status N |
/// | `succeed-on-retry-attempt-N` | ignore `error-code` from the Nth retry on |
/// | `hostname=NAME` | the values after it count only for the endpoint of this name |
/// | `keep-open` | never answer |
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Behavior {
    wait: Duration,
    fail: Option<i32>,
    keep_open: bool,
}

impl Behavior {
    /// What a request asks for.
    ///
    /// # Errors
    /// INVALID_ARGUMENT names a value that is not understood.
    pub fn of(metadata: &MetadataMap, endpoint: &str) -> Result<Self, Status> {
        let attempt =
            metadata.get(ATTEMPTS_KEY).and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0u32);
        let mut behavior = Self::default();
        for values in metadata.get_all(KEY) {
            let values =
                values.to_str().map_err(|_| Status::invalid_argument("rpc-behavior is not ASCII"))?;
            for value in values.split(',').map(str::trim) {
                match value.strip_prefix("hostname=") {
                    Some(name) if name != endpoint => break,
                    Some(_) => {}
                    None => behavior.read(value, attempt)?,
                }
            }
        }
        Ok(behavior)
    }

    fn read(&mut self, value: &str, attempt: u32) -> Result<(), Status> {
        let unknown = || Status::invalid_argument(format!("rpc-behavior {value:?} is not understood"));
        if value == "keep-open" {
            self.keep_open = true;
        } else if let Some(code) = value.strip_prefix("error-code-") {
            self.fail = Some(code.parse().map_err(|_| unknown())?);
        } else if let Some(retry) = value.strip_prefix("succeed-on-retry-attempt-") {
            if attempt >= retry.parse().map_err(|_| unknown())? {
                self.fail = None;
            }
        } else if let Some(wait) = value.strip_prefix("sleep-") {
            self.wait = match wait.strip_suffix("ms") {
                Some(millis) => Duration::from_millis(millis.parse().map_err(|_| unknown())?),
                None => Duration::from_secs(wait.parse().map_err(|_| unknown())?),
            };
        } else {
            return Err(unknown());
        }
        Ok(())
    }

    pub(super) async fn act(&self) -> Result<(), Status> {
        if !self.wait.is_zero() {
            tokio::time::sleep(self.wait).await;
        }
        if self.keep_open {
            std::future::pending::<()>().await;
        }
        match self.fail {
            Some(code) => Err(Status::new(Code::from_i32(code), "as rpc-behavior asked")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(values: &[&str], attempt: u32) -> Behavior {
        let mut metadata = MetadataMap::new();
        for value in values {
            metadata.append(KEY, value.parse().unwrap());
        }
        if attempt > 0 {
            metadata.insert(ATTEMPTS_KEY, attempt.into());
        }
        Behavior::of(&metadata, "a").unwrap()
    }

    #[test]
    fn values_of_behaviors_add_up() {
        let behavior = asked(&["sleep-5ms,error-code-14"], 0);
        assert_eq!(behavior, Behavior { wait: Duration::from_millis(5), fail: Some(14), keep_open: false });
    }

    #[test]
    fn retry_may_succeed() {
        let values = ["error-code-14", "succeed-on-retry-attempt-2"];
        assert_eq!(asked(&values, 1).fail, Some(14));
        assert_eq!(asked(&values, 2).fail, None);
    }

    #[test]
    fn behavior_for_another_endpoint_is_ignored() {
        assert_eq!(asked(&["hostname=b,error-code-14"], 0), Behavior::default());
        assert_eq!(asked(&["hostname=a,error-code-14"], 0).fail, Some(14));
    }

    #[test]
    fn unknown_value_is_refused() {
        let mut metadata = MetadataMap::new();
        metadata.insert(KEY, "explode".parse().unwrap());
        assert_eq!(Behavior::of(&metadata, "a").unwrap_err().code(), Code::InvalidArgument);
    }
}
