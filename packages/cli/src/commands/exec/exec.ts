import { ServerSentEventParser } from "@raworc/client";
import { EXEC_TIMEOUT_MAX_S } from "@raworc/contract";
import { z } from "zod";
import { type Command, collect, createCommand, wholeNumber, withExamples } from "../../command.ts";
import type { Context } from "../../context.ts";
import { CommandFailure, SilentFailure, UsageFailure } from "../../failure.ts";
import { writeReport } from "../../report.ts";
import type { Output } from "../../streams.ts";
import { TerminalText } from "../../terminal-text.ts";
import { readAll } from "../../text-lines.ts";
import { runTerminal } from "./terminal.ts";

export interface ExecOptions {
  readonly cwd?: string;
  readonly env?: readonly string[];
  readonly stdin?: boolean;
  readonly timeout?: number;
  readonly tty?: boolean;
}

const Piece = z.object({ data: z.object({ data: z.string(), encoding: z.enum(["utf-8", "base64"]) }) });
const Exit = z.object({
  data: z.object({ exit_code: z.number().nullable(), signal: z.string().nullable(), timed_out: z.boolean() }),
});

export function execCommand(context: Context): Command {
  const command = createCommand(context, "exec")
    .summary("run a command in a session's computer")
    .description(
      "Runs a command in a session's computer and ends with its exit code. One word is a shell's line, several are a " +
        "program and its arguments. Ending this command ends the other. With -t it is a terminal: without a command the " +
        "session's own, which goes on when this one ends and shows what there was to who comes again.",
    )
    .argument("<session>", "id of the session")
    .argument("[command...]")
    .passThroughOptions()
    .option("-i, --stdin", "hand this command's stdin on, as a whole")
    .option("-t, --tty", "a terminal, as with -it")
    .option("--cwd <path>", "folder to run it in (default: /session/workspace)")
    .option("-e, --env <name=value>", "a variable of its environment; may be repeated", collect)
    .option("--timeout <seconds>", "end it after so long (default: 60)", wholeNumber(1, EXEC_TIMEOUT_MAX_S))
    .action((id: string, words: readonly string[], options: ExecOptions) => runExec(context, id, words, options));
  return withExamples(context, command, [
    "raworc exec $ID 'ls | wc -l'",
    "raworc exec $ID python3 --version",
    "raworc exec -i $ID 'cat > notes.txt' < notes.txt",
    "raworc exec -it $ID",
  ]);
}

export async function runExec(
  context: Context,
  id: string,
  given: readonly string[],
  options: ExecOptions,
): Promise<void> {
  const words = given[0] === "--" ? given.slice(1) : given;
  if (options.tty === true) {
    const unfit = (["cwd", "env", "timeout"] as const).find((name) => options[name] !== undefined);
    if (unfit !== undefined) throw new UsageFailure(`--${unfit} does not go with a terminal.`);
    return runTerminal(context, await context.client(), id, words);
  }
  if (words.length === 0) throw new UsageFailure("Say what to run.", [`for a shell: raworc exec -it ${id}`]);
  const client = await context.client();
  const body = {
    command: words.length === 1 ? words[0] : words,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.env === undefined ? {} : { env: readVariables(options.env) }),
    ...(options.timeout === undefined ? {} : { timeout_s: options.timeout }),
    ...(options.stdin === true ? { stdin: await readAll(context.streams.stdin) } : {}),
  };
  const response = await client.stream("sessions.exec", { params: { id }, body });
  const exitCode = await show(context, response);
  if (exitCode !== 0) throw new SilentFailure(exitCode);
}

/** Writes what the command writes, where it writes it, and gives its exit code. */
async function show(context: Context, events: AsyncIterable<Uint8Array>): Promise<number> {
  const { err, out } = context.streams;
  const writers = { stdout: new PieceWriter(out), stderr: new PieceWriter(err) };
  const parser = new ServerSentEventParser();
  for await (const chunk of events) {
    for (const { data, type } of parser.push(chunk)) {
      if (type === "stdout" || type === "stderr") {
        const { data: piece } = Piece.parse(JSON.parse(data));
        await writers[type].write(Buffer.from(piece.data, piece.encoding));
      } else if (type === "exit") {
        const { exit_code: code, signal, timed_out: timedOut } = Exit.parse(JSON.parse(data)).data;
        if (timedOut)
          writeReport({ message: "The time limit has ended it.", hints: ["give it more: --timeout <seconds>"] }, err);
        else if (signal !== null) writeReport({ message: `It was ended by ${signal}.`, hints: [] }, err);
        return code ?? 1;
      } else if (type === "error") {
        throw new CommandFailure(z.object({ detail: z.string() }).parse(JSON.parse(data)).detail);
      }
    }
  }
  throw new CommandFailure("The command's output broke off; whether it has ended is not known.");
}

/** Bytes of a session for a program as they are, for a terminal without what it would obey. */
class PieceWriter {
  readonly #output: Output;
  readonly #decoder = new TextDecoder();
  readonly #cleaner = new TerminalText();

  constructor(output: Output) {
    this.#output = output;
  }

  async write(bytes: Buffer): Promise<void> {
    const { isTerminal, stream } = this.#output;
    const shown = isTerminal ? this.#cleaner.push(this.#decoder.decode(bytes, { stream: true })) : bytes;
    stream.write(shown);
    await this.#output.drained();
  }
}

function readVariables(given: readonly string[]): Record<string, string> {
  const variables = given.map((text) => {
    const [, name, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
    if (name === undefined || value === undefined) {
      throw new UsageFailure(`${JSON.stringify(text)} is not of the form name=value.`);
    }
    return [name, value] as const;
  });
  return Object.fromEntries(variables);
}
