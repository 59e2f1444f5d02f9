import { join } from "node:path";
import { z } from "zod";
import type { Config } from "./config.ts";
import { readState, writeState } from "./home.ts";

const Login = z.object({
  user: z.string(),
  token: z.string(),
  /** Null: not known, as with a token that was made elsewhere. */
  expires_at: z.string().nullable(),
});
export type Login = z.infer<typeof Login>;

const SavedLogins = z.object({
  /** Address of the server that is talked to when nothing else is said. */
  current: z.string().nullable(),
  logins: z.record(z.string(), Login),
});
type SavedLogins = z.infer<typeof SavedLogins>;

/** The logins that are kept in auth.json, one for each server. A token is only ever given for the server it is from. */
export class Logins {
  readonly path: string;

  constructor(config: Config) {
    this.path = join(config.home, "auth.json");
  }

  async current(): Promise<string | undefined> {
    return (await this.#read()).current ?? undefined;
  }

  async find(server: string): Promise<Login | undefined> {
    const { logins } = await this.#read();
    return Object.hasOwn(logins, server) ? logins[server] : undefined;
  }

  /** Saves a login and makes its server the current one. */
  async save(server: string, login: Login): Promise<void> {
    const { logins } = await this.#read();
    await this.#write({ current: server, logins: { ...logins, [server]: login } });
  }

  async use(server: string): Promise<void> {
    const saved = await this.#read();
    if (saved.current !== server) await this.#write({ ...saved, current: server });
  }

  async remove(server: string): Promise<void> {
    const saved = await this.#read();
    if (!Object.hasOwn(saved.logins, server)) return;
    const { [server]: _, ...logins } = saved.logins;
    await this.#write({ current: saved.current === server ? null : saved.current, logins });
  }

  async #read(): Promise<SavedLogins> {
    return (await readState(this.path, SavedLogins)) ?? { current: null, logins: {} };
  }

  #write(saved: SavedLogins): Promise<void> {
    return writeState(this.path, saved);
  }
}
