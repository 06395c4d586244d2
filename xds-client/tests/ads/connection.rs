//! Which streams share a connection, and when another is made.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::{sleep, timeout};
use xds_client::Options;
use xds_client::bootstrap::{ChannelCredentials, ServerConfig, ServerFeatures, TlsCredentials};
use xds_client::transport::{AdsTransport, GrpcTransport, TransportError, Variant};

use crate::echo::{END, Echo, FAIL, LARGE, ask, exchange, report};
use crate::grpc::{ANY, bind};

fn transport() -> GrpcTransport {
    GrpcTransport::new(&Options::default())
}

/// Proves: BS-23, TR-48.
#[tokio::test]
async fn streams_of_one_server_share_a_connection_that_ends_with_them() {
    let echo = Echo::default();
    let (address, _server) = echo.listen(ANY, None, None).await;
    let transport = transport();
    let server = ServerConfig::insecure(address.to_string());
    let sotw = exchange(&transport, &server, Variant::Sotw).await.unwrap();
    let delta = exchange(&transport.clone(), &server, Variant::Delta).await.unwrap();
    let load = report(&transport, &server.clone()).await.unwrap();
    assert_eq!(echo.connections(), 1);
    let methods: Vec<_> = echo.calls().iter().map(|call| call.method).collect();
    assert_eq!(methods, ["sotw", "delta", "load"]);
    assert!(echo.calls()[0].user_agent.starts_with("mesh-rs/"), "{:?}", echo.calls()[0]);

    let mut features = ServerFeatures::default();
    features.trusted_xds_server = true;
    let other = server.clone().with_features(features);
    let trusted = exchange(&transport, &other, Variant::Sotw).await.unwrap();
    assert_eq!(echo.connections(), 2, "another server, as far as its identity goes");

    let alive = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert!(alive() > 0);
    drop((sotw, delta, load, trusted));
    let ended = async {
        while alive() > 0 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(30), ended).await.expect("a task is left");
    exchange(&transport, &server, Variant::Sotw).await.unwrap();
    assert_eq!(echo.connections(), 3);
}

#[tokio::test]
async fn two_streams_at_once_make_one_connection() {
    let echo = Echo::default();
    let (address, _server) = echo.listen(ANY, None, None).await;
    let (transport, server) = (transport(), ServerConfig::insecure(address.to_string()));
    let (ads, load) = tokio::join!(exchange(&transport, &server, Variant::Sotw), report(&transport, &server));
    assert!(ads.is_ok() && load.is_ok());
    assert_eq!(echo.connections(), 1);
}

#[tokio::test]
async fn two_streams_at_once_fail_with_one_attempt() {
    let listener = bind(ANY).await;
    let address = listener.local_addr().unwrap().to_string();
    let attempts = Arc::new(AtomicUsize::new(0));
    let counted = attempts.clone();
    let server = tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            sleep(Duration::from_millis(50)).await;
            _ = socket.write_all(b"this is not TLS").await;
        }
    });
    let root = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap().cert.pem();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), root).unwrap();
    let trusting = TlsCredentials::default().with_ca_certificate_file(file.path());
    let credentials = ChannelCredentials::Tls(trusting);
    let (transport, config) = (transport(), ServerConfig::new(&address, credentials));
    let (ads, load) =
        tokio::join!(transport.open(&config, Variant::Sotw), transport.open_load_report(&config));
    let (ads, load) = (ads.unwrap_err(), load.unwrap_err());
    assert_eq!(ads, load);
    assert!(ads.to_string().starts_with(&format!("{address}: TLS: ")), "{ads}");
    assert_eq!(attempts.load(Ordering::SeqCst), 1);
    server.abort();
}

#[tokio::test]
async fn failed_ads_stream_retires_the_connection_and_an_ended_one_does_not() {
    let echo = Echo::default();
    let (address, _server) = echo.listen(ANY, None, None).await;
    let (transport, server) = (transport(), ServerConfig::insecure(address.to_string()));
    let _load = report(&transport, &server).await.unwrap();
    let mut ads = exchange(&transport, &server, Variant::Sotw).await.unwrap();
    assert_eq!(ask(&mut ads, Variant::Sotw, END).await, Ok(None));
    let mut ads = exchange(&transport, &server, Variant::Sotw).await.unwrap();
    assert_eq!(echo.connections(), 1);
    let error = ask(&mut ads, Variant::Sotw, FAIL).await.unwrap_err();
    assert_eq!(error.to_string(), format!("{address}: status Unavailable: as asked for"));
    let _ads = exchange(&transport, &server, Variant::Sotw).await.unwrap();
    assert_eq!(echo.connections(), 2);
    let _load = report(&transport, &server).await.unwrap();
    assert_eq!(echo.connections(), 2, "on the connection of the ADS stream");
}

