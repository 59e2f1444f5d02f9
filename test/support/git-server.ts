import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Of this machine, and none of those that programs reach without the proxy. */
const ADDRESS = "127.0.0.2";

/** Serves git repositories over https on this machine, under a certificate of its own. `private/…` asks for a login. */
export class GitServer {
  readonly #directory = mkdtempSync(join(tmpdir(), "raworc-git-"));
  readonly #repositories = new Map<string, string>();
  readonly #server: Server;
  /** Requests that came, as paths. */
  readonly requests: string[] = [];

  constructor() {
    // Builders, which are other users, read the certificates in it.
    chmodSync(this.#directory, 0o755);
    const [key, certificate] = [join(this.#directory, "key.pem"), join(this.#directory, "certificate.pem")];
    const words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", `/CN=${ADDRESS}`];
    const files = ["-addext", `subjectAltName=IP:${ADDRESS}`, "-keyout", key, "-out", certificate];
    execFileSync("openssl", [...words, ...files], { stdio: "ignore" });
    const tls = { key: readFileSync(key), cert: readFileSync(certificate) };
    this.#server = createServer(tls, (request, response) => {
      this.#answer(request, response).catch(() => response.destroy());
    });
  }

  get host(): string {
    return ADDRESS;
  }

  /** A file of certificates to trust: this machine's, and this server's. */
  get certificates(): string {
    const bundle = join(this.#directory, "bundle.pem");
    const known = process.env["SSL_CERT_FILE"] ?? "/etc/ssl/certs/ca-certificates.crt";
    writeFileSync(bundle, readFileSync(known, "utf8") + readFileSync(join(this.#directory, "certificate.pem"), "utf8"));
    return bundle;
  }

  async listen(): Promise<void> {
    this.#server.listen(0, ADDRESS);
    await once(this.#server, "listening");
  }

  /** Serves the repository at a path, and gives its address. */
  serve(name: string, path: string): string {
    this.#repositories.set(name, path);
    return `https://${ADDRESS}:${(this.#server.address() as AddressInfo).port}/${name}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", `https://${ADDRESS}`);
    this.requests.push(url.pathname);
    const [name = "", path = ""] =
      [...this.#repositories].find(([known]) => url.pathname.startsWith(`/${known}/`)) ?? [];
    if (url.pathname.startsWith("/private/")) {
      response.writeHead(401, { "www-authenticate": 'Basic realm="private"' }).end();
      return;
    }
    if (name === "") {
      response.writeHead(404).end();
      return;
    }
    const child = spawn("git", ["-c", "safe.directory=*", "http-backend"], {
      env: {
        PATH: process.env["PATH"],
        GIT_PROJECT_ROOT: path,
        GIT_HTTP_EXPORT_ALL: "1",
        GIT_PROTOCOL: String(request.headers["git-protocol"] ?? ""),
        PATH_INFO: `/.git${url.pathname.slice(name.length + 1)}`,
        QUERY_STRING: url.search.slice(1),
        REQUEST_METHOD: request.method,
        CONTENT_TYPE: request.headers["content-type"] ?? "",
        HTTP_CONTENT_ENCODING: String(request.headers["content-encoding"] ?? ""),
        REMOTE_ADDR: "127.0.0.1",
      },
      stdio: ["pipe", "pipe", "ignore"],
    });
    request.pipe(child.stdin);
    child.stdin.on("error", () => undefined);
    const pieces: Buffer[] = [];
    for await (const piece of child.stdout) pieces.push(piece as Buffer);
    const answer = Buffer.concat(pieces);
    const end = answer.indexOf("\r\n\r\n");
    for (const line of answer.subarray(0, end).toString().split("\r\n")) {
      const [field = "", ...value] = line.split(": ");
      if (field === "Status") response.statusCode = Number(value.join("").slice(0, 3));
      else response.setHeader(field, value.join(": "));
    }
    response.end(answer.subarray(end + 4));
  }
}
