//! Frames that h2 counts, or answers, over the life of a connection.

use super::peer::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, OK, PADDED, Peer, RST_STREAM, WINDOW_UPDATE, begin,
    bytes_of, neighbour_is_served,
};
use super::*;

/// How many bytes this side lets the connection and a stream send more.
async fn granted(peer: &mut Peer, stream: u32) -> [usize; 2] {
    let mut bytes = [0, 0];
    peer.drain_frames(|frame| {
        if frame.kind == WINDOW_UPDATE
            && let Some(at) = [0, stream].iter().position(|id| *id == frame.stream)
        {
            bytes[at] += u32::from_be_bytes(frame.payload[..].try_into().unwrap()) as usize;
        }
    })
    .await;
    bytes
}

/// A DATA frame with padding.
fn padded(flags: u8, stream: u32, data: &[u8], padding: u8) -> Vec<u8> {
    let payload = [&[padding], data, &vec![0; padding.into()]].concat();
    bytes_of(DATA, flags | PADDED, stream, &payload)
}

#[tokio::test]
async fn padded_frames_without_data_are_passed_over() {
    let (Established { connection, .. }, mut peer) = Peer::connect(Http2Settings::default(), &[]).await;
    for padding in [0, 1, 255] {
        for _ in 0..100 {
            let (response, stream) = begin(&connection, &mut peer).await;
            let empty = padded(0, stream, &[], padding);
            peer.write(&[&empty.repeat(5)[..], &padded(0, stream, b"hello", padding), &empty].concat()).await;
            peer.write(&padded(END_STREAM, stream, &[], padding)).await;
            assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
        }
    }
    neighbour_is_served(&connection, &mut peer).await;
    assert_eq!(connection.calls(), 0);
}

#[tokio::test]
async fn padding_is_given_back_to_the_windows() {
    let (Established { connection, .. }, mut peer) = Peer::connect(Http2Settings::default(), &[]).await;
    let (response, stream) = begin(&connection, &mut peer).await;
    granted(&mut peer, stream).await;
    for _ in 0..20 {
        peer.write(&padded(0, stream, &[], 255).repeat(1_024)).await;
        assert_eq!(granted(&mut peer, stream).await, [256 << 10; 2]);
    }
    peer.send(DATA, END_STREAM, stream, b"hello").await;
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
}

/// The first calls are cancelled, and forgotten at once.
async fn with_forgotten_calls(calls: usize) -> (Http2Connection, Peer, Vec<u32>) {
    let settings = Http2Settings { max_cancelled_streams: 0, ..Http2Settings::default() };
    let (Established { connection, .. }, mut peer) = Peer::connect(settings, &[]).await;
    let mut forgotten = Vec::new();
    for _ in 0..calls {
        let request = tokio::spawn(connection.send(call("/any", body(""))));
        forgotten.push(peer.expect(HEADERS).await.stream);
        request.abort();
        peer.expect(RST_STREAM).await;
    }
    (connection, peer, forgotten)
}

#[tokio::test(start_paused = true)]
async fn late_data_of_forgotten_calls_is_passed_over() {
    let (connection, mut peer, forgotten) = with_forgotten_calls(100).await;
    for stream in &forgotten {
        peer.write(&bytes_of(DATA, 0, *stream, &[7; 1_024]).repeat(16)).await;
        peer.send(DATA, END_STREAM, *stream, &[]).await;
        assert_eq!(granted(&mut peer, *stream).await, [16 << 10, 0]);
    }
    assert_eq!(peer.drain().await, (vec![], vec![]));
    neighbour_is_served(&connection, &mut peer).await;
}

/// h2 keeps an answer to each until it is written.
#[tokio::test(start_paused = true)]
async fn endpoint_that_does_not_read_answers_to_late_heads_has_to_wait() {
    let (connection, mut peer, forgotten) = with_forgotten_calls(2_000).await;
    let heads: Vec<u8> = forgotten
        .iter()
        .flat_map(|stream| bytes_of(HEADERS, END_HEADERS | END_STREAM, *stream, OK))
        .collect();
    let flood = heads.repeat(20);
    let written = peer.write_within(Duration::from_secs(60), &flood).await;
    assert!(written < flood.len(), "{written} of {} bytes", flood.len());
    // It reads, and writes the rest of the frame that it has begun.
    for _ in 0..1_100 {
        peer.expect(RST_STREAM).await;
    }
    peer.write(&flood[written..written.next_multiple_of(heads.len() / forgotten.len())]).await;
    peer.drain().await;
    neighbour_is_served(&connection, &mut peer).await;
}

#[tokio::test]
async fn header_block_of_many_frames_ends_the_connection_and_says_why() {
    for (frames, is_delivered) in [(80, true), (81, false)] {
        let (Established { connection, closed }, mut peer) =
            Peer::connect(Http2Settings::default(), &[]).await;
        let running = tokio::spawn(connection.send(call("/any", body(""))));
        let stream = peer.expect(HEADERS).await.stream;
        let mut block = bytes_of(HEADERS, END_STREAM, stream, OK);
        (0..frames).for_each(|_| block.extend(bytes_of(CONTINUATION, 0, stream, &[])));
        block.extend(bytes_of(CONTINUATION, END_HEADERS, stream, &[]));
        peer.write(&block).await;
        match running.await.unwrap() {
            Ok(_) => assert!(is_delivered, "{frames}"),
            Err(failure) => {
                assert!(!is_delivered, "{frames}");
                assert_eq!(failure.error.kind(), SendErrorKind::Closed);
                let cause = failure.error.cause().to_string();
                assert!(cause.contains("80 CONTINUATION frames"), "{cause}");
                assert!(cause.contains("Http2Settings::max_header_list"), "{cause}");
                closed.await;
            }
        }
    }
}
