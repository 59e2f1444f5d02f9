import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { SERVER_NODE_FLAGS } from "./node-flags.ts";

it("is what the server's image starts Node.js with", () => {
  const image = readFileSync(new URL("../image/Dockerfile", import.meta.url), "utf8");
  const entry = JSON.parse(/^ENTRYPOINT (.+)$/m.exec(image)?.[1] ?? "") as string[];
  const environment = (/^ENV (.+)$/m.exec(image)?.[1] ?? "").split(" ");
  expect(entry).toEqual(expect.arrayContaining([...SERVER_NODE_FLAGS.arguments]));
  expect(environment).toEqual(
    expect.arrayContaining(Object.entries(SERVER_NODE_FLAGS.environment).map(([name, value]) => `${name}=${value}`)),
  );
});
