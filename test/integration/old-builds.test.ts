import { execFileSync } from "node:child_process";
import { existsSync, globSync } from "node:fs";
import { join } from "node:path";
import { DEFAULT_LIMITS } from "@raworc/contract";
import { afterAll, beforeAll, expect, test } from "vitest";
import { draftSession, requireImage } from "../../packages/server/src/operator/session-requests.ts";
import { createDockerDriver } from "../../packages/server/src/runtime/docker/open-docker-driver.ts";
import type { RuntimeDriver } from "../../packages/server/src/runtime/driver.ts";
import type { DriverOptions } from "../../packages/server/src/runtime/driver-options.ts";
import { createSandboxDriver } from "../../packages/server/src/runtime/sandbox/sandbox-driver.ts";
import { findNewestArtifact } from "../../packages/server/src/store/artifacts.ts";
import { findBuild, type StoredBuild } from "../../packages/server/src/store/builds.ts";
import { putRemovals } from "../../packages/server/src/store/removals.ts";
import { insertSession, updateSession } from "../../packages/server/src/store/sessions.ts";
import { deleteSpace, type StoredSpace } from "../../packages/server/src/store/spaces.ts";
import { BuildsFixture } from "../support/builds-fixture.ts";
import { Repository } from "../support/repository.ts";
import { describeWith } from "../support/requirements.ts";
import { TestServer } from "../support/test-server.ts";

const KEPT = 5;
/** Builds whose agents are kept for the next one. */
const CACHED = 10;

interface Side {
  readonly name: "docker" | "sandbox";
  /** Builds that are made after the first two: more than are kept, and where that is cheap more than are cached. */
  readonly more: number;
  readonly open: (options: DriverOptions) => Promise<RuntimeDriver>;
  readonly hasImage: (dataDirectory: string, tag: string) => boolean;
}

const SIDES: readonly Side[] = [
  {
    name: "sandbox",
    more: CACHED,
    open: createSandboxDriver,
    hasImage: (dataDirectory, tag) =>
      globSync(join(dataDirectory, "sandbox/*/builds", `${tag.split(":")[1]}.json`)).some((path) => existsSync(path)),
  },
  {
    name: "docker",
    more: KEPT,
    open: (options) =>
      createDockerDriver({ ...options, engineSocket: "/var/run/docker.sock", sessionImage: "raworc_session:dev" }),
    hasImage: (_, tag) => execFileSync("docker", ["image", "ls", "-q", tag], { encoding: "utf8" }).trim() !== "",
  },
];

