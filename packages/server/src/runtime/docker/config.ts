/** The server's own environment, for programs that make images: they reach registries as this server's user does. */
export function ownEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env };
}
