/** A word that a shell takes as it is. */
export function quote(word: string): string {
  return /^[A-Za-z0-9_/.:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** A command from words. */
export function words(...all: readonly string[]): string {
  return all.map(quote).join(" ");
}
