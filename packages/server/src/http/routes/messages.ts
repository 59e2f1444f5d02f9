import { CONTENT_MAX_BYTES, Message, RaworcError } from "@raworc/contract";
import type { FastifyInstance } from "fastify";
import { ReplyWait } from "../../operator/message-waits.ts";
import { countMessages, deleteEndedMessages, listMessages, presentMessage } from "../../store/messages.ts";
import type { GuardedCall } from "../call.ts";
import type { Collaborators } from "../collaborators.ts";
import { linkTo } from "../pages.ts";
import { causeOf } from "../request-observation.ts";
import { route } from "../route.ts";
import { locateSession, type SessionLocation } from "./locations.ts";

export function messageRoutes(app: FastifyInstance, collaborators: Collaborators): void {
  const { acceptance, messages, operations, store, wakeups } = collaborators;
  const live = ({ params }: { params: { id: string } }) => locateSession(store.read, params.id, { deleted: false });
  const recorded = ({ params, query }: { params: { id: string }; query: { deleted: boolean } }) =>
    locateSession(store.read, params.id, query);

  route(app, "messages.list", { locate: recorded }, async ({ query, request, reply, located: { session } }) => {
    const { limit, before, after } = query;
    const page = await listMessages(store.read, { sessionId: session.id, limit, before, after });
    if (page.length === limit) {
      if (after === undefined) linkTo(request, reply, "prev", { before: page[0]?.seq });
      else linkTo(request, reply, "next", { after: page.at(-1)?.seq });
    }
    return page.map(presentMessage);
  });

  route(app, "messages.delete", { locate: live }, async ({ note, located: { session } }) => {
    await store.write(async (transaction) => {
      note.details = { messages: await deleteEndedMessages(transaction, session.id) };
    });
    return undefined;
  });

  route(app, "messages.count", { locate: recorded }, async ({ located: { session } }) => ({
    count: await countMessages(store.read, session.id),
  }));

  /** A repeated request finds the message there and waits for its reply like the first. */
  const goOn = async (
    { body, located, signal }: GuardedCall<"messages.create", SessionLocation>,
    foreseen: unknown,
  ) => {
    const message = Message.parse(foreseen);
    if (body.wait !== "reply") return message;
    const wait = new ReplyWait(store, wakeups, located.session.id, true);
    return wait.reply(message, signal).finally(() => wait.close());
  };

  route(app, "messages.create", { locate: live, goOn }, async (call) => {
    const { body, foresee, signal } = call;
    const { session } = call.located;
    if (body.role !== "user") {
      throw new RaworcError("forbidden", `Messages of the role ${body.role} are written by the system; use user.`);
    }
    if (Buffer.byteLength(body.content) > CONTENT_MAX_BYTES) {
      throw new RaworcError(
        "too_large",
        "The content is longer than 1 MiB; put long input into a file of the session.",
      );
    }
    const wait = body.wait === "reply" ? new ReplyWait(store, wakeups, session.id, false) : undefined;
    try {
      const { message, started } = await acceptance.accept(session, body, (created) => foresee(created, !wait));
      operations.caused(message.id, causeOf(call.request));
      messages.wake(session.id, started);
      return await (wait?.reply(message, signal) ?? message);
    } finally {
      wait?.close();
    }
  });
}
