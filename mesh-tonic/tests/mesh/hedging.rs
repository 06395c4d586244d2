//! Hedged calls, on virtual time.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use examples::greeter::greeter_client::GreeterClient;
use mesh_core::config::{Forward, RetryPolicy, RetryableCodes};
use mesh_tonic::{MeshChannel, ReplayLimit};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;

use crate::config::Config;
use crate::scripted::Fleet;
use crate::{Client, call, hello};

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn hedged(attempts: u32, delay: Duration) -> RetryPolicy {
    let attempts = NonZeroU32::new(attempts).unwrap();
    RetryPolicy::new(RetryableCodes::UNAVAILABLE, attempts).with_hedging(delay)
}

/// A client whose first attempt goes to the first endpoint, all of which are connected.
async fn client(fleet: &Fleet, endpoints: &[SocketAddr], policy: RetryPolicy) -> Client {
    client_keeping(fleet, endpoints, policy, ReplayLimit::default()).await
}

async fn client_keeping(
    fleet: &Fleet,
    endpoints: &[SocketAddr],
    policy: RetryPolicy,
    limit: ReplayLimit,
) -> Client {
    let forward = Forward::to("greeter").with_retry(policy);
    let mesh = fleet.mesh(Config::default().cluster("greeter", endpoints).to(forward).build());
    let channel = MeshChannel::builder("greeter").mesh(&mesh).replay_limit(limit).build().unwrap();
    channel.warm_up(ms(1000)).await.unwrap();
    tokio::time::sleep(ms(10)).await;
    GreeterClient::new(channel)
}

/// C50: the policy's delay is 2 s, and the first attempt fails after 10 ms.
///
/// Proves: RT-49.
#[tokio::test(start_paused = true)]
async fn failed_attempt_is_followed_at_once_or_when_the_server_wants_it() {
    let rows: [(Option<&'static str>, Result<u64, Code>); 3] =
        [(None, Ok(10)), (Some("300"), Ok(310)), (Some("-1"), Err(Code::Unavailable))];
    for (pushback, expected) in rows {
        let fleet = Fleet::default();
        let count = Arc::new(Mutex::new(0));
        let endpoints = [(); 3].map(|()| {
            let count = count.clone();
            fleet.endpoint(move |arrival| {
                *count.lock().unwrap() += 1;
                let is_first = *count.lock().unwrap() == 1;
                tokio::spawn(async move {
                    tokio::time::sleep(ms(10)).await;
                    match (is_first, pushback) {
                        (false, _) => arrival.succeed(),
                        (true, None) => arrival.fail(14),
                        (true, Some(wait)) => arrival.fail_with(14, &[("grpc-retry-pushback-ms", wait)]),
                    }
                });
            })
        });
        let mut client = client(&fleet, &endpoints, hedged(3, ms(2000))).await;
        let start = Instant::now();
        let result = call(&mut client).await.map(drop).map_err(|status| status.code());
        let mut arrivals: Vec<_> = endpoints.iter().flat_map(|at| fleet.arrivals(*at, start)).collect();
        arrivals.sort();
        match expected {
            Ok(at) => {
                assert_eq!((result, arrivals.len()), (Ok(()), 2));
                assert!(arrivals[1] >= ms(at) && arrivals[1] < ms(at + 5), "{pushback:?}: {arrivals:?}");
                assert!(endpoints.iter().all(|at| fleet.count(*at) < 2), "another endpoint");
            }
            Err(code) => assert_eq!((result, arrivals.len()), (Err(code), 1)),
        }
        tokio::time::sleep(ms(5000)).await;
        let all: usize = endpoints.iter().map(|at| fleet.count(*at)).sum();
        assert_eq!(all, arrivals.len(), "no attempt follows the answer");
    }
}

/// Each endpoint gets an attempt, with its own number, and those that lose are cancelled.
///
/// Proves: RT-44, RT-49.
#[tokio::test(start_paused = true)]
async fn attempts_start_after_each_delay_and_the_first_answer_cancels_the_others() {
    let fleet = Fleet::default();
    let (seen, cancelled) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(0)));
    let endpoints = [(); 4].map(|()| {
        let (seen, cancelled) = (seen.clone(), cancelled.clone());
        fleet.endpoint(move |mut arrival| {
            let previous = arrival.request.headers().get("grpc-previous-rpc-attempts").cloned();
            seen.lock().unwrap().push(previous.map_or(0, |n| n.to_str().unwrap().parse::<u32>().unwrap()));
            if seen.lock().unwrap().len() == 3 {
                return arrival.succeed_after(ms(10));
            }
            let cancelled = cancelled.clone();
            tokio::spawn(async move {
                let reset = std::future::poll_fn(|cx| arrival.respond.poll_reset(cx)).await;
                assert_eq!(reset.unwrap(), h2::Reason::CANCEL);
                *cancelled.lock().unwrap() += 1;
            });
        })
    });
    let mut client = client(&fleet, &endpoints, hedged(4, ms(50))).await;
    let start = Instant::now();
    call(&mut client).await.unwrap();
    assert!(start.elapsed() >= ms(110) && start.elapsed() < ms(120), "{:?}", start.elapsed());
    tokio::time::sleep(ms(1000)).await;
    assert_eq!((seen.lock().unwrap().clone(), *cancelled.lock().unwrap()), (vec![0, 1, 2], 2));
}

