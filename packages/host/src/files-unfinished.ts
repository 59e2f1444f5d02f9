import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { COMPUTER } from "@raworc/contract";
import { randomName } from "./random-name.ts";

const FOLDER = `${COMPUTER.state}/uploads`;

/** Remembers on disk which drafts of files there are, so that the next host can remove what a killed one has left. */
export class UnfinishedUploads {
  /** Paths of drafts that were left; they are forgotten here. */
  takeLeft(): string[] {
    if (!existsSync(FOLDER)) return [];
    return readdirSync(FOLDER).map((record) => {
      const path = readFileSync(`${FOLDER}/${record}`, "utf8");
      this.forget(record);
      return path;
    });
  }

  note(path: string): string {
    mkdirSync(FOLDER, { recursive: true, mode: 0o700 });
    const record = randomName();
    writeFileSync(`${FOLDER}/${record}`, path, { mode: 0o600 });
    return record;
  }

  forget(record: string): void {
    rmSync(`${FOLDER}/${record}`, { force: true });
  }
}
