//! The conversation as the messages bring it: most of them only what is new.

use serde_json::Value;

#[derive(Default)]
pub struct History(Vec<Value>);

impl History {
    /// Gives a message's context its whole history.
    pub fn complete(&mut self, params: &mut Value) {
        let keeps = params["history_keeps"].as_u64().unwrap_or(0) as usize;
        self.0.drain(..self.0.len().saturating_sub(keeps));
        let context = &mut params["context"];
        if let Some(given) = context["history"].as_array_mut() {
            self.0.append(given);
        }
        context["history"] = self.0.clone().into();
    }
}
