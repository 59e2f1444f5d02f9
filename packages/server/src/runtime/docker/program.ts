import { spawn } from "node:child_process";

const OUTPUT_MAX = 64 * 1024;
/** Where tools for file systems and networks are, whatever the server's own PATH says. */
const SYSTEM_FOLDERS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
export const MACHINE_ENVIRONMENT = { PATH: SYSTEM_FOLDERS, LC_ALL: "C" };

export interface ProgramCall {
  readonly stdin?: string;
  readonly signal?: AbortSignal;
}

/** A program of the machine failed. The message has what it said. */
export class ProgramError extends Error {
  override readonly name = "ProgramError";
}

/** Runs a program of the machine and gives what it printed. Throws ProgramError, or the signal's reason. */
export async function runProgram(program: string, words: readonly string[], call: ProgramCall = {}): Promise<string> {
  call.signal?.throwIfAborted();
  const child = spawn(program, words, { env: MACHINE_ENVIRONMENT, stdio: ["pipe", "pipe", "pipe"] });
  const said = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8");
    child[name].on("data", (piece: string) => {
      if (said[name].length < OUTPUT_MAX) said[name] += piece;
    });
  }
  child.stdin.on("error", () => undefined);
  child.stdin.end(call.stdin);
  const kill = () => child.kill("SIGKILL");
  call.signal?.addEventListener("abort", kill);
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", resolve);
    });
    call.signal?.throwIfAborted();
    if (code !== 0) throw new ProgramError(`${program}: ${said.stderr.trim().slice(0, 500) || `exit code ${code}`}`);
    return said.stdout;
  } catch (error) {
    if (error instanceof Error && "code" in error)
      throw new ProgramError(`${program}: ${error.message}`, { cause: error });
    throw error;
  } finally {
    call.signal?.removeEventListener("abort", kill);
  }
}
