use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};

use super::gate::{Gate, Refusal, WaitForRoom};

struct Handle(Arc<Gate>);

impl AsRef<Gate> for Handle {
    fn as_ref(&self) -> &Gate {
        &self.0
    }
}

fn enter(gate: &Arc<Gate>) -> WaitForRoom<Handle> {
    Gate::enter(Handle(gate.clone()))
}

fn poll(enter: &mut WaitForRoom<Handle>) -> Poll<bool> {
    Pin::new(enter).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn callers_enter_in_the_order_in_which_they_came() {
    let gate = Arc::new(Gate::new(1));
    assert_eq!(gate.try_enter(), Ok(()));
    assert_eq!(gate.try_enter(), Err(Refusal::Full));
    let mut waiting = [enter(&gate), enter(&gate), enter(&gate)];
    assert!(waiting.iter_mut().all(|enter| poll(enter).is_pending()));
    gate.leave(1);
    assert_eq!(gate.try_enter(), Err(Refusal::Full), "the room is the first one's");
    assert!(poll(&mut waiting[1]).is_pending());
    assert_eq!(poll(&mut waiting[0]), Poll::Ready(true));
    gate.set_limit(3);
    assert_eq!(waiting.each_mut().map(poll)[1..], [Poll::Ready(true); 2]);
    assert_eq!((gate.holders(), gate.limit()), (3, 3));
    gate.leave(3);
    assert_eq!(gate.try_enter(), Ok(()), "nobody waits any more");
}

#[test]
fn caller_that_gives_up_leaves_no_trace() {
    let gate = Arc::new(Gate::new(0));
    let mut waiting: Vec<_> = (0..4).map(|_| enter(&gate)).collect();
    waiting.iter_mut().for_each(|enter| assert!(poll(enter).is_pending()));
    drop(waiting.remove(1));
    gate.set_limit(1);
    // Admitted and never polled: the room goes to the next one.
    drop(waiting.remove(0));
    assert_eq!(poll(&mut waiting[0]), Poll::Ready(true));
    drop(waiting);
    assert_eq!(gate.holders(), 1, "a caller that has entered leaves by itself");
    gate.leave(1);
    assert_eq!(gate.try_enter(), Ok(()));
}

#[test]
fn closed_gate_refuses_all_callers() {
    let gate = Arc::new(Gate::new(0));
    let mut early = enter(&gate);
    assert!(poll(&mut early).is_pending());
    gate.close();
    assert_eq!(poll(&mut early), Poll::Ready(false));
    assert_eq!(poll(&mut enter(&gate)), Poll::Ready(false));
    assert_eq!(gate.try_enter(), Err(Refusal::Closed));
}

#[test]
fn lowered_limit_holds_for_later_callers() {
    let gate = Arc::new(Gate::new(3));
    (0..3).for_each(|_| assert_eq!(gate.try_enter(), Ok(())));
    gate.set_limit(1);
    let mut waiting = enter(&gate);
    assert!(poll(&mut waiting).is_pending());
    gate.leave(2);
    assert!(poll(&mut waiting).is_pending());
    gate.leave(1);
    assert_eq!(poll(&mut waiting), Poll::Ready(true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_caller_is_forgotten_and_the_limit_is_never_exceeded() {
    let gate = Arc::new(Gate::new(3));
    let inside = Arc::new(AtomicU32::new(0));
    let callers: Vec<_> = (0..16)
        .map(|caller| {
            let (gate, inside) = (gate.clone(), inside.clone());
            tokio::spawn(async move {
                for round in 0..300 {
                    if gate.try_enter().is_err() {
                        let patience = tokio::task::unconstrained(enter(&gate));
                        if (caller + round) % 5 == 0 {
                            // Gives up at once, admitted or not.
                            let mut patience = enter(&gate);
                            if poll(&mut patience).is_pending() {
                                continue;
                            }
                        } else {
                            assert!(patience.await);
                        }
                    }
                    assert!(inside.fetch_add(1, Ordering::SeqCst) < 3);
                    tokio::task::yield_now().await;
                    inside.fetch_sub(1, Ordering::SeqCst);
                    gate.leave(1);
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!(gate.holders(), 0);
    assert_eq!(gate.try_enter(), Ok(()));
}
