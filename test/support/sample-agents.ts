/** One small agent of each kind that builds make, by folder. Python and Node have a dependency, which the reply comes from. */
export const SAMPLE_AGENTS: Readonly<Record<string, string>> = {
  "python/requirements.txt": "six==1.17.0\n",
  "python/raworc.json": JSON.stringify({
    runtime: "python3",
    build_command: "python -c 'import six; print(six.__version__)' > version.txt",
  }),
  "python/main.py": `
import pathlib, six

def process_message(message, context):
    version = pathlib.Path(__file__).with_name("version.txt").read_text().strip()
    return six.ensure_str(message.upper()) + " " + version
`,
  "node/package.json": JSON.stringify({
    name: "sample",
    version: "1.0.0",
    type: "module",
    private: true,
    dependencies: { ms: "2.1.3" },
    devDependencies: { "is-number": "7.0.0" },
    scripts: { build: "node build.js" },
  }),
  "node/raworc.json": JSON.stringify({ build_command: "npm run build", handler: "dist/agent.reply" }),
  "node/build.js": `
import { mkdirSync, copyFileSync } from "node:fs";
import "is-number";
mkdirSync("dist", { recursive: true });
copyFileSync("agent.ts", "dist/agent.ts");
`,
  "node/agent.ts": `
import { existsSync } from "node:fs";
import ms from "ms";

export async function* reply(message: string): AsyncGenerator<string> {
  yield String(ms(message));
  yield existsSync(new URL("../node_modules/is-number", import.meta.url)) ? " with tools" : " without tools";
}
`,
  "library/Cargo.toml": `
[package]
name = "sample-library"
version = "0.1.0"
edition = "2021"

[dependencies]
serde_json = "1"
`,
  "library/src/lib.rs": `
pub async fn answer(message: &str, context: &serde_json::Value) -> Result<String, String> {
    Ok(format!("{} in {}", message.len(), context["space"].as_str().ok_or("no space")?))
}
`,
  "library/raworc.json": JSON.stringify({ handler: "lib.answer" }),
  "binary/Cargo.toml": '[package]\nname = "sample-binary"\nversion = "0.1.0"\nedition = "2021"\n',
  "binary/src/main.rs": `
fn main() {
    let words: Vec<String> = std::env::args().nth(1).unwrap().split(' ').rev().map(String::from).collect();
    println!("{}", words.join(" "));
}
`,
};

export const SAMPLE_QUESTIONS = { python: "loud", node: "2 days", library: "seven77", binary: "one two" };
export const SAMPLE_REPLIES = {
  python: "LOUD 1.17.0",
  node: "172800000 without tools",
  library: "7 in test",
  binary: "two one",
};
