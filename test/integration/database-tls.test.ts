import { execFileSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openStore, type Store } from "../../packages/server/src/store/store.ts";
import { databaseProduct } from "../support/database-products.ts";
import { DatabaseServer, placeInRoot } from "../support/database-server.ts";
import { describeWith } from "../support/requirements.ts";

describeWith(["mariadb"], "a database behind TLS", () => {
  let directory: string;
  let server: DatabaseServer;

  /** A certificate that is its own authority, for one address. */
  function makeCertificate(name: string, address: string): { certificate: string; key: string } {
    const key = join(directory, `${name}-key.pem`);
    const certificate = join(directory, `${name}.pem`);
    const subject = ["-subj", `/CN=${name}`, "-addext", `subjectAltName=${address}`];
    const files = ["-keyout", key, "-out", certificate];
    execFileSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", ...files, ...subject], {
      stdio: "ignore",
    });
    return { certificate, key };
  }

  beforeAll(async () => {
    const product = databaseProduct();
    directory = await mkdtemp(join(product.root, tmpdir(), "raworc-tls-"));
    const { certificate, key } = makeCertificate("server", "DNS:database.example");
    server = await DatabaseServer.start([
      `--ssl-cert=${placeInRoot(product, certificate)}`,
      `--ssl-key=${placeInRoot(product, key)}`,
      "--require-secure-transport=on",
    ]);
  });
  afterAll(async () => {
    await server?.destroy();
    await rm(directory, { recursive: true });
  });

  const opening = async (options: Record<string, string>): Promise<Store> => {
    const url = new URL(await server.database());
    for (const [name, value] of Object.entries(options)) url.searchParams.set(name, value);
    return openStore({ kind: "mysql", url: url.href });
  };

  it("is spoken to as strictly as ssl-mode says", async () => {
    const own = { "ssl-ca": join(directory, "server.pem") };
    const other = { "ssl-ca": makeCertificate("other", "DNS:other.example").certificate };
    for (const options of [
      { "ssl-mode": "PREFERRED" },
      { "ssl-mode": "REQUIRED" },
      { "ssl-mode": "VERIFY_CA", ...own },
    ]) {
      const store = await opening(options);
      await store.check(5000);
      await store.close();
    }
    await expect(opening({ "ssl-mode": "DISABLED" })).rejects.toThrow(/asks for TLS.* needs ssl-mode=REQUIRED/);
    await expect(opening({ "ssl-mode": "VERIFY_CA" })).rejects.toThrow(/was not accepted.*ssl-ca/);
    await expect(opening({ "ssl-mode": "VERIFY_CA", ...other })).rejects.toThrow(/was not accepted.*ssl-ca/);
    // The certificate is for another name than the one that is called.
    await expect(opening({ "ssl-mode": "VERIFY_IDENTITY", ...own })).rejects.toThrow(/does not match/);
    await expect(opening({ "ssl-mode": "VERIFY_CA", "ssl-ca": "/nothing" })).rejects.toThrow(
      /file of ssl-ca can't be read/,
    );
  });
});
