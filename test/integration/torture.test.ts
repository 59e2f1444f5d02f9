import { expect, test } from "vitest";
import { describeWith } from "../support/requirements.ts";
import { torture } from "../torture/torture.ts";

/** Long enough for several servers to be killed; `npm run torture` goes on for longer. */
const SECONDS = 15;
const SEED = 20_261_124;

for (const runtime of ["sandbox", "docker"] as const) {
  describeWith([runtime], `whatever is killed, on ${runtime}`, () => {
    test("every message has one end, nothing is done twice, and nothing is left over", async () => {
      const history = await torture({ runtime, database: "sqlite", seconds: SECONDS, seed: SEED, users: 6 });
      const { violations } = history;
      expect(violations, `seed ${SEED}\n${history.lines().join("\n")}`).toEqual([]);
    });
  });
}
