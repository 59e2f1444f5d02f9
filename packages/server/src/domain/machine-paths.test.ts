import { expect, test } from "vitest";
import { withoutMachinePaths } from "./machine-paths.ts";

test.each([
  [
    "A disk of 64 MB can't be made: mkfs.ext4: No space left on /root/.raworc/data/sandbox/1f/shared/disk-64.img",
    "A disk of 64 MB can't be made: mkfs.ext4: No space left on …/disk-64.img",
  ],
  [
    "bwrap: Can't bind mount /oldroot/home/me/data/volumes/a on /newroot/session: No such file or directory",
    "bwrap: Can't bind mount …/a on …/session: No such file or directory",
  ],
  ["The Docker engine does not answer at /var/run/docker.sock.", "The Docker engine does not answer at …/docker.sock."],
  ["open '/tmp/raworc-x/run/' failed", "open '…/run' failed"],
])("of the machine's paths the last part is left: %s", (text, shown) => {
  expect(withoutMachinePaths(text)).toBe(shown);
});

test.each([
  "The builder has no folder /opt/raworc/agents/abc/src",
  "see /session/logs/poet_stderr.log and/or ask",
  "The Docker engine refused POST /containers/raworc_session_1/start: status 500",
  "https://registry.example/a/b could not be reached; 3/4/5 of 6",
  "ssh://git@host.example/owner/poet, /tmp",
])("what is the computer's own, and what is no path, stays: %s", (text) => {
  expect(withoutMachinePaths(text)).toBe(text);
});
