//! Mirrored requests, on virtual time.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use examples::greeter::HelloRequest;
use mesh_core::config::{Forward, MaxRequests, Mirror, MirrorHost, ResourceError};
use mesh_core::policy::matcher::Fraction;
use mesh_core::runtime::{FixedSource, Mesh, MirrorLimits};
use tokio::time::Instant;
use tonic::Code;

use crate::config::{Config, retrying};
use crate::scripted::Fleet;
use crate::{Client, call, client, hello};

/// The authorities and bodies of requests that were read to their end.
type Seen = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

fn recorder(fleet: &Fleet) -> (SocketAddr, Seen) {
    let seen = Seen::default();
    let record = seen.clone();
    let address = fleet.endpoint(move |arrival| {
        let record = record.clone();
        arrival.read(move |head, bytes| {
            assert!(!head.headers.contains_key("grpc-previous-rpc-attempts"));
            let authority = head.uri.authority().unwrap().to_string();
            record.lock().unwrap().push((authority, bytes));
        });
    });
    (address, seen)
}

fn take(seen: &Seen) -> Vec<(String, Vec<u8>)> {
    std::mem::take(&mut seen.lock().unwrap())
}

/// Long enough for everything that goes on to come to its end.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}

/// Proves: RT-65.
#[tokio::test(start_paused = true)]
async fn copies_go_to_all_mirrors_and_their_answers_are_dropped() {
    let fleet = Fleet::default();
    let (main, seen) = recorder(&fleet);
    let mirrors = [(); 4].map(|()| recorder(&fleet));
    let hosts = [
        MirrorHost::Suffixed,
        MirrorHost::Same,
        MirrorHost::Literal("new.test:9".parse().unwrap()),
        MirrorHost::Suffixed,
    ];
    let shares = [Fraction::ALL, Fraction::ALL, Fraction::ALL, Fraction::per_million(0)];
    let mut config = Config::default().cluster("greeter", &[main]);
    let mut forward = Forward::to("greeter");
    for (number, (host, share)) in hosts.into_iter().zip(shares).enumerate() {
        let name = format!("mirror-{number}");
        config = config.cluster(&name, &[mirrors[number].0]);
        forward = forward.with_mirror(Mirror::to(name).with_host(host).with_fraction(share));
    }
    let mut client = client(&fleet.mesh(config.to(forward).build()));
    call(&mut client).await.unwrap();
    settle().await;
    let [(authority, body)]: [_; 1] = take(&seen).try_into().unwrap();
    assert_eq!((authority.as_str(), body.len()), ("greeter", 10));
    for ((_, seen), expected) in mirrors.iter().zip(["greeter-shadow", "greeter", "new.test:9", ""]) {
        let copies = if expected.is_empty() { vec![] } else { vec![(expected.to_owned(), body.clone())] };
        assert_eq!(take(seen), copies);
    }

    // a stream of messages, large ones among them
    let messages: Vec<HelloRequest> = (0..20_usize).map(|size| hello(&"x".repeat(size * 5_000))).collect();
    client.gather_hellos(tokio_stream::iter(messages)).await.unwrap();
    settle().await;
    let [(_, body)]: [_; 1] = take(&seen).try_into().unwrap();
    assert!(body.len() > 900_000);
    assert!(take(&mirrors[0].1)[0].1 == body, "the mirror gets the same bytes");
}

/// One endpoint, and one mirror with these endpoints.
fn mirrored(fleet: &Fleet, main: SocketAddr, mirror: &[SocketAddr], forward: Forward) -> Client {
    let config = Config::default().cluster("greeter", &[main]).cluster("mirror", mirror);
    client(&fleet.mesh(config.to(forward.with_mirror(Mirror::to("mirror"))).build()))
}

