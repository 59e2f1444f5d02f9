/** Each item of a source, changed. Asks the source for no more than it is asked for. */
export async function* mapAsync<From, To>(source: AsyncIterable<From>, change: (item: From) => To): AsyncGenerator<To> {
  for await (const item of source) yield change(item);
}
