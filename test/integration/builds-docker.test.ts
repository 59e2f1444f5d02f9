import { afterAll, beforeAll, expect, it } from "vitest";
import { createDockerDriver } from "../../packages/server/src/runtime/docker/open-docker-driver.ts";
import { BuildsFixture } from "../support/builds-fixture.ts";
import { Repository } from "../support/repository.ts";
import { describeWith } from "../support/requirements.ts";
import { SAMPLE_AGENTS, SAMPLE_QUESTIONS, SAMPLE_REPLIES } from "../support/sample-agents.ts";

describeWith(["docker"], "builds in containers", () => {
  let fixture: BuildsFixture;
  let repository: Repository;

  beforeAll(async () => {
    repository = new Repository(SAMPLE_AGENTS);
    fixture = await BuildsFixture.open({
      makeDriver: (options) =>
        createDockerDriver({ ...options, engineSocket: "/var/run/docker.sock", sessionImage: "raworc_session:dev" }),
    });
  });

  afterAll(async () => {
    repository?.remove();
    await fixture?.close();
  });

  it("builds an agent of each kind, which sessions then run, and no agent twice", async () => {
    const names = Object.keys(SAMPLE_QUESTIONS);
    const agents = Object.fromEntries(names.map((name) => [name, { repository: repository.path, folder: name }]));
    const space = await fixture.space(agents);
    const first = await fixture.build(space);
    expect(first.error).toBeNull();
    expect(await fixture.ask(first, SAMPLE_QUESTIONS)).toEqual(SAMPLE_REPLIES);

    const second = await fixture.build(space);
    expect(second.agents.map(({ name, cached }) => [name, cached])).toEqual(
      names.toSorted().map((name) => [name, true]),
    );
    expect((await fixture.driver.list()).map(({ id }) => id)).toEqual([]);
  });
});