/// C58: the mirror takes requests and never answers.
///
/// Proves: RT-65.
#[tokio::test(start_paused = true)]
async fn mirror_that_hangs_is_bounded_and_ends_and_does_not_hurt_calls() {
    let fleet = Fleet::default();
    let main = fleet.endpoint(|arrival| arrival.read(|_, bytes| assert!(bytes.len() > 1_000_000)));
    // not even the requests are read
    let hanging = fleet.endpoint(|arrival| arrival.hang());
    let config = Config::default().cluster("greeter", &[main]).cluster("mirror", &[hanging]);
    let config = config.to(Forward::to("greeter").with_mirror(Mirror::to("mirror"))).build();
    let mut limits = MirrorLimits::default();
    limits.requests = 3;
    let mesh = Mesh::builder(FixedSource::any(config)).dialer(fleet.clone()).mirror_limits(limits).build();
    let mut client = client(&mesh);
    let large = hello(&"x".repeat(1_000_000));
    for _ in 0..20 {
        client.say_hello(large.clone()).await.unwrap();
    }
    settle().await;
    // a request of which the mirror reads nothing is cut as soon as it is too far behind, and makes room for another one
    let small = hello("you");
    let held = fleet.count(hanging);
    let mut steady = mirrored_steady(&fleet, hanging, limits);
    let start = Instant::now();
    for _ in 0..20 {
        steady.say_hello(small.clone()).await.unwrap();
    }
    settle().await;
    assert_eq!(fleet.count(hanging) - held, 3, "as many as may run at once");
    assert!(start.elapsed() < Duration::from_secs(1));
    tokio::time::sleep(Duration::from_secs(15)).await;
    steady.say_hello(small).await.unwrap();
    settle().await;
    assert_eq!(fleet.count(hanging) - held, 4, "the others have ended");
}

fn mirrored_steady(fleet: &Fleet, hanging: SocketAddr, limits: MirrorLimits) -> Client {
    let main = fleet.endpoint(|arrival| arrival.succeed());
    let config = Config::default().cluster("greeter", &[main]).cluster("mirror", &[hanging]);
    let config = config.to(Forward::to("greeter").with_mirror(Mirror::to("mirror"))).build();
    let mesh = Mesh::builder(FixedSource::any(config)).dialer(fleet.clone()).mirror_limits(limits).build();
    client(&mesh)
}

/// C59: the call is refused in this process.
#[tokio::test(start_paused = true)]
async fn call_that_is_not_sent_is_not_mirrored() {
    let fleet = Fleet::default();
    let (mirror, seen) = recorder(&fleet);
    let main = fleet.endpoint(|arrival| arrival.succeed());
    let nobody = SocketAddr::from(([10, 9, 9, 9], 1));
    let rows = [
        Config::default().limited("greeter", &[main], MaxRequests(0)),
        Config::default().cluster("greeter", &[nobody]),
        Config::default().cluster("greeter", &[]),
    ];
    for config in rows {
        let forward = Forward::to("greeter").with_mirror(Mirror::to("mirror"));
        let config = config.cluster("mirror", &[mirror]).to(forward).build();
        assert_eq!(call(&mut client(&fleet.mesh(config))).await.unwrap_err().code(), Code::Unavailable);
        settle().await;
        assert_eq!(take(&seen), []);
    }
}

#[tokio::test(start_paused = true)]
async fn retries_are_not_mirrored_again_and_have_the_whole_request() {
    let fleet = Fleet::default();
    let (mirror, seen) = recorder(&fleet);
    let main = fleet.endpoint(|arrival| match arrival.number {
        0 | 1 => arrival.fail(14),
        _ => arrival.read(|_, bytes| assert_eq!(bytes.len(), 10)),
    });
    let forward = Forward::to("greeter").with_retry(retrying(3));
    call(&mut mirrored(&fleet, main, &[mirror], forward)).await.unwrap();
    settle().await;
    assert_eq!((fleet.count(main), take(&seen).len()), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn mirror_that_cannot_be_reached_or_fails_does_not_fail_the_call() {
    let fleet = Fleet::default();
    let main = fleet.endpoint(|arrival| arrival.succeed());
    let failing = fleet.endpoint(|arrival| arrival.fail(14));
    for mirror in [vec![], vec![SocketAddr::from(([10, 9, 9, 9], 1))], vec![failing]] {
        call(&mut mirrored(&fleet, main, &mirror, Forward::to("greeter"))).await.unwrap();
        settle().await;
    }
    let missing =
        Config::default().cluster("greeter", &[main]).entry("mirror", Err(ResourceError::new("gone")));
    let config = missing.to(Forward::to("greeter").with_mirror(Mirror::to("mirror"))).build();
    call(&mut client(&fleet.mesh(config))).await.unwrap();
}
