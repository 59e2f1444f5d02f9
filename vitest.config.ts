import { defineConfig } from "vitest/config";

// unit: beside the source, pure or with a store in memory; conformance, integration and e2e use the real things.
const project = (name: string, include: string[], testTimeout: number, fileParallelism = true) => ({
  test: { name, include, testTimeout, hookTimeout: testTimeout, fileParallelism },
});

export default defineConfig({
  test: {
    projects: [
      project("unit", ["packages/*/src/**/*.test.ts"], 30_000),
      project("conformance", ["test/conformance/**/*.test.ts"], 180_000, false),
      project("integration", ["test/integration/**/*.test.ts"], 180_000, false),
      project("e2e", ["test/e2e/**/*.test.ts"], 600_000, false),
    ],
  },
});
