//! Heard by a handler where it waits: between the pieces of an iterator, and at each await of a future.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;

pub struct Cancellation {
    asked: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Cancellation {
    pub fn new() -> Arc<Self> {
        Arc::new(Cancellation {
            asked: AtomicBool::new(false),
            waker: Mutex::new(None),
        })
    }

    pub fn cancel(&self) {
        self.asked.store(true, Ordering::SeqCst);
        let waker = self
            .waker
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// Whether it was asked for; if not, who is woken when it is.
    pub fn poll(&self, waker: &Waker) -> bool {
        *self
            .waker
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(waker.clone());
        self.is_asked()
    }
}
