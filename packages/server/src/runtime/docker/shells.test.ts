import { describe, expect, it } from "vitest";
import { Shells } from "./shells.ts";

describe("Shells", () => {
  const shells = new Shells();

  it("give a script its words as they are, and no more than those", async () => {
    const words = ["a'b", "two words", '$(id) `id` \\ "', "", "line\nbreak", "*"];
    const script = `[ $# -eq 6 ] && printf '%s|' "$@" && exit 3`;
    await expect(shells.run(script, words)).rejects.toThrow(`${words.join("|")}|`);
    await expect(shells.run("cat; exit 4", [])).rejects.toThrow("exit code 4");
  });

  it("run scripts side by side, and each apart from the one before", async () => {
    const beside = ["1", "2", "3", "4", "5", "6"].map((word) =>
      shells.run(`cd / && set -e && kept=$1 && exit $1`, [word]),
    );
    const ends = await Promise.allSettled(beside);
    expect(ends.map((end) => end.status === "rejected" && end.reason.message)).toEqual(
      [1, 2, 3, 4, 5, 6].map((code) => `exit code ${code}`),
    );
    await shells.run(`[ -z "$kept" ] && [ "$PWD" != / ]`, []);
  });

  it("are replaced where one was ended", async () => {
    await expect(shells.run("kill -9 $$", [])).rejects.toThrow("has ended");
    await shells.run("true", []);
    shells.close();
    await shells.run("true", []);
  });
});
