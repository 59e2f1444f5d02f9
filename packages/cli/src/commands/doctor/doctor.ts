import { type Command, createCommand } from "../../command.ts";
import type { Context } from "../../context.ts";
import { SilentFailure } from "../../failure.ts";
import { cleanLine } from "../../terminal-text.ts";
import {
  checkBubblewrap,
  checkCertificates,
  checkDisk,
  checkDocker,
  checkGit,
  checkHome,
  checkLogin,
  checkNode,
  checkPort,
  checkServer,
  type Finding,
} from "./checks.ts";
import { checkInstallation } from "./installation.ts";
import { checkModels } from "./models.ts";

export function doctorCommand(context: Context): Command {
  return createCommand(context, "doctor")
    .summary("check this machine, and say how to mend it")
    .description(
      "Checks what Raworc needs on this machine and says how to mend what is missing. Exit code 1 when something is.",
    )
    .action(() => runDoctor(context));
}

export async function runDoctor(context: Context): Promise<void> {
  const { out } = context.streams;
  const installation = checkInstallation(context);
  const models = checkModels(context);
  const [bubblewrap, docker, ...others] = await Promise.all([
    checkBubblewrap(),
    checkDocker(context),
    checkNode(),
    checkGit(),
    checkHome(context),
    checkDisk(context),
    checkCertificates(context),
    checkPort(context),
    checkServer(context),
    checkLogin(context),
  ]);
  const runtimes = [docker, bubblewrap];
  const findings: Finding[] = [
    ...others.slice(0, 2),
    ...runtimes,
    ...others.slice(2),
    ...(await installation),
    await models,
  ];
  if (runtimes.every(({ state }) => state !== "ok")) {
    const remedy = "make one of Docker and bubblewrap work, as said above";
    findings.push({ name: "Runtime", state: "bad", text: "nothing can make session computers", remedy });
  }
  const width = Math.max(...findings.map(({ name }) => name.length));
  const marks = { ok: out.paint("green", "✓"), note: out.paint("yellow", "!"), bad: out.paint("red", "✗") };
  for (const { name, state, text, remedy } of findings) {
    out.line(`${marks[state]} ${name.padEnd(width)}  ${cleanLine(text)}`);
    if (remedy !== undefined) out.line(`  ${" ".repeat(width)}  ${out.paint("dim", `→ ${remedy}`)}`);
  }
  const bad = findings.filter(({ state }) => state === "bad").length;
  out.line();
  out.line(bad === 0 ? "Nothing is wrong." : `${bad} ${bad === 1 ? "thing is" : "things are"} wrong.`);
  if (bad > 0) throw new SilentFailure();
}
