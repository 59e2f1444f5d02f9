/** Names of a list that a mistyped one may have meant, the nearest first. */
export function nearestNames(name: string, names: Iterable<string>, most: number): string[] {
  const wanted = name.toLowerCase();
  const near: { readonly name: string; readonly distance: number }[] = [];
  for (const candidate of names) {
    const lower = candidate.toLowerCase();
    const within = wanted.length > 2 && (lower.includes(wanted) || wanted.includes(lower)) && lower.length > 2;
    const limit = Math.max(1, Math.floor(wanted.length / 3));
    const distance = within ? 1 : editDistance(wanted, lower, limit);
    if (distance <= limit) near.push({ name: candidate, distance });
  }
  near.sort((one, other) => one.distance - other.distance || one.name.localeCompare(other.name));
  return near.slice(0, most).map((entry) => entry.name);
}

/** Insertions, deletions and replacements between two texts; `limit + 1` where there are more than `limit`. */
export function editDistance(one: string, other: string, limit: number): number {
  if (Math.abs(one.length - other.length) > limit) return limit + 1;
  let previous = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let row = 1; row <= one.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= other.length; column += 1) {
      const replaced = (previous[column - 1] ?? 0) + (one[row - 1] === other[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1));
    }
    if (Math.min(...current) > limit) return limit + 1;
    previous = current;
  }
  return previous[other.length] ?? 0;
}
