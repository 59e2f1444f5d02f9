import { describe, expect, it } from "vitest";
import { readGitFault } from "./git-fault.ts";

describe("readGitFault", () => {
  it.each([
    ["fatal: could not read Username for 'https://github.com': terminal prompts disabled", "login", false, /private/],
    ["git@github.com: Permission denied (publickey).", "login", false, /no credentials/],
    ["remote: Repository not found.\nfatal: repository 'https://x/y/' not found", "absent", false, /no git repository/],
    ["fatal: unable to access 'https://x/': Could not resolve host: x", "network", true, /was not found/],
    [
      "fatal: unable to access 'https://x/': CONNECT tunnel failed, response 502",
      "network",
      false,
      /not found or does not/,
    ],
    ["fatal: unable to access 'https://x/': CONNECT tunnel failed, response 403", "network", false, /may not connect/],
    ["fatal: unable to access: Received HTTP code 403 from proxy after CONNECT", "network", false, /may not connect/],
    [
      "fatal: unable to access 'https://x/': The requested URL returned error: 503",
      "network",
      true,
      /could not be reached/,
    ],
    ["error: RPC failed; curl 18 transfer closed\nfatal: early EOF", "network", true, /could not be reached/],
    [
      "fatal: unable to access 'https://x/': SSL certificate problem: self-signed",
      "certificate",
      false,
      /SSL_CERT_FILE/,
    ],
    ["error: Server does not allow request for unadvertised object ffff", "commit", false, /deploy again/],
    ["fatal: detected dubious ownership in repository at '/source'", "unreadable", false, /chmod/],
    ["fatal: transport 'ext' not allowed", "network", false, /https address/],
    ["fatal: something new", "other", false, /something new/],
  ])("reads %j as %s", (text, kind, transient, message) => {
    const fault = readGitFault(text.split("\n"), "the repository");
    expect(fault).toMatchObject({ kind, transient });
    expect(fault.message).toMatch(message);
  });

  it("knows that a local repository was there", () => {
    const lines = ["fatal: '/source' does not appear to be a git repository"];
    expect(readGitFault(lines, "/code/agent", { local: true })).toMatchObject({ kind: "unreadable" });
    expect(readGitFault(lines, "/code/agent").kind).toBe("absent");
  });
});