for (const side of SIDES) {
  describeWith([side.name], `old builds with the driver ${side.name}`, () => {
    let fixture: BuildsFixture;
    let repository: Repository;
    let dataDirectory = "";

    beforeAll(async () => {
      repository = new Repository({ "raworc.json": '{"runtime":"node"}', "index.js": "" });
      fixture = await BuildsFixture.open({
        makeDriver: (options) => {
          ({ dataDirectory } = options);
          return side.open(options);
        },
      });
    });
    afterAll(async () => {
      repository?.remove();
      await fixture?.close();
    });

    const hasImage = (build: StoredBuild) => side.hasImage(dataDirectory, build.image_tag ?? "none");
    const artifactOf = (build: StoredBuild) => build.agents[0]?.artifact_key ?? "";
    const sessionOf = (space: StoredSpace, build: StoredBuild) =>
      fixture.store.write((transaction) =>
        insertSession(transaction, {
          spaceId: space.id,
          name: null,
          createdBy: "test",
          ownerId: "test",
          buildId: build.id,
          limits: DEFAULT_LIMITS,
          network: { mode: "open" },
          metadata: {},
        }),
      );
    const buildNext = async (space: StoredSpace, version: number): Promise<StoredBuild> => {
      repository.commit({ "index.js": `export const processMessage = () => "${version}";\n` });
      const build = await fixture.build(space);
      expect(build.error).toBeNull();
      return build;
    };

    test("the newest stay, those of sessions stay until the session's computer has gone, all others go", async () => {
      const space = await fixture.space({ one: { repository: repository.path } });
      const builds: StoredBuild[] = [];
      for (let version = 0; version < 2; version += 1) builds.push(await buildNext(space, version));
      const [first, second] = builds as [StoredBuild, StoredBuild];
      const session = await sessionOf(space, first);
      // What is built again and again differs by its generation alone.
      for (let again = 0; again < side.more; again += 1) builds.push(await fixture.build(space, { force: true }));
      await fixture.settle(space);
      expect(builds.map(hasImage)).toEqual(builds.map((_, index) => index === 0 || index >= builds.length - KEPT));
      expect(await fixture.ask(first, { one: "" })).toEqual({ one: "0" });
      const keys = builds.map(artifactOf);
      expect(new Set(keys).size).toBe(builds.length);
      expect(await Promise.all(keys.map((key) => fixture.driver.hasArtifact(key)))).toEqual(
        keys.map((_, index) => index === 0 || index >= builds.length - CACHED),
      );

      const gone = await findBuild(fixture.store.read, second.id);
      expect(gone).toMatchObject({ status: "completed", image_tag: null });
      const draft = draftSession(fixture.store.read, space, { build_id: second.id, metadata: {} });
      await expect(draft).rejects.toMatchObject({ code: "validation_failed", message: /image was removed/ });
      const late = fixture.store.write((transaction) => requireImage(transaction, second.id));
      await expect(late).rejects.toMatchObject({ code: "conflict" });

      await fixture.store.write((transaction) => updateSession(transaction, session.id, { desired: "deleted" }));
      await fixture.settle(space);
      expect(hasImage(first)).toBe(true);
      await fixture.store.write((transaction) => updateSession(transaction, session.id, { desired: "removed" }));
      await fixture.settle(space);
      expect(hasImage(first)).toBe(false);
      expect(await fixture.driver.hasArtifact(artifactOf(first))).toBe(builds.length <= CACHED);

      const before = builds.at(-1) as StoredBuild;
      await fixture.store.write((transaction) => deleteSpace(transaction, space.id));
      await fixture.settle(space);
      expect(builds.some(hasImage)).toBe(false);
      expect(await Promise.all(keys.map((key) => fixture.driver.hasArtifact(key)))).not.toContain(true);
      expect(await findNewestArtifact(fixture.store.read, artifactOf(before))).toBeUndefined();
    });

    test("what a killed server has named is removed by the next one, unless a record owns it", async () => {
      const space = await fixture.space({ one: { repository: repository.path } });
      const build = await buildNext(space, 100);
      await fixture.settle(space);
      const stray = await fixture.driver.composeBuild(
        { buildId: space.id, spaceName: space.name, spaceId: space.id, artifactKeys: [artifactOf(build)] },
        new AbortController().signal,
      );
      const named = [
        { kind: "build", name: stray },
        { kind: "build", name: build.image_tag ?? "" },
        { kind: "artifact", name: artifactOf(build) },
      ] as const;
      await fixture.store.write((transaction) =>
        putRemovals(
          transaction,
          named.map((one) => ({ ...one, space_id: space.id })),
        ),
      );
      await fixture.restart();
      await fixture.settle(space);
      expect(side.hasImage(dataDirectory, stray)).toBe(false);
      expect(hasImage(build)).toBe(true);
      expect(await fixture.ask(build, { one: "" })).toEqual({ one: "100" });
    });
  });
}

describeWith(["sandbox"], "old builds of a server", () => {
  let server: TestServer;
  let repository: Repository;

  beforeAll(async () => {
    repository = new Repository({
      "raworc.json": '{"runtime":"node"}',
      "index.js": 'exports.processMessage = () => "here";',
    });
    server = await TestServer.start({ runtime: "sandbox" });
  });
  afterAll(async () => {
    await server?.destroy();
    repository?.remove();
  });

  test("go with the last session that has them, and all of them with their space", async () => {
    const client = await server.client();
    const space = "short-lived";
    await client.call("spaces.create", { body: { name: space, settings: { auto_build: false } } });
    await client.call("agents.create", {
      params: { space },
      body: { name: "one", source_repo: repository.path },
    });
    const build = async () => {
      const { build_id } = await client.call("builds.create", { params: { space }, body: { force_rebuild: true } });
      for await (const _ of client.buildLog(space, build_id));
      return client.call("builds.get", { params: { space, build_id } });
    };
    const tagOf = async (build_id: string) =>
      (await client.call("builds.get", { params: { space, build_id } })).image_tag;
    const first = await build();
    expect(first.image_tag).toBe(`raworc_space_${space}:${first.build_id}`);
    const session = await client.call("sessions.create", { body: { space, wait: "ready" } });
    for (let count = 0; count < KEPT; count += 1) await build();
    const fork = await client.call("sessions.fork", { params: { id: session.id }, body: {} });
    await client.call("sessions.delete", { params: { id: session.id } });
    // The copy is made of the same build, which is no longer one of the newest.
    const asked = { params: { id: fork.id }, body: { content: "@one hello", wait: "reply" as const } };
    expect(await client.call("messages.create", asked)).toMatchObject({ reply: { content: "here" } });
    expect(await tagOf(first.build_id)).toBe(first.image_tag);
    await client.call("sessions.delete", { params: { id: fork.id } });
    await expect.poll(() => tagOf(first.build_id), { timeout: 20_000 }).toBeNull();
    const built = () => globSync(join(server.home, "data/sandbox/*/{artifacts,builds}/*"));
    expect(built()).not.toEqual([]);
    await client.call("spaces.delete", { params: { space } });
    await expect.poll(built, { timeout: 20_000 }).toEqual([]);
  });
});
