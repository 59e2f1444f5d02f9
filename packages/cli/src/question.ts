import type { Context } from "./context.ts";
import { CommandFailure, UsageFailure } from "./failure.ts";
import { canAsk } from "./streams.ts";

/** Asks before something that can't be undone. Without a terminal nobody can be asked: `--yes` says it beforehand. */
export async function confirm(context: Context, question: string, options: { readonly yes?: boolean }): Promise<void> {
  if (options.yes === true) return;
  if (!canAsk(context.streams)) {
    throw new UsageFailure("There is no terminal to ask on.", ["say it beforehand: --yes"]);
  }
  const { confirm: ask, isCancel } = await import("@clack/prompts");
  const answer = await ask({ message: question, initialValue: false, output: context.streams.err.stream });
  if (isCancel(answer) || !answer) throw new CommandFailure("Nothing was done.");
}

/** Asks for a line, or a word that is not shown. Throws UsageFailure naming the option where nobody can be asked. */
export async function askFor(
  context: Context,
  message: string,
  options: { readonly option: string; readonly hidden?: boolean; readonly initial?: string },
): Promise<string> {
  if (!canAsk(context.streams)) {
    throw new UsageFailure("There is no terminal to ask on.", [`give it beforehand: ${options.option}`]);
  }
  const { isCancel, password, text } = await import("@clack/prompts");
  const output = context.streams.err.stream;
  const validate = (value: string | undefined): string | undefined =>
    value === undefined || value === "" ? "Something is needed here." : undefined;
  const answer =
    options.hidden === true
      ? await password({ message, output, validate })
      : await text({ message, output, validate, initialValue: options.initial ?? "" });
  if (isCancel(answer)) throw new CommandFailure("Nothing was done.");
  return answer;
}