#[tokio::test]
async fn stream_without_a_response_retires_the_connection_that_load_reports_keep() {
    let echo = Echo::default();
    let (address, _server) = echo.listen(ANY, None, None).await;
    let (transport, server) = (transport(), ServerConfig::insecure(address.to_string()));
    let mut loads = vec![report(&transport, &server).await.unwrap()];
    for (variant, connections) in [(Variant::Sotw, 2), (Variant::Delta, 3)] {
        drop(transport.open(&server, variant).await.unwrap());
        let ads = exchange(&transport, &server, variant).await.unwrap();
        loads.push(report(&transport, &server).await.unwrap());
        drop(ads);
        loads.push(report(&transport, &server).await.unwrap());
        assert_eq!(echo.connections(), connections, "one that was answered is kept");
    }
}

#[tokio::test]
async fn draining_connection_takes_no_stream() {
    let echo = Echo::default();
    let (address, _server) = echo.listen(ANY, None, Some(Duration::from_millis(100))).await;
    let (transport, server) = (transport(), ServerConfig::insecure(address.to_string()));
    let _load = report(&transport, &server).await.unwrap();
    let moved = async {
        while echo.connections() < 3 {
            // A stream that crosses the server's GOAWAY is lost; the next one is not.
            if exchange(&transport, &server, Variant::Sotw).await.is_err() {
                exchange(&transport, &server, Variant::Sotw).await.unwrap();
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(30), moved).await.expect("new connections are made");
}

#[tokio::test]
async fn large_response_of_either_variant_names_its_type_size_limit_and_option() {
    let echo = Echo::default();
    let (address, _server) = echo.listen(ANY, None, None).await;
    let mut options = Options::default();
    options.max_message_size = 10_000;
    let transport = GrpcTransport::new(&options);
    let server = ServerConfig::insecure(address.to_string());
    for variant in [Variant::Sotw, Variant::Delta] {
        let mut stream = exchange(&transport, &server, variant).await.unwrap();
        let error = ask(&mut stream, variant, LARGE).await.unwrap_err();
        let TransportError::MessageTooLarge { type_url, size, limit } = &error else { panic!("{error}") };
        assert_eq!((type_url.as_str(), *limit), ("type/Large", 10_000));
        assert!((100_000..100_100).contains(size), "{size}");
        assert!(error.to_string().ends_with("Options::max_message_size raises it"), "{error}");
    }
}

#[tokio::test]
async fn server_uris_may_be_dns_names_and_sockets() {
    let echo = Echo::default();
    let (address, _server) = echo.listen(ANY, None, None).await;
    let transport = transport();
    let port = address.port();
    for uri in [format!("localhost:{port}"), format!("dns:///localhost:{port}"), format!("ipv4:{address}")] {
        exchange(&transport, &ServerConfig::insecure(uri), Variant::Sotw).await.unwrap();
    }
    #[cfg(unix)]
    {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("xds.sock");
        let server = ServerConfig::insecure(format!("unix:{}", path.display()));
        let error = exchange(&transport, &server, Variant::Sotw).await.unwrap_err().to_string();
        assert!(error.contains(path.to_str().unwrap()) && error.contains("os error 2"), "{error}");
        let served = echo.listen_unix(&path);
        exchange(&transport, &server, Variant::Sotw).await.unwrap();
        served.abort();
    }
}

#[tokio::test]
async fn refused_connection_names_the_address_and_the_systems_reason() {
    let address = bind(ANY).await.local_addr().unwrap();
    let server = ServerConfig::insecure(address.to_string());
    let error = transport().open(&server, Variant::Sotw).await.unwrap_err();
    assert_eq!(error.to_string(), format!("{address}: Connection refused (os error 111)"));
    let uri = format!("localhost:{}", address.port());
    let error = transport().open(&ServerConfig::insecure(uri.as_str()), Variant::Sotw).await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("{uri}: ")), "{error}");
    assert!(error.to_string().contains(&format!("{address}: Connection refused")), "{error}");
}
