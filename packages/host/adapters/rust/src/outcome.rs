//! From whatever a handler returns to a reply. A handler gives a value or a future of one; the value is a `Result` or not; what
//! is in it is a text, an iterator of texts (each is shown as soon as it is there), or anything that Serde can write.
//!
//! The handler's type is only known in generated code, so each question is a method that several traits offer, and method
//! lookup takes the first that fits: it tries fewer references first for `Settle…`, and more references first for the others.

// Each agent answers each question in one way, and leaves the other ways unused.
#![allow(dead_code)]

use std::cell::{Cell, RefCell};
use std::fmt::{Debug, Display};
use std::future::Future;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{json, Value};

use crate::cancellation::Cancellation;
use crate::executor;
use crate::wire::{is_short, Wire};

pub enum End {
    Done,
    Failed(String),
    Cancelled,
}

/// Where a reply goes.
pub struct Sink {
    wire: Arc<Wire>,
    message_id: String,
    pub cancellation: Arc<Cancellation>,
    reply: RefCell<Option<String>>,
}

impl Sink {
    pub fn new(wire: Arc<Wire>, message_id: String, cancellation: Arc<Cancellation>) -> Self {
        Sink {
            wire,
            message_id,
            cancellation,
            reply: RefCell::new(None),
        }
    }

    fn reply(&self, text: String) {
        *self.reply.borrow_mut() = Some(text);
    }

    fn piece(&self, text: &str) {
        self.wire.send_pieces("delta", &self.message_id, text);
    }

    /// The result of the response. A long reply goes ahead of it in parts.
    pub fn finish(&self) -> Value {
        match self.reply.borrow_mut().take() {
            None => json!({}),
            Some(text) if is_short(&text) => json!({"content": text}),
            Some(text) => {
                self.wire.send_pieces("part", &self.message_id, &text);
                json!({})
            }
        }
    }
}

/// A value on its way through the questions.
pub struct Returned<T>(Cell<Option<T>>);

impl<T> Returned<T> {
    pub fn new(value: T) -> Self {
        Returned(Cell::new(Some(value)))
    }

    fn take(&self) -> T {
        self.0.take().expect("each question is asked once")
    }
}

pub trait SettleFuture {
    type Value;
    fn settle(&self, cancellation: &Cancellation) -> Option<Self::Value>;
}

impl<F: Future> SettleFuture for Returned<F> {
    type Value = F::Output;
    fn settle(&self, cancellation: &Cancellation) -> Option<F::Output> {
        executor::run(self.take(), cancellation)
    }
}

pub trait SettleValue {
    type Value;
    fn settle(&self, cancellation: &Cancellation) -> Option<Self::Value>;
}

impl<T> SettleValue for &Returned<T> {
    type Value = T;
    fn settle(&self, _cancellation: &Cancellation) -> Option<T> {
        Some(self.take())
    }
}

pub trait CheckDisplay {
    type Value;
    fn check(&self) -> Result<Self::Value, String>;
}

impl<T, E: Display> CheckDisplay for &&Returned<Result<T, E>> {
    type Value = T;
    fn check(&self) -> Result<T, String> {
        self.take().map_err(|error| error.to_string())
    }
}

pub trait CheckDebug {
    type Value;
    fn check(&self) -> Result<Self::Value, String>;
}

impl<T, E: Debug> CheckDebug for &Returned<Result<T, E>> {
    type Value = T;
    fn check(&self) -> Result<T, String> {
        self.take().map_err(|error| format!("{error:?}"))
    }
}

pub trait CheckNothing {
    type Value;
    fn check(&self) -> Result<Self::Value, String>;
}

impl<T> CheckNothing for Returned<T> {
    type Value = T;
    fn check(&self) -> Result<T, String> {
        Ok(self.take())
    }
}

pub trait GiveText {
    fn give(&self, sink: &Sink) -> End;
}

impl<T: Into<String>> GiveText for &&Returned<T> {
    fn give(&self, sink: &Sink) -> End {
        sink.reply(self.take().into());
        End::Done
    }
}

pub trait GivePieces {
    fn give(&self, sink: &Sink) -> End;
}

impl<T: Iterator> GivePieces for &Returned<T>
where
    T::Item: AsRef<str>,
{
    fn give(&self, sink: &Sink) -> End {
        for piece in self.take() {
            if sink.cancellation.is_asked() {
                return End::Cancelled;
            }
            sink.piece(piece.as_ref());
        }
        End::Done
    }
}

pub trait GiveJson {
    fn give(&self, sink: &Sink) -> End;
}

impl<T: Serialize> GiveJson for Returned<T> {
    fn give(&self, sink: &Sink) -> End {
        match serde_json::to_value(self.take()) {
            Ok(Value::Null) => sink.reply(String::new()),
            Ok(Value::String(text)) => sink.reply(text),
            Ok(value) => sink.reply(value.to_string()),
            Err(error) => {
                return End::Failed(format!("the reply can't be written as JSON: {error}"))
            }
        }
        End::Done
    }
}

/// Asks the three questions about what a call of the handler gave.
#[macro_export]
macro_rules! give {
    ($returned:expr, $sink:expr) => {{
        #[allow(unused_imports)]
        use $crate::outcome::{
            CheckDebug, CheckDisplay, CheckNothing, End, GiveJson, GivePieces, GiveText, Returned,
            SettleFuture, SettleValue,
        };
        match (&Returned::new($returned)).settle(&$sink.cancellation) {
            None => End::Cancelled,
            Some(value) => match (&&&Returned::new(value)).check() {
                Err(reason) => End::Failed(reason),
                Ok(value) => (&&&Returned::new(value)).give($sink),
            },
        }
    }};
}
