import { basename } from "node:path";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification, type TestUserConfig } from "vitest/node";

/**
 * Files that run side by side. Most wait for real things for most of their time, so three keep two processors busy. Each has
 * installations of its own, and looks at nothing on the machine that is not theirs.
 */
const LANES = 3;

/** What takes longest begins first, for begun last it would go on alone. */
const LONGEST = [
  "faults",
  "frameworks",
  "builds",
  "builds-docker",
  "attacks",
  "torture",
  "several-servers-work",
  "containers",
  "old-builds",
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => {
      const index = LONGEST.indexOf(basename(moduleId, ".test.ts"));
      return index === -1 ? LONGEST.length : index;
    };
    return (await super.sort(files)).toSorted((one, other) => place(one) - place(other));
  }
}

const project = (name: string, include: string[], testTimeout: number, more: TestUserConfig = {}) => ({
  test: { name, include, testTimeout, hookTimeout: testTimeout, maxWorkers: LANES, ...more },
});
const suite: TestUserConfig = { sequence: { groupOrder: 1 } };

// unit: beside the source, pure or with a store in memory; conformance, integration and e2e use the real things.
export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      // To load the same libraries for each file takes as long as all the tests.
      project("unit", ["packages/*/src/**/*.test.ts"], 120_000, { isolate: false }),
      project("conformance", ["test/conformance/**/*.test.ts"], 600_000, suite),
      project("integration", ["test/integration/**/*.test.ts"], 600_000, suite),
      project("e2e", ["test/e2e/**/*.test.ts"], 600_000, suite),
    ],
  },
});
