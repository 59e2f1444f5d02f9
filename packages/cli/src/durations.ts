const UNITS = [
  ["d", 86_400],
  ["h", 3600],
  ["m", 60],
  ["s", 1],
] as const;

/** A span in its one or two largest units: `3d4h`, `12m`, `5s`. */
export function formatSpan(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  for (const [index, [unit, size]] of UNITS.entries()) {
    if (seconds < size && size > 1) continue;
    const count = Math.floor(seconds / size);
    const smaller = UNITS[index + 1];
    const rest = smaller === undefined || count >= 10 ? 0 : Math.floor((seconds % size) / smaller[1]);
    return `${count}${unit}${rest === 0 || smaller === undefined ? "" : `${rest}${smaller[0]}`}`;
  }
  return "0s";
}

/** How long something took: `85 ms`, `1.4 s`, `2m10s`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 60_000) return `${(milliseconds / 1000).toFixed(1)} s`;
  return formatSpan(milliseconds);
}
