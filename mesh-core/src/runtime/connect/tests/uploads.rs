//! Uploads that the endpoint does not read, beside other calls.

use super::peer::{DATA, END_STREAM, HEADERS, Peer, RST_STREAM};
use super::*;

/// How many bytes of DATA arrive before nothing more does.
async fn received(peer: &mut Peer) -> usize {
    let mut bytes = 0;
    peer.drain_frames(|frame| {
        if frame.kind == DATA {
            bytes += frame.payload.len();
        }
    })
    .await;
    bytes
}

/// The windows of connection and streams that an endpoint has without any SETTINGS.
const WINDOW: usize = 65_535;
const UPLOADS_TAKE: usize = WINDOW - WINDOW / 4;

#[tokio::test]
async fn uploads_leave_a_quarter_of_the_connections_window() {
    let chunks = |size: usize, count: usize| {
        let chunk = Bytes::from(vec![7; size]);
        let frames = std::iter::repeat_n(chunk, count).map(|chunk| Ok(http_body::Frame::data(chunk)));
        StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync()
    };
    let rows: [(&str, Vec<TestBody>); 4] = [
        ("one chunk", vec![body(vec![7; 1 << 20])]),
        ("chunks", vec![chunks(10_000, 100)]),
        ("two", vec![body(vec![7; 1 << 20]), chunks(30_000, 100)]),
        ("small chunks", vec![chunks(100, 10_000)]),
    ];
    for (name, uploads) in rows {
        let (Established { connection, .. }, mut peer) = Peer::connect(Http2Settings::default(), &[]).await;
        let uploads: Vec<_> =
            uploads.into_iter().map(|upload| tokio::spawn(connection.send(call("/any", upload)))).collect();
        assert_eq!(received(&mut peer).await, UPLOADS_TAKE, "{name}");

        let neighbour = tokio::spawn(connection.send(call("/any", body(vec![7; WINDOW / 4]))));
        let stream = peer.expect(HEADERS).await.stream;
        assert_eq!(received(&mut peer).await, WINDOW / 4, "{name}");
        peer.answer(stream).await;
        assert_eq!(kind(neighbour.await.unwrap()), None);

        // The endpoint has read the neighbour's request, then some of the uploads.
        peer.grant(0, WINDOW / 4).await;
        assert_eq!(received(&mut peer).await, 0, "{name}");
        peer.grant(0, 5_000).await;
        assert_eq!(received(&mut peer).await, 5_000, "{name}");

        // The uploads are cancelled, and the endpoint throws away what it has of them.
        uploads.iter().for_each(JoinHandle::abort);
        peer.drain().await;
        peer.grant(0, UPLOADS_TAKE).await;
        let _upload = tokio::spawn(connection.send(call("/any", body(vec![7; 1 << 20]))));
        assert_eq!(received(&mut peer).await, UPLOADS_TAKE, "{name}");
    }
}

/// What is given to h2 and never written does not count for ever.
#[tokio::test]
async fn uploads_that_the_endpoint_ends_leave_the_window_to_others() {
    let (Established { connection, .. }, mut peer) = Peer::connect(Http2Settings::default(), &[]).await;
    for _ in 0..20 {
        let upload = tokio::spawn(connection.send(call("/any", body(vec![7; 1 << 20]))));
        let stream = peer.expect(HEADERS).await.stream;
        let bytes = received(&mut peer).await;
        assert_eq!(bytes, UPLOADS_TAKE);
        peer.send(RST_STREAM, 0, stream, &2_u32.to_be_bytes()).await;
        assert_eq!(kind(upload.await.unwrap()), Some(SendErrorKind::Reset(2)));
        peer.grant(0, bytes).await;
    }
}

#[tokio::test]
async fn long_upload_arrives_whole_and_ends_with_its_last_bytes() {
    for (first, second) in [(100_000, 0), (20_000, 20_000), (70_000, 1), (1, 70_000)] {
        let (Established { connection, .. }, mut peer) = Peer::connect(Http2Settings::default(), &[]).await;
        let chunks = [first, second].map(|size| Ok(http_body::Frame::data(Bytes::from(vec![7; size]))));
        let request = StreamBody::new(futures_util::stream::iter(chunks)).boxed_unsync();
        let upload = tokio::spawn(connection.send(call("/any", request)));
        let stream = peer.expect(HEADERS).await.stream;
        let mut bytes = 0;
        loop {
            let data = peer.expect(DATA).await;
            bytes += data.payload.len();
            if data.flags & END_STREAM != 0 {
                assert!(!data.payload.is_empty());
                break;
            }
            peer.grant(0, data.payload.len()).await;
            peer.grant(stream, data.payload.len()).await;
        }
        assert_eq!(bytes, first + second);
        peer.answer(stream).await;
        assert_eq!(kind(upload.await.unwrap()), None);
    }
}

/// An endpoint whose streams have windows as large as its connection's.
#[tokio::test]
async fn calls_pass_uploads_that_the_endpoint_does_not_read() {
    let server = Server::start().await;
    let Established { connection, .. } = connect(server.address).await;
    for _ in 0..3 {
        let uploads: Vec<_> = (0..4)
            .map(|_| tokio::spawn(connection.send(call("/silence", body(vec![7; 32 << 20])))))
            .collect();
        let data: &str = Box::leak("x".repeat(5_000).into_boxed_str());
        for _ in 0..50 {
            assert_eq!(get(&connection, "/echo", data).await.0.len(), data.len());
        }
        uploads.iter().for_each(JoinHandle::abort);
    }
    assert_eq!(server.accepted(), 1);
}
