//! The one message that is being handled, and what must be said about it however the handler ends.

use std::io::Write;
use std::os::raw::{c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{json, Value};

use crate::cancellation::Cancellation;
use crate::wire::{Failure, Wire};

pub static RUNNING: Mutex<Option<Arc<Running>>> = Mutex::new(None);
static LAST_PANIC: Mutex<Option<String>> = Mutex::new(None);

extern "C" {
    fn atexit(callback: extern "C" fn()) -> c_int;
    fn fflush(stream: *mut c_void) -> c_int;
}

pub struct Running {
    wire: Arc<Wire>,
    id: Value,
    message_id: String,
    cancellation: Arc<Cancellation>,
    answered: AtomicBool,
}

impl Running {
    pub fn new(
        wire: Arc<Wire>,
        id: Value,
        message_id: String,
        cancellation: Arc<Cancellation>,
    ) -> Self {
        Running {
            wire,
            id,
            message_id,
            cancellation,
            answered: AtomicBool::new(false),
        }
    }

    /// Sends the response, once. All that was printed before belongs to this message.
    pub fn respond(&self, response: Result<Value, Failure>) {
        if self.answered.swap(true, Ordering::SeqCst) {
            return;
        }
        *lock() = None;
        // SAFETY: a null stream means all streams of C, which libraries may have printed to.
        unsafe { fflush(std::ptr::null_mut()) };
        let _ = std::io::stdout().flush();
        let _ = std::io::stderr().flush();
        self.wire.send(&match response {
            Ok(result) => json!({"jsonrpc": "2.0", "id": self.id, "result": result}),
            Err(failure) => json!({"jsonrpc": "2.0", "id": self.id, "error": failure.to_value()}),
        });
    }
}

pub fn lock() -> MutexGuard<'static, Option<Arc<Running>>> {
    RUNNING
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

pub fn cancel(message_id: &str) {
    let running = lock().clone();
    if let Some(running) = running.filter(|running| running.message_id == message_id) {
        running.cancellation.cancel();
    }
}

/// Nothing is said about it any more.
pub fn forget() {
    *lock() = None;
}

/// A handler that ends the process gives a failed message and no vanished agent.
pub fn answer_at_exit() {
    extern "C" fn answer() {
        let running = lock().take();
        if let Some(running) = running {
            running.respond(Err(Failure::agent_exited()));
        }
    }
    // SAFETY: the callback takes nothing, and does not unwind: it neither indexes nor unwraps.
    unsafe { atexit(answer) };
}

/// Panics go to stderr as always; what they said is kept for the failure.
pub fn note_panics() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let payload = panic.payload();
        let text = payload
            .downcast_ref::<&str>()
            .copied()
            .or(payload.downcast_ref::<String>().map(String::as_str));
        let place = panic
            .location()
            .map(|place| format!(" at {}:{}", place.file(), place.line()))
            .unwrap_or_default();
        let message = format!("panicked{place}: {}", text.unwrap_or("no reason given"));
        *LAST_PANIC
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(message);
        print(panic);
    }));
}

pub fn last_panic() -> String {
    let message = LAST_PANIC
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
        .take();
    message.unwrap_or_else(|| "panicked".to_owned())
}
