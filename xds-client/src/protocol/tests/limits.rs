//! Extreme settings: they are bounded.

use mesh_core::policy::backoff::Backoff;

use super::*;

#[test]
fn unbounded_times_are_capped_at_a_year() {
    let backoff =
        BackoffSettings { initial: Duration::MAX, multiplier: 1e300, jitter: 1.0, max: Duration::MAX };
    for variant in [Variant::Sotw, Variant::Delta] {
        let mut client = Client::of_server(ServerSettings {
            variant,
            resource_timeout: Duration::MAX,
            silence_timeout: Some(Duration::MAX),
            backoff,
            ..ServerSettings::new("primary")
        });
        client.ads.preload(client.now, Duration::MAX, response_of("a"));
        client.watch(CDS, "a");
        client.watch(CDS, "b");
        client.open();
        client.sent();
        client.unwatch(CDS, "b");
        client.sent();
        client.watch(CDS, "b");
        client.sent();
        assert!(client.ads.next_deadline().is_some());
        for nonce in ["n1", "n2"] {
            client.respond(CDS, "1", nonce, &[("b", Ok(1))]);
            client.close("max age");
            client.pass(YEAR);
            client.open();
        }
        for _ in 0..5 {
            client.close("gone");
            client.pass(2 * YEAR);
            client.open();
        }
    }
}

#[test]
fn invalid_backoff_settings_are_bounded() {
    let second = BackoffSettings::default();
    let rows = [
        ("jitter", BackoffSettings { jitter: f64::NAN, ..second }),
        ("more than all", BackoffSettings { jitter: f64::INFINITY, ..second }),
        ("less than none", BackoffSettings { jitter: f64::NEG_INFINITY, ..second }),
        ("multiplier", BackoffSettings { multiplier: f64::NAN, ..second }),
        ("endless", BackoffSettings { multiplier: f64::INFINITY, ..second }),
        ("nothing of it", BackoffSettings { multiplier: f64::INFINITY, initial: Duration::ZERO, ..second }),
        ("shrinking", BackoffSettings { multiplier: -1.0, ..second }),
    ];
    for (row, policy) in rows {
        let mut rng = StdRng::seed_from_u64(1);
        let mut backoff = Backoff::default();
        for _ in 0..50 {
            let wait = backoff.next(&policy, &mut rng);
            assert!(wait <= 2 * policy.max, "{row}: {wait:?}");
        }
    }
}

fn response_of(name: &str) -> impl Iterator<Item = (String, Received)> {
    let received = response(CDS, "7", "", &[(name, Ok(7))]).resources.into_iter().flatten();
    received.map(|one| (CDS.type_url.to_owned(), one))
}

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
