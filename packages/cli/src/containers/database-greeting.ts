import { connect } from "node:net";

const PATIENCE_MS = 2000;

/** Whether a database says something to whoever connects; a port that is only forwarded closes without a word. */
export function databaseAnswers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    const end = (answers: boolean): void => {
      socket.destroy();
      resolve(answers);
    };
    socket.setTimeout(PATIENCE_MS, () => end(false));
    socket.once("data", () => end(true));
    socket.once("error", () => end(false));
    socket.once("close", () => end(false));
  });
}
