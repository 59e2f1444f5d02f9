//! The worker of a Rust agent: takes messages from the host as JSON-RPC 2.0 lines and calls the agent's library function.
//! `handler.rs` is written when the agent is built; all else is the same for every agent.

mod cancellation;
mod descriptors;
mod executor;
mod handler;
mod history;
mod outcome;
mod running;
mod wire;

use std::io::BufRead;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;

use serde_json::{json, Value};

use crate::cancellation::Cancellation;
use crate::history::History;
use crate::outcome::{End, Sink};
use crate::running::{Running, RUNNING};
use crate::wire::Wire;

fn main() {
    // First of all, so that nothing of the agent's can get between the host and this program.
    let (mut input, output) = descriptors::take();
    running::note_panics();
    running::answer_at_exit();
    let wire = Arc::new(Wire::new(output));
    let mut history = History::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        match input.read_until(b'\n', &mut line) {
            Ok(length) if length > 0 => {}
            _ => break,
        }
        let Ok(mut call) = serde_json::from_slice::<Value>(&line) else {
            continue;
        };
        let (id, mut params) = (call["id"].take(), call["params"].take());
        match call["method"].as_str() {
            Some("initialize") => {
                let ready = json!({"keeps_history": true});
                wire.send(&json!({"jsonrpc": "2.0", "id": id, "result": ready}));
            }
            Some("message") => {
                history.complete(&mut params);
                start(&wire, id, params);
            }
            Some("cancel") => running::cancel(params["message_id"].as_str().unwrap_or_default()),
            Some(_) if !id.is_null() => wire.send(&json!({
                "jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": "There is no such method"},
            })),
            _ => {}
        }
    }
    // The host has gone: nobody waits for what may still run.
    running::forget();
    std::process::exit(0);
}

/// Runs the handler on a thread of its own, so that a cancellation can be heard meanwhile.
fn start(wire: &Arc<Wire>, id: Value, params: Value) {
    let message_id = params["message_id"].as_str().unwrap_or_default().to_owned();
    let cancellation = Cancellation::new();
    let running = Arc::new(Running::new(
        wire.clone(),
        id,
        message_id.clone(),
        cancellation.clone(),
    ));
    *running::lock() = Some(running.clone());
    let sink = Sink::new(wire.clone(), message_id, cancellation);
    let work = move || {
        let content = params["content"].as_str().unwrap_or_default();
        let end = catch_unwind(AssertUnwindSafe(|| {
            handler::call(content, &params["context"], &sink)
        }));
        let response = match end {
            Ok(End::Done) => Ok(sink.finish()),
            Ok(End::Failed(reason)) => Err(wire::Failure::handler_failed(reason)),
            Ok(End::Cancelled) => Err(wire::Failure::cancelled()),
            Err(_) => Err(wire::Failure::handler_failed(running::last_panic())),
        };
        running.respond(response);
    };
    // Recursive solvers and parsers are at home in handlers: as much stack as a main thread has.
    let spawned = std::thread::Builder::new()
        .name("handler".into())
        .stack_size(8 << 20)
        .spawn(work);
    if let Err(error) = spawned {
        let failed = RUNNING.lock().ok().and_then(|mut current| current.take());
        if let Some(running) = failed {
            running.respond(Err(wire::Failure::handler_failed(format!(
                "no thread could be started: {error}"
            ))));
        }
    }
}
