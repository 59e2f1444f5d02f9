//! Drives the future of an async handler: on Tokio where the agent has it among its dependencies, else on this thread alone.

use std::future::{poll_fn, Future};
use std::pin::pin;
use std::task::Poll;

use crate::cancellation::Cancellation;

/// Nothing where it was cancelled.
pub fn run<F: Future>(future: F, cancellation: &Cancellation) -> Option<F::Output> {
    let mut future = pin!(future);
    block_on(poll_fn(|context| {
        if cancellation.poll(context.waker()) {
            return Poll::Ready(None);
        }
        future.as_mut().poll(context).map(Some)
    }))
}

#[cfg(feature = "with-tokio")]
fn block_on<F: Future>(future: F) -> F::Output {
    use std::sync::Mutex;
    use tokio::runtime::{Builder, Runtime};

    // One for the life of the worker: what a handler has spawned lives on between messages.
    static RUNTIME: Mutex<Option<&'static Runtime>> = Mutex::new(None);
    let runtime = *RUNTIME
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
        .get_or_insert_with(|| {
            let runtime = Builder::new_multi_thread().enable_all().build();
            Box::leak(Box::new(
                runtime.expect("Tokio's runtime could not be started"),
            ))
        });
    runtime.block_on(future)
}

#[cfg(not(feature = "with-tokio"))]
fn block_on<F: Future>(future: F) -> F::Output {
    use std::sync::Arc;
    use std::task::{Context, Wake, Waker};
    use std::thread::Thread;

    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}
