import { Command, CommanderError, Help, InvalidArgumentError } from "commander";
import type { Context } from "./context.ts";
import { EXIT, type ExitCode } from "./failure.ts";

/** A command with the program's ways: it never ends the process itself, and writes to the context's streams. */
export function createCommand(context: Context, name: string): Command {
  const { out, err } = context.streams;
  return new Command(name)
    .exitOverride()
    .configureHelp({ formatHelp, subcommandTerm, styleTitle: (text) => out.paint("bold", text) })
    .configureOutput({
      writeOut: (text) => out.write(text),
      writeErr: (text) => err.write(text),
      outputError: (text, write) => write(text.replace(/^error:/, err.paint("red", "error:"))),
      getOutHelpWidth: () => Math.min(out.columns, 110),
      getErrHelpWidth: () => Math.min(err.columns, 110),
      getOutHasColors: () => true,
      getErrHasColors: () => true,
    })
    .helpOption("-h, --help", "show this help")
    .helpCommand(false);
}

/** Commands in a list: their names, and below a noun what they are given. */
function subcommandTerm(command: Command): string {
  const isNested = command.parent?.parent !== undefined && command.parent.parent !== null;
  const words = command.registeredArguments.map((argument) => {
    const name = argument.variadic ? `${argument.name()}...` : argument.name();
    return argument.required ? `<${name}>` : `[${name}]`;
  });
  return isNested ? [command.name(), ...words].join(" ") : command.name();
}

/** `an agent`, `a space`. */
export function withArticle(noun: string): string {
  return `${/^[aeiou]/.test(noun) ? "an" : "a"} ${noun}`;
}

/** Commander's own help, with a blank line less at its end. */
function formatHelp(command: Command, helper: Help): string {
  return `${Help.prototype.formatHelp.call(helper, command, helper).trimEnd()}\n`;
}

/** Adds examples to a command's help, one for each way people use it. */
export function withExamples(context: Context, command: Command, examples: readonly string[]): Command {
  const title = context.streams.out.paint("bold", "Examples:");
  return command.addHelpText("after", `\n${title}\n${examples.map((example) => `  $ ${example}`).join("\n")}`);
}

/** The exit code of what Commander threw: help and version are no failures, all else is wrong usage. */
export function exitCodeOf(error: CommanderError): ExitCode {
  return error.exitCode === 0 || error.code === "commander.help" ? EXIT.fine : EXIT.usage;
}

/** For options that take a whole number. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`Use a whole number from ${least} to ${most}.`);
  };
}

/** For options that may be given several times. */
export function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}

export { Command, CommanderError };
