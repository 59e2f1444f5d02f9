//! JSON-RPC 2.0 to the host, one message per line.

use std::fs::File;
use std::io::Write;
use std::sync::Mutex;

use serde_json::{json, Value};

/// The longest text of one piece, in bytes.
const PIECE_MAX_BYTES: usize = 256 * 1024;

pub struct Wire(Mutex<File>);

impl Wire {
    pub fn new(output: File) -> Self {
        Wire(Mutex::new(output))
    }

    /// A host that has gone is noticed by the end of its calls.
    pub fn send(&self, message: &Value) {
        let mut line = message.to_string();
        line.push('\n');
        let mut output = self
            .0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let _ = output.write_all(line.as_bytes());
    }

    /// `delta` or `part` notifications for a text of any length.
    pub fn send_pieces(&self, method: &str, message_id: &str, text: &str) {
        let mut rest = text;
        while !rest.is_empty() {
            let mut length = rest.len().min(PIECE_MAX_BYTES);
            while !rest.is_char_boundary(length) {
                length -= 1;
            }
            let (piece, others) = rest.split_at(length);
            self.send(&json!({
                "jsonrpc": "2.0", "method": method, "params": {"message_id": message_id, "text": piece},
            }));
            rest = others;
        }
    }
}

/// Whether a text fits into a response as it is.
pub fn is_short(text: &str) -> bool {
    text.len() <= PIECE_MAX_BYTES
}

/// Why there is no reply, in the protocol's codes.
pub struct Failure {
    code: i32,
    failure: &'static str,
    message: String,
}

impl Failure {
    pub fn handler_failed(message: String) -> Self {
        Failure {
            code: -32000,
            failure: "handler_failed",
            message,
        }
    }

    pub fn agent_exited() -> Self {
        let message =
            "The agent ended its own process (std::process::exit) instead of returning.".to_owned();
        Failure {
            code: -32002,
            failure: "agent_exited",
            message,
        }
    }

    pub fn cancelled() -> Self {
        Failure {
            code: -32003,
            failure: "cancelled",
            message: "The message was cancelled".to_owned(),
        }
    }

    pub fn to_value(&self) -> Value {
        json!({"code": self.code, "message": self.message, "data": {"failure": self.failure}})
    }
}
