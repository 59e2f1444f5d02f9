import type { Access, RouteName } from "@raworc/contract";

/** What a registered path is: a route of the contract, or a page that is open to all. */
export type Guard = { readonly route: RouteName; readonly access: Access } | { readonly page: string };

export interface RegisteredRoute {
  readonly method: string;
  readonly path: string;
  readonly guard: Guard;
}
