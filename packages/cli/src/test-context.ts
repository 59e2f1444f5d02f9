import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable, Writable } from "node:stream";
import { readConfig } from "./config.ts";
import { Context } from "./context.ts";
import { Output } from "./streams.ts";

/** A context for tests: streams in memory, and a home that goes with it. */
export interface TestContext extends Disposable {
  readonly context: Context;
  readonly home: string;
  readonly out: () => string;
  readonly err: () => string;
}

export interface TestContextOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly input?: string;
  readonly terminal?: boolean;
}

export function testContext({ environment = {}, input = "", terminal = false }: TestContextOptions = {}): TestContext {
  const home = mkdtempSync(join(tmpdir(), "raworc-cli-"));
  const sink = (): { output: Output; text: () => string } => {
    const chunks: string[] = [];
    const stream = new Writable({
      write: (chunk: Buffer, _, done) => {
        chunks.push(chunk.toString("utf8"));
        done();
      },
    });
    return { output: new Output(stream, terminal, false), text: () => chunks.join("") };
  };
  const out = sink();
  const err = sink();
  const streams = { stdin: Readable.from([input]), stdinIsTerminal: terminal, out: out.output, err: err.output };
  const context = new Context({ config: readConfig({ RAWORC_HOME: home, ...environment }), streams });
  return {
    context,
    home,
    out: out.text,
    err: err.text,
    [Symbol.dispose]: () => rmSync(home, { recursive: true, force: true }),
  };
}
