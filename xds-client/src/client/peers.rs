//! The servers and the streams to them.

use std::sync::{Arc, Mutex};

use futures_util::future::select_all;
use mesh_core::config::Name;
use mesh_core::policy::matcher::RegexCache;

use super::peer_log::PeerLog;
use super::{Options, lock};
use crate::bootstrap::{Bootstrap, ServerConfig};
use crate::certificate::CertificateProviders;
use crate::protocol::{AdsState, ServerId, StreamEnd, Variant};
use crate::resource::DecodeContext;
use crate::transport::{AdsResponse, AdsTransport, Progress, Stream, TransportError};

/// One server and the stream to it.
pub(super) struct Peer<T: AdsTransport> {
    pub(super) server: ServerConfig,
    variant: Variant,
    pub(super) context: Arc<DecodeContext>,
    pub(super) stream: Stream<T::Sender, T::Receiver>,
    pub(super) log: PeerLog,
}

impl<T: AdsTransport> Peer<T> {
    /// A server without a stream. All servers share the compiled regular expressions.
    pub(super) fn new(
        server: &ServerConfig,
        bootstrap: &Bootstrap,
        options: &Options,
        regexes: &Arc<RegexCache>,
        certificate_providers: &CertificateProviders,
    ) -> Self {
        Self {
            variant: if server.features().incremental_xds { Variant::Delta } else { Variant::Sotw },
            context: Arc::new(DecodeContext {
                incremental: server.features().incremental_xds,
                max_resource_size: Some(options.max_resource_size),
                max_regex_size: options.max_regex_size,
                regexes: regexes.clone(),
                filters: options.filters.clone(),
                lb_policies: options.lb_policies.clone(),
                // A cluster is the same whichever server sent it.
                certificate_providers: certificate_providers.clone(),
                ..DecodeContext::new(bootstrap, server)
            }),
            server: server.clone(),
            stream: Stream::Closed,
            log: PeerLog::new(server.uri()),
        }
    }

    /// Begins to open a stream.
    pub(super) fn open(&mut self, transport: &Arc<T>) {
        let (transport, server, variant) = (transport.clone(), self.server.clone(), self.variant);
        self.stream = Stream::open(async move { transport.open(&server, variant).await });
    }
}

/// A server's URI by its position.
pub(super) fn uri_of<T: AdsTransport>(peers: &[Peer<T>]) -> impl Fn(usize) -> Name {
    |server| peers[server].server.uri().into()
}

/// Waits for progress on any stream. Cancel-safe: a dropped wait loses nothing.
pub(super) async fn progress<T: AdsTransport>(
    peers: &mut [Peer<T>],
    ads: &Mutex<AdsState>,
) -> (ServerId, Progress<AdsResponse>) {
    let open = peers.iter_mut().enumerate().filter(|(_, peer)| !peer.stream.is_closed());
    let streams: Vec<_> = {
        let ads = lock(ads);
        let stream = |(index, peer)| {
            let (server, peer): (ServerId, &mut Peer<T>) = (ServerId(index), peer);
            let has_request = ads.has_request(server);
            Box::pin(async move { (server, peer.stream.progress(has_request).await) })
        };
        open.map(stream).collect()
    };
    if streams.is_empty() { std::future::pending().await } else { select_all(streams).await.0 }
}

/// For the protocol: how a stream ended.
pub(super) fn stream_end(error: Option<TransportError>) -> StreamEnd {
    match error {
        None => StreamEnd::Closed { reason: "the server ended the stream".to_owned() },
        Some(error @ TransportError::MessageTooLarge { .. }) => {
            StreamEnd::Unusable { reason: error.to_string() }
        }
        Some(error) => StreamEnd::Closed { reason: error.to_string() },
    }
}
