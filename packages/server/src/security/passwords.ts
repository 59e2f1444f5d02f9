import { argon2, randomBytes, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import { RaworcError } from "@raworc/contract";

interface Cost {
  /** KiB. */
  readonly memory: number;
  readonly passes: number;
  readonly parallelism: number;
}

const COST: Cost = { memory: 19_456, passes: 2, parallelism: 1 };
const SALT_BYTES = 16;
const TAG_BYTES = 32;
/** Hashes that run at once; each takes the memory above and a thread of the pool that files and names need too. */
const RUNNING_MAX = 2;
/** Hashes that wait; whoever comes later is refused, so that a flood of logins can't fill the memory. */
const WAITING_MAX = 100;

const derive = promisify(argon2);

const encode = (bytes: Buffer): string => bytes.toString("base64").replaceAll("=", "");

/** PHC string: `$argon2id$v=19$m=…,t=…,p=…$salt$tag`. */
function toPhc(cost: Cost, salt: Buffer, tag: Buffer): string {
  return `$argon2id$v=19$m=${cost.memory},t=${cost.passes},p=${cost.parallelism}$${encode(salt)}$${encode(tag)}`;
}

const PHC = /^\$argon2id\$v=19\$m=(\d{1,8}),t=(\d{1,4}),p=(\d{1,3})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/;

function fromPhc(encoded: string): { cost: Cost; salt: Buffer; tag: Buffer } {
  const [, memory, passes, parallelism, salt = "", tag = ""] = PHC.exec(encoded) ?? [];
  if (memory === undefined) throw new Error("A stored password hash is not an argon2id PHC string");
  return {
    cost: { memory: Number(memory), passes: Number(passes), parallelism: Number(parallelism) },
    salt: Buffer.from(salt, "base64"),
    tag: Buffer.from(tag, "base64"),
  };
}

/** What is compared where there is no account, so that an unknown user costs the same. It fits no password. */
const NOBODY = toPhc(COST, Buffer.alloc(SALT_BYTES), Buffer.alloc(TAG_BYTES));

/** Hashes passwords with argon2id on other threads, few at a time. */
export class Passwords {
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  /** A hash to store. Throws `rate_limited` when too many wait. */
  async hash(password: string): Promise<string> {
    const salt = randomBytes(SALT_BYTES);
    return toPhc(COST, salt, await this.#derive(password, COST, salt, TAG_BYTES));
  }

  /** Whether a password fits; without a hash it takes as long and is false. Throws `rate_limited` when too many wait. */
  async verify(password: string, encoded: string | undefined): Promise<boolean> {
    const { cost, salt, tag } = fromPhc(encoded ?? NOBODY);
    const derived = await this.#derive(password, cost, salt, tag.length);
    return timingSafeEqual(derived, tag) && encoded !== undefined;
  }

  async #derive(password: string, cost: Cost, nonce: Buffer, tagLength: number): Promise<Buffer> {
    await this.#enter();
    try {
      // Keyboards differ in how they compose a letter with its accent.
      return await derive("argon2id", { message: password.normalize("NFC"), nonce, tagLength, ...cost });
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }

  async #enter(): Promise<void> {
    if (this.#running < RUNNING_MAX) {
      this.#running += 1;
      return;
    }
    if (this.#waiting.length >= WAITING_MAX) {
      throw new RaworcError("rate_limited", "Too many logins at once. Try again in a moment.", {
        retryAfterSeconds: 5,
      });
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}