#[tokio::test(start_paused = true)]
async fn status_that_is_not_retried_ends_the_call_and_the_last_failure_is_its_result() {
    let fleet = Fleet::default();
    let hanging = || fleet.endpoint(|arrival| arrival.hang());
    // every endpoint hangs: the deadline ends all attempts
    let endpoints = [(); 5].map(|()| hanging());
    let mut all = client(&fleet, &endpoints, hedged(3, ms(50))).await;
    let mut request = tonic::Request::new(hello("you"));
    request.set_timeout(ms(400));
    let status = all.say_hello(request).await.unwrap_err();
    let count: usize = endpoints.iter().map(|at| fleet.count(*at)).sum();
    assert_eq!((status.code(), count), (Code::DeadlineExceeded, 3));

    let order = Arc::new(Mutex::new(0));
    let endpoints = [(); 2].map(|()| {
        let order = order.clone();
        fleet.endpoint(move |arrival| {
            *order.lock().unwrap() += 1;
            match *order.lock().unwrap() {
                1 => arrival.hang(),
                _ => arrival.fail(5),
            }
        })
    });
    let mut fatal = client(&fleet, &endpoints, hedged(5, ms(50))).await;
    assert_eq!(call(&mut fatal).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(*order.lock().unwrap(), 2);

    let failing = fleet.endpoint(|arrival| arrival.fail(14));
    let mut failed = client(&fleet, &[failing], hedged(3, ms(50))).await;
    assert_eq!(call(&mut failed).await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(fleet.count(failing), 3);
}

/// A stream's messages go to both attempts while the application sends them.
#[tokio::test(start_paused = true)]
async fn attempts_share_the_messages_of_a_stream() {
    let fleet = Fleet::default();
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let number = Arc::new(Mutex::new(0));
    let endpoints = [(); 2].map(|()| {
        let (bodies, number) = (bodies.clone(), number.clone());
        fleet.endpoint(move |arrival| {
            *number.lock().unwrap() += 1;
            let slow = *number.lock().unwrap() == 1;
            let bodies = bodies.clone();
            if slow {
                return arrival.hang();
            }
            arrival.read(move |_, bytes| bodies.lock().unwrap().push(bytes.len()));
        })
    });
    let mut client = client(&fleet, &endpoints, hedged(2, ms(50))).await;
    let (messages, stream) = mpsc::channel(1);
    let sending = tokio::spawn(async move {
        for _ in 0..5 {
            messages.send(hello("you")).await.unwrap();
            tokio::time::sleep(ms(30)).await;
        }
    });
    client.gather_hellos(ReceiverStream::new(stream)).await.unwrap();
    sending.await.unwrap();
    assert_eq!(*bodies.lock().unwrap(), [50], "five messages of ten bytes");
}

/// The request is longer than what is kept for other attempts.
///
/// Proves: RT-43.
#[tokio::test(start_paused = true)]
async fn long_request_stays_with_the_attempt_that_has_sent_it() {
    let fleet = Fleet::default();
    for (length, attempts) in [(100, 2), (2000, 1)] {
        let number = Arc::new(Mutex::new(0));
        let endpoints = [(); 2].map(|()| {
            let number = number.clone();
            fleet.endpoint(move |arrival| {
                *number.lock().unwrap() += 1;
                arrival.succeed_after(ms(200));
            })
        });
        let policy = hedged(2, ms(50));
        let mut client = client_keeping(&fleet, &endpoints, policy, ReplayLimit(1000)).await;
        client.say_hello(hello(&"x".repeat(length))).await.unwrap();
        assert_eq!(*number.lock().unwrap(), attempts, "{length} bytes");
    }
}
