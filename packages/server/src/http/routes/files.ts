import { COMPUTER, type FileReach } from "@raworc/contract";
import type { FastifyInstance, FastifyReply } from "fastify";
import { resolveFilePath } from "../../domain/file-path.ts";
import type { Lease } from "../../operator/connections.ts";
import { type FilePlace, HostFiles } from "../../runtime/host-files.ts";
import { acceptBytes, bytesOf } from "../bytes-body.ts";
import { type GuardedCall, SENT, type Sent } from "../call.ts";
import type { Collaborators } from "../collaborators.ts";
import { linkNext } from "../pages.ts";
import { route } from "../route.ts";
import { locateSession, type SessionLocation } from "./locations.ts";
import { invalid } from "./refusals.ts";

type FileRoute = "files.get" | "files.put" | "files.move" | "files.delete";

export function fileRoutes(app: FastifyInstance, { sessions, store }: Collaborators): void {
  const live = ({ params }: { params: { id: string } }) => locateSession(store.read, params.id, { deleted: false });

  /** Runs work with the session's files; the computer is not put to rest meanwhile. */
  async function withFiles<T>(id: string, signal: AbortSignal, work: (files: HostFiles, lease: Lease) => Promise<T>) {
    const lease = await sessions.acquire(id, signal);
    try {
      return await work(new HostFiles(lease.connection), lease);
    } catch (error) {
      lease.release();
      throw error;
    }
  }

  const release = async <T>(lease: Lease, work: Promise<T>): Promise<T> => {
    const answer = await work;
    lease.release();
    return answer;
  };

  route(app, "files.get", { locate: live }, async (call) => {
    const { located, query, reply, request, signal } = call;
    const place = placeOf(call, call.params["*"], "path");
    const after = query.cursor === undefined ? "" : decodeCursor(query.cursor);
    return withFiles(located.session.id, signal, async (files, lease) => {
      if (query.stat) return release(lease, files.stat(place, signal));
      if (query.list) {
        const { entries, more } = await release(lease, files.list(place, { limit: query.limit, after }, signal));
        const last = entries.at(-1);
        if (more && last !== undefined) linkNext(request, reply, encodeCursor(last.name));
        return entries;
      }
      const method = request.method === "HEAD" ? "HEAD" : "GET";
      const content = await files.read(place, { headers: request.headers, method, signal });
      content.body.once("close", () => lease.release());
      reply.code(content.status).headers(content.headers);
      return sendBytes(reply, place.path, content.status === 304, content.body);
    });
  });

  app.register((scope, _options, done) => {
    acceptBytes(scope);
    route(scope, "files.put", { locate: live }, async (call) => {
      const { audited, located, reply, request, signal } = call;
      const place = placeOf(call, call.params["*"], "path");
      await audited();
      return withFiles(located.session.id, signal, async (files, lease) => {
        const content = bytesOf(request.raw);
        const { created, entry, etag } = await release(lease, files.write(place, content, request.headers, signal));
        reply.code(created ? 201 : 200);
        if (etag !== undefined) reply.header("etag", etag);
        return entry;
      });
    });
    done();
  });

  route(app, "files.move", { locate: live }, async (call) => {
    const { audited, located, query, signal } = call;
    const from = placeOf(call, call.params["*"], "path");
    const to = placeOf(call, query.move_to, "query.move_to");
    const reach = from.reach === "any" || to.reach === "any" ? "any" : "session";
    await audited();
    return withFiles(located.session.id, signal, (files, lease) =>
      release(lease, files.move({ path: from.path, reach }, to.path, signal)),
    );
  });

  route(app, "files.delete", { locate: live }, async (call) => {
    const { audited, located, query, request, signal } = call;
    const place = placeOf(call, call.params["*"], "path");
    await audited();
    return withFiles(located.session.id, signal, async (files, lease) => {
      await release(lease, files.remove(place, query.recursive, request.headers, signal));
      return undefined;
    });
  });
}

/** What a call's path means. Outside of `/session` it asks for one more right, of owners too. */
function placeOf(call: GuardedCall<FileRoute, SessionLocation>, text: string, field: string): FilePlace {
  const { path, inSession } = resolveFilePath(text, field);
  const reach: FileReach = inSession ? "session" : "any";
  if (reach === "any") call.authorize("files-any", "session-files", call.located);
  call.note.details = { ...call.note.details, [field === "path" ? "path" : "move_to"]: path };
  return { path, reach };
}

/** A session's bytes are nothing that a browser may show or run as ours. */
function sendBytes(reply: FastifyReply, path: string, isEmpty: boolean, body: NodeJS.ReadableStream): Sent {
  const name = encodeURIComponent(path.slice(path.lastIndexOf("/") + 1) || COMPUTER.session.slice(1));
  reply.type("application/octet-stream").header("content-disposition", `attachment; filename*=UTF-8''${name}`);
  if (isEmpty) {
    body.resume();
    reply.send();
  } else reply.send(body);
  return SENT;
}

function encodeCursor(name: string): string {
  return Buffer.from(`after ${name}`).toString("base64url");
}

function decodeCursor(text: string): string {
  const name = Buffer.from(text, "base64url").toString();
  if (name.startsWith("after ") && encodeCursor(name.slice(6)) === text) return name.slice(6);
  throw invalid("query.cursor", "is not a cursor of this list; take it from the Link header of the page before");
}
