/** The cursor in `Link: <…?cursor=…>; rel="next"`; undefined when there is no next page. */
export function nextCursor(link: string | null): string | undefined {
  for (const [, address = "", rest = ""] of (link ?? "").matchAll(/<([^>]*)>([^,]*)/g)) {
    if (!/;\s*rel="?next"?\s*(;|$)/i.test(rest)) continue;
    return URL.parse(address, "http://localhost")?.searchParams.get("cursor") ?? undefined;
  }
  return undefined;
}
