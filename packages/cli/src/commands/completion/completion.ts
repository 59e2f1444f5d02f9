import { Argument } from "commander";
import { type Command, createCommand, withExamples } from "../../command.ts";
import type { Context } from "../../context.ts";

const SHELLS = ["bash", "zsh", "fish"] as const;
type Shell = (typeof SHELLS)[number];

export function completionCommand(context: Context): Command {
  const command: Command = createCommand(context, "completion")
    .summary("completion script for a shell")
    .description("Writes a script that completes commands and options.")
    .addArgument(new Argument("<shell>").choices(SHELLS))
    .action((shell: Shell) => context.streams.out.write(completionScript(shell, wordsOf(command.parent ?? command))));
  return withExamples(context, command, [
    "source <(raworc completion bash)",
    "raworc completion zsh > ~/.zfunc/_raworc",
    "raworc completion fish > ~/.config/fish/completions/raworc.fish",
  ]);
}

/** The words that may follow each command, by its path: `auth login` → `--user`, … */
export type Words = ReadonlyMap<string, readonly string[]>;

export function wordsOf(root: Command, path = "", words = new Map<string, string[]>()): Words {
  const options = root.options.filter(({ hidden }) => !hidden).flatMap(({ long }) => (long ? [long] : []));
  const choices = root.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []);
  words.set(path, [...root.commands.map((command) => command.name()), ...choices, ...options, "--help"]);
  for (const command of root.commands)
    wordsOf(command, path === "" ? command.name() : `${path} ${command.name()}`, words);
  return words;
}

const HEAD = "# Completion for raworc; made by: raworc completion";

/** Walks the words already typed as far as they are commands, and offers what may follow there. */
function completionScript(shell: Shell, words: Words): string {
  return shell === "fish" ? fishScript(words) : shellScript(shell, words);
}

function shellScript(shell: "bash" | "zsh", words: Words): string {
  const known = [...words.keys()].map((path) => `${path};`).join(" ");
  const cases = [...words].map(([path, following]) => `    '${path}') next='${following.join(" ")}' ;;`).join("\n");
  const typed = shell === "bash" ? `"\${COMP_WORDS[@]:1:COMP_CWORD-1}"` : `"\${(@)words[2,CURRENT-1]}"`;
  const offer =
    shell === "bash" ? `COMPREPLY=($(compgen -W "$next" -- "\${COMP_WORDS[COMP_CWORD]}"))` : `compadd -- \${=next}`;
  const begin =
    shell === "bash"
      ? "complete -o default -F _raworc raworc"
      : `if [ "$funcstack[1]" = _raworc ]; then _raworc "$@"; else compdef _raworc raworc; fi`;
  return `${shell === "zsh" ? "#compdef raworc\n" : ""}${HEAD} ${shell}
_raworc() {
  local known='; ${known}' at='' next='' word=''
  for word in ${typed}; do
    case "$word" in -*) continue ;; esac
    case "$known" in *"; \${at:+$at }$word;"*) at="\${at:+$at }$word" ;; *) break ;; esac
  done
  case "$at" in
${cases}
  esac
  ${offer}
}
${begin}
`;
}

function fishScript(words: Words): string {
  const known = [...words.keys()].filter((path) => path !== "").map((path) => `'${path}'`);
  const lines = [...words].flatMap(([path, following]) =>
    following.map((word) => {
      const name = word.startsWith("--") ? `-l ${word.slice(2)}` : `-a ${word}`;
      return `complete -c raworc -n '__raworc_at "${path}"' ${name}`;
    }),
  );
  return `${HEAD} fish
function __raworc_at
  set -l known ${known.join(" ")}
  set -l at ''
  for word in (commandline -opc)[2..]
    string match -q -- '-*' $word; and continue
    set -l longer (string trim -- "$at $word")
    contains -- $longer $known; or break
    set at $longer
  end
  test "$at" = "$argv[1]"
end
complete -c raworc -f
${lines.join("\n")}
`;
}
