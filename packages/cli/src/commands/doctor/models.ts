import type { Client } from "@raworc/client";
import type { Context } from "../../context.ts";
import type { Finding } from "./checks.ts";

interface Provider {
  readonly name: string;
  readonly key: string;
  readonly addressVariable: string;
  readonly address: string;
}

const PROVIDERS: readonly Provider[] = [
  {
    name: "OpenAI",
    key: "OPENAI_API_KEY",
    addressVariable: "OPENAI_BASE_URL",
    address: "https://api.openai.com/v1",
  },
  {
    name: "Anthropic",
    key: "ANTHROPIC_API_KEY",
    addressVariable: "ANTHROPIC_BASE_URL",
    address: "https://api.anthropic.com",
  },
];
const ANSWER_MS = 5000;
const SPACES_MAX = 100;

/** Whether the models for which some space has a key can be reached from here. */
export async function checkModels(context: Context): Promise<Finding> {
  const name = "Models";
  const { client, login } = await context.connect();
  const keys = login === undefined ? undefined : await secretNames(client).catch(() => undefined);
  if (keys === undefined) return { name, state: "ok", text: "looked at when somebody is logged in" };
  const used = PROVIDERS.filter(({ key }) => keys.has(key));
  if (used.length === 0) {
    const text = "no space has a model's key; agents that use no model need none";
    return { name, state: "ok", text: `${text} (raworc create secret OPENAI_API_KEY --value -)` };
  }
  const silent = (await Promise.all(used.map((provider) => silentAddress(context, provider)))).filter(
    (address) => address !== undefined,
  );
  if (silent.length === 0)
    return { name, state: "ok", text: `${used.map((one) => one.name).join(", ")} can be reached` };
  return {
    name,
    // Sessions may have another way out than this process.
    state: "note",
    text: `${silent.join(", ")} can't be reached from here`,
    remedy: "check the network; behind a proxy look again with NODE_USE_ENV_PROXY=1",
  };
}

/** Names alone; values stay where they are. */
async function secretNames(client: Client): Promise<Set<string>> {
  const names = new Set<string>();
  for (const space of await client.call("spaces.list", { query: { limit: SPACES_MAX } })) {
    const secrets = await client.call("secrets.list", { params: { space: space.name } }).catch(() => []);
    for (const { key_name } of secrets) names.add(key_name);
  }
  return names;
}

/** The provider's address where nothing answers; any answer will do. */
async function silentAddress(context: Context, provider: Provider): Promise<string | undefined> {
  const address = context.config.environment[provider.addressVariable] || provider.address;
  try {
    await fetch(address, { method: "HEAD", redirect: "manual", signal: AbortSignal.timeout(ANSWER_MS) });
    return undefined;
  } catch {
    return address;
  }
}
