import { expect, test } from "vitest";
import { DriverError } from "../runtime/driver.ts";
import { problemOf } from "./problems.ts";

test("what a driver says of the server's machine is told without its paths, and a bug not at all", () => {
  const message = "The computer ended while it started: bwrap: Can't find source path /home/me/.raworc/data/volumes/1";
  const { code, message: detail } = problemOf(new DriverError(message, { transient: true }));
  expect({ code, detail }).toEqual({
    code: "computer_unreachable",
    detail: "The computer ended while it started: bwrap: Can't find source path …/1",
  });
  const bug = problemOf(new TypeError("x is not a function at /work/file.ts"));
  expect(bug).toMatchObject({ code: "internal", message: expect.not.stringContaining("/work") });
});
