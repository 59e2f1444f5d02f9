import { readConfig } from "./config.ts";
import { Context } from "./context.ts";
import { runProgram } from "./program.ts";
import { processStreams } from "./streams.ts";

/** The process: runs what its arguments say and ends with the exit code for it. */
export async function main(): Promise<void> {
  const config = readConfig();
  const streams = processStreams(config);
  for (const stream of [process.stdout, process.stderr]) {
    // Whoever reads has had enough, `| head` for example, or the terminal is gone.
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE" && error.code !== "EIO") throw error;
      if (error.code === "EPIPE") process.exit(0);
    });
  }
  const exitCode = await runProgram(new Context({ config, streams }), process.argv.slice(2));
  await Promise.all([streams.out.flush(), streams.err.flush()]);
  process.exit(exitCode);
}
