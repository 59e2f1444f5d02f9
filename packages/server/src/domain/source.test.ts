import { isRaworcError } from "@raworc/contract";
import { describe, expect, it } from "vitest";
import { parseSource } from "./source.ts";

const remote = (text: string) => parseSource(text, { allowLocalSources: false });
const local = (text: string) => parseSource(text, { allowLocalSources: true });

function refusal(text: string, allowLocalSources = true): Error {
  try {
    parseSource(text, { allowLocalSources });
  } catch (error) {
    if (isRaworcError(error)) return error;
    throw error;
  }
  throw new Error(`accepted: ${text}`);
}

describe("parseSource", () => {
  it.each([
    ["acme/agent", "https://github.com/acme/agent.git"],
    ["acme/agent.git", "https://github.com/acme/agent.git"],
    ["a-c-me/my.agent_1", "https://github.com/a-c-me/my.agent_1.git"],
    ["https://example.com/acme/agent", "https://example.com/acme/agent"],
    ["https://example.com/acme/agent.git/", "https://example.com/acme/agent.git"],
    ["HTTPS://Example.COM:8443/acme/agent", "https://example.com:8443/acme/agent"],
    ["https://[2001:db8::1]/agent.git", "https://[2001:db8::1]/agent.git"],
    ["ssh://git@example.com:2222/acme/agent.git", "ssh://git@example.com:2222/acme/agent.git"],
    ["ssh://example.com/agent", "ssh://example.com/agent"],
    ["git@example.com:acme/agent.git", "git@example.com:acme/agent.git"],
    ["git@example.com:/srv/agent.git", "git@example.com:/srv/agent.git"],
  ])("takes %s", (text, address) => {
    expect(remote(text)).toMatchObject({ kind: "remote", address });
  });

  it.each([
    ["/srv/agent", "/srv/agent"],
    ["/srv//./agent/", "/srv/agent"],
    ["file:///srv/agent", "/srv/agent"],
    ["file://localhost/srv/my%20agent", "/srv/my agent"],
  ])("takes the local %s where local sources are allowed", (text, path) => {
    expect(local(text)).toEqual({ kind: "local", path, name: path });
    expect(refusal(text, false)).toMatchObject({ code: "local_sources_disabled" });
  });

  it.each([
    "",
    " acme/agent",
    "acme/agent\n",
    "acme/a\tgent",
    "acme",
    "acme/",
    "/",
    "//",
    "acme/agent/deep",
    "acme/..",
    "acme/.",
    "-acme/agent",
    "acme--x/agent",
    "../agent",
    "./agent",
    "~/agent",
    "~root/agent",
    "http://example.com/agent",
    "git://example.com/agent",
    "ftp://example.com/agent",
    "git+ssh://example.com/agent",
    "ext::sh -c id",
    "ext::sh",
    "fd::17",
    "transport::https://example.com/agent",
    "https::https://example.com/agent",
    "https:/example.com/agent",
    "https:example.com/agent",
    "https://",
    "https:///agent",
    "https://example.com",
    "https://example.com/",
    "https://example.com/-agent",
    "https://-example.com/agent",
    "https://example.com/agent?token=1",
    "https://example.com/agent#main",
    "https://exa mple.com/agent",
    "https://example.com\\agent",
    "https://example.com:99999/agent",
    "ssh://-oProxyCommand=id/agent",
    "ssh://-oProxyCommand=id@example.com/agent",
    "ssh://git%0a@example.com/agent",
    "ssh://git@example.com/-agent",
    "ssh://git@example.com",
    "-oProxyCommand=id@example.com:agent",
    "git@-example.com:agent",
    "git@example.com:-agent",
    "git@example.com::agent",
    "git@example.com:",
    "--upload-pack=id",
    "--upload-pack=id:agent",
    "file://example.com/srv/agent",
    "file://",
    "file:///srv/%zz",
    "file:///srv/a%00b",
    "file:///srv/a%0Ab",
    "file:///srv/../etc",
    "file:///srv/%2e%2e/etc",
    "/srv/../etc",
    "C:\\agent",
    "javascript:alert(1)",
    "data:text/plain,agent",
    "__proto__",
  ])("refuses %j and says what is accepted", (text) => {
    const error = refusal(text);
    expect(error).toMatchObject({ code: "validation_failed", errors: [{ path: "body.source_repo" }] });
    expect(error.message).toContain("owner/name");
    expect(error.message).toContain("https://host/path");
  });

  it.each([
    "https://user:hunter2@example.com/agent",
    "https://hunter2@example.com/agent",
    "https://:hunter2@example.com/agent",
    "ssh://git:hunter2@example.com/agent",
    "https://example.com/agent?access_token=hunter2",
    "hunter2://example.com/agent".replace("hunter2", "http"),
  ])("never repeats what may be a secret in %s", (text) => {
    const error = refusal(text);
    expect(`${error.message} ${JSON.stringify(error)}`).not.toContain("hunter2");
  });

  it("says how a page of GitHub's web site is written", () => {
    expect(refusal("https://github.com/acme/agents/tree/main/weather").message).toContain("Write acme/agents");
    expect(refusal("github.com/acme/agent").message).toContain("https://github.com/acme/agent");
  });
});
