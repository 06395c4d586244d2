//! One direction of a connection.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::Condition;

/// The connection is to be reset.
#[derive(Debug)]
pub(super) struct Reset;

/// Waits for an open network. `false`: connections are reset.
pub(super) async fn until_open(network: &mut watch::Receiver<Condition>) -> bool {
    let settled = |network: &Condition| *network != Condition::Silent;
    network.wait_for(settled).await.is_ok_and(|network| matches!(*network, Condition::Open(_)))
}

/// Carries bytes until the sender has ended.
pub(super) async fn pump(
    from: ReadHalf<'_>,
    to: WriteHalf<'_>,
    network: watch::Receiver<Condition>,
) -> Result<(), Reset> {
    // Bounded, so that a slow receiver slows the sender.
    let (sender, receiver) = mpsc::channel(IN_FLIGHT);
    tokio::try_join!(read(from, sender, network.clone()), write(to, receiver, network)).map(drop)
}

type Chunk = (Instant, Vec<u8>);

async fn read(
    mut from: ReadHalf<'_>,
    sender: mpsc::Sender<Chunk>,
    mut network: watch::Receiver<Condition>,
) -> Result<(), Reset> {
    loop {
        let delay = open(&mut network).await?;
        let mut chunk = Vec::with_capacity(CHUNK);
        tokio::select! {
            biased;
            changed = network.changed() => changed.map_err(|_| Reset)?,
            read = from.read_buf(&mut chunk) => {
                // The end is delayed too, and is not sent in a silent network.
                let is_end = read.map_err(|_| Reset)? == 0;
                sender.send((Instant::now() + delay, chunk)).await.map_err(|_| Reset)?;
                if is_end {
                    return Ok(());
                }
            }
        }
    }
}

async fn write(
    mut to: WriteHalf<'_>,
    mut receiver: mpsc::Receiver<Chunk>,
    mut network: watch::Receiver<Condition>,
) -> Result<(), Reset> {
    while let Some((due, chunk)) = receiver.recv().await {
        sleep_until(due).await;
        open(&mut network).await?;
        if chunk.is_empty() {
            return to.shutdown().await.map_err(|_| Reset);
        }
        // A receiver that does not read must not outlive a reset.
        tokio::select! {
            written = to.write_all(&chunk) => written.map_err(|_| Reset)?,
            () = reset(network.clone()) => return Err(Reset),
        }
    }
    Ok(())
}

async fn open(network: &mut watch::Receiver<Condition>) -> Result<Duration, Reset> {
    match until_open(network).await {
        true => match *network.borrow_and_update() {
            Condition::Open(delay) => Ok(delay),
            _ => Ok(Duration::ZERO),
        },
        false => Err(Reset),
    }
}

async fn reset(mut network: watch::Receiver<Condition>) {
    let resets = |network: &Condition| matches!(network, Condition::Reset | Condition::Refusing);
    drop(network.wait_for(resets).await);
}

const CHUNK: usize = 64 << 10;
const IN_FLIGHT: usize = 64;
