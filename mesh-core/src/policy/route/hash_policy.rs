//! A request's hash, for balancers that hash (gRFC A42).

use twox_hash::XxHash64;

use crate::config::HashPolicy;

use super::RequestHead;

/// A request's hash by a route's policies; `None` if no policy has a value. A balancer that needs a hash then draws one
/// (RT-73).
///
/// `channel_id` is drawn once per channel and never changes (RT-72).
#[inline(always)]
pub(crate) fn hash(policies: &[HashPolicy], head: &RequestHead<'_>, channel_id: u64) -> Option<u64> {
    if policies.is_empty() { None } else { hash_by(policies, head, channel_id) }
}

fn hash_by(policies: &[HashPolicy], head: &RequestHead<'_>, channel_id: u64) -> Option<u64> {
    let mut combined: Option<u64> = None;
    for policy in policies {
        let (value, terminal) = match policy {
            HashPolicy::Header { name, rewrite, terminal } => {
                let value = head.headers.value(name).map(|value| match rewrite {
                    None => hash_text(&value),
                    Some((regex, replacement)) => hash_text(&regex.replace_all(&value, replacement)),
                });
                (value, *terminal)
            }
            HashPolicy::ChannelId { terminal } => (Some(channel_id), *terminal),
        };
        if let Some(value) = value {
            // RT-69
            combined = Some(combined.map_or(value, |hash| hash.rotate_left(1) ^ value));
        }
        if terminal && combined.is_some() {
            break; // RT-70
        }
    }
    combined
}

/// RT-69: XXH64 with seed 0.
fn hash_text(text: &str) -> u64 {
    XxHash64::oneshot(0, text.as_bytes())
}
