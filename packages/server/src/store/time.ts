/** Now, RFC 3339 UTC with milliseconds and Z. */
export function now(): string {
  return new Date().toISOString();
}

export function later(milliseconds: number): string {
  return new Date(Date.now() + milliseconds).toISOString();
}
